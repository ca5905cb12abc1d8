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
    enrolled = Self.names(record)
  }

  /// Whether this controller may have enrolled it; not, where the log names all whom it did.
  func mayBeEnrolled(_ host: HostID) -> Bool { enrolled?.contains(host.description) ?? true }

  private static let enroll = "enroll"

  private static func isRemoval(_ action: AuditAction) -> Bool { action.began.verb.hasPrefix("enroll --remove") }

  private static func names(_ record: AuditRecord) -> Set<String>? {
    // What cannot be read may have named any host.
    guard record.missing == nil, record.unreadable == 0 else { return nil }
    // Nor does a log tell of everybody that was begun after enrolments: what it tells then rests on some that are not in it.
    let releases = record.entries.prefix { !$0.verb.hasPrefix(enroll) }.compactMap(\.release)
    guard releases.isEmpty else { return nil }
    var ever: Set<String> = []
    var names: Set<String> = []
    for action in AuditAction.pair(record.entries) {
      let named = action.began.hostNames
      if action.began.verb.hasPrefix(enroll), !isRemoval(action) {
        guard let named else { return nil }
        ever.formUnion(named)
        names.formUnion(named)
        continue
      }
      guard named?.isSubset(of: ever) ?? (action.began.hosts?.count ?? 0 <= ever.count) else { return nil }
      if isRemoval(action), action.ended?.exitCode == 0, let named { names.subtract(named) }
    }
    return ever.isEmpty ? nil : names
  }
}

extension AuditEntry {
  /// Nil when it does not say which hosts it is about, or not all of them.
  var hostNames: Set<String>? {
    guard let hosts, let names = try? Folding.expand(hosts.names), names.count == hosts.count else { return nil }
    return Set(names)
  }
}
