internal import Audit
internal import Core
internal import Inventory
internal import Store

/// What the audit log says of which hosts there are: a store that was begun anew does not know.
struct HostRecord {
  /// Something was done to hosts, whatever came of it.
  let tellsOfActions: Bool
  /// A release was made, or an enrolment done.
  let tellsOfHosts: Bool
  /// Nil when the log does not say who all of them are.
  private let enrolled: Set<String>?

  init(_ record: AuditRecord) {
    let enrolments = AuditAction.pair(record.entries).filter { $0.began.verb.hasPrefix(Self.enroll) }
    let hasRelease = record.entries.contains { $0.release != nil }
    tellsOfActions = hasRelease || enrolments.contains { $0.ended?.exitCode != nil && !Self.isRemoval($0) }
    tellsOfHosts = hasRelease || enrolments.contains { $0.ended?.exitCode == 0 && !Self.isRemoval($0) }
    enrolled = Self.names(enrolments, record)
  }

  /// Whether this controller may have enrolled it; not, where the log names all whom it did.
  func mayBeEnrolled(_ host: HostID) -> Bool { enrolled?.contains(host.description) ?? true }

  private static let enroll = "enroll"

  private static func isRemoval(_ action: AuditAction) -> Bool { action.began.verb.hasPrefix("enroll --remove") }

  private static func names(_ enrolments: [AuditAction], _ record: AuditRecord) -> Set<String>? {
    // What cannot be read may have named any host; a log that names none was begun after them.
    guard record.missing == nil, record.unreadable == 0, !enrolments.isEmpty else { return nil }
    var names: Set<String> = []
    for action in enrolments {
      let named = action.began.hostNames
      if isRemoval(action) {
        if action.ended?.exitCode == 0, let named { names.subtract(named) }
      } else {
        guard let named else { return nil }
        names.formUnion(named)
      }
    }
    return names
  }
}

extension AuditEntry {
  /// Nil when it does not say which hosts it is about, or not all of them.
  var hostNames: Set<String>? {
    guard let hosts, let names = try? Folding.expand(hosts.names), names.count == hosts.count else { return nil }
    return Set(names)
  }
}
