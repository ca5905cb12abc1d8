internal import Audit
internal import Core
internal import Inventory

/// What the audit log says of waivers: a damaged store may have one that was ended since.
struct WaiverRecord {
  private let entries: [AuditEntry]

  init(_ entries: [AuditEntry]) {
    self.entries = entries.filter {
      $0.phase == .began && ($0.verb == Waiving.verb || $0.verb == Waiving.end || $0.verb.hasPrefix("enroll"))
    }
  }

  /// Whether nothing was done about this host since that waiver was made. Where the log does not say which hosts it was,
  /// it may have been this one.
  func stillCounts(_ waiver: Waiver) -> Bool {
    let since = entries.filter { entry in
      (UTCTime(entry.time).map { $0 >= waiver.made } ?? true) && Self.mayName(waiver.host, entry)
    }
    // The first is its own.
    return since.count <= 1 && since.allSatisfy { $0.verb == Waiving.verb }
  }

  private static func mayName(_ host: HostID, _ entry: AuditEntry) -> Bool {
    guard let hosts = entry.hosts, let names = try? Folding.expand(hosts.names), names.count == hosts.count else {
      return true
    }
    return names.contains(host.description)
  }
}
