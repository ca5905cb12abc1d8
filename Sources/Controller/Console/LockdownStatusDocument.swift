internal import Audit
internal import Core
internal import Inventory
package import Operations
internal import Rollout
internal import Wire

/// How hosts stand as to lockdowns, folded over those that stand alike.
package struct LockdownStatusDocument: Document {
  package static let kind = "LockdownStatus"

  package struct Profile: Encodable, Sendable {
    let name: String
    let rank: UInt16
    /// Why an order could not lock with it; null where it could.
    @ExplicitNull var problem: String?
  }

  package struct Lock: Encodable, Sendable {
    let epoch: UInt64
    let profile: String
    let rank: UInt16
    let phase: String
    let since: String
    @ExplicitNull var secondsLeft: UInt32?
    let principals: [String]
    let reason: String
    /// The release whose profile it is.
    let release: UInt64

    init(_ lock: LockReport) {
      epoch = lock.epoch.value
      profile = lock.profile.description
      rank = lock.rank.value
      phase = "\(lock.phase)"
      since = lock.since.description
      secondsLeft = lock.secondsLeft
      principals = lock.principals.map { SafeText.escape($0) }
      reason = SafeText.escape(lock.reason)
      release = lock.serial.value
    }
  }

  package struct Host: Encodable, Sendable {
    let name: String
    /// open, locked-down, unknown
    let state: String
    @ExplicitNull var lock: Lock?
    /// The last order it heard; 0 when it never did.
    @ExplicitNull var heard: UInt64?
    let profiles: [Profile]
    /// How it is not as ordered; null when it is.
    @ExplicitNull var finding: String?

    init(_ standing: LockStanding) {
      name = standing.host.description
      state = standing.state.rawValue
      lock = standing.lock.map { Lock($0) }
      heard = standing.heard?.value
      profiles = standing.profiles.map {
        Profile(name: $0.name.description, rank: $0.rank.value, problem: $0.problem.map { SafeText.escape($0) })
      }
      finding = standing.finding
    }
  }

  /// It waits to be signed by others, or sent.
  package struct Armed: Encodable, Sendable {
    let epoch: UInt64
    /// lockdown, unlock
    let kind: String
    @ExplicitNull var profile: String?
    let arriveBy: String
    let signatures: Int
    let threshold: Int
    let reason: String

    init(_ armed: LockdownStanding.ArmedOrder) {
      epoch = armed.order.epoch.value
      kind = armed.order.deed == .lift ? "unlock" : "lockdown"
      profile = armed.order.profile?.description
      arriveBy = armed.order.arriveBy.description
      signatures = armed.signatures
      threshold = armed.threshold
      reason = armed.order.reason
    }

    var text: String {
      let next =
        signatures < threshold
        ? "lockdown sign \(epoch)" : "lockdown \(kind == "unlock" ? "lift" : "start") --armed \(epoch)"
      return
        "order \(epoch) (\(profile ?? kind)) is armed until \(arriveBy), \(signatures) of \(threshold) signatures: "
        + "portcullis \(next)\n"
    }
  }

  let armed: [Armed]
  let hosts: [Host]
  let unreachable: [SilentHost]

  private enum CodingKeys: CodingKey { case armed, hosts, unreachable }

  package init(_ looked: LockdownStanding.Looked) {
    armed = looked.armed.map { Armed($0) }
    hosts = looked.standings.map { Host($0) }
    unreachable = SilentHost.list(looked.unreachable)
  }

  package var exitCode: Int32 {
    if !unreachable.isEmpty { return 4 }
    return hosts.contains { $0.finding != nil || $0.profiles.contains { $0.problem != nil } } ? 2 : 0
  }

  package var names: [String] { hosts.filter { $0.lock != nil }.map(\.name) }
  package var records: [any Encodable] {
    Records.each("armed", armed) + Records.each("host", hosts) + SilentHost.records(unreachable)
  }
  package var summary: [String: Int] {
    [
      "locked_down": hosts.count { $0.lock != nil }, "open": hosts.count { $0.state == "open" },
      "differ": hosts.count { $0.finding != nil },
      "unstaged": hosts.count { $0.profiles.contains { $0.problem != nil } }, "unreachable": unreachable.count,
    ]
  }

  package func text(_ style: TextStyle) -> String {
    var text = armed.map(\.text).joined()
    for group in Alike.fold(hosts.map { ($0.name, $0.state, [Self.words($0)]) }, style) {
      text += "\(group.key.padded(to: 12)) \(Folding.fold(group.hosts))"
      text += group.texts[0].isEmpty ? "\n" : ": \(group.texts[0])\n"
    }
    for group in Alike.fold(hosts.compactMap { host in host.finding.map { (host.name, "", [$0]) } }, style) {
      text += Paint.bad.on("  differs     \(Folding.fold(group.hosts)): \(group.texts[0])", style) + "\n"
    }
    let unstaged = hosts.flatMap { host in
      host.profiles.compactMap { profile in profile.problem.map { (host.name, profile.name, [$0]) } }
    }
    for group in Alike.fold(unstaged, style) {
      text +=
        Paint.bad.on(
          "  unstaged    \(Folding.fold(group.hosts)): \(group.key): \(group.texts[0])", style) + "\n"
    }
    text += ReasonLines.text(unreachable.map { ($0.name, $0.reason) }, led: "unreachable: ", style)
    let counts = summary
    return text
      + [
        ("locked_down", "locked down"), ("open", "open"), ("differ", "not as ordered"), ("unstaged", "unstaged"),
        ("unreachable", "unreachable"),
      ].compactMap { key, words in counts[key, default: 0] == 0 ? nil : "\(counts[key]!) \(words)" }
      .joined(separator: ", ") + "\n"
  }

  private static func words(_ host: Host) -> String {
    guard let lock = host.lock else { return "" }
    var words = "\(lock.profile), order \(lock.epoch)"
    if let left = lock.secondsLeft { words += ", lifts itself in \(Age.text(Int64(left)))" }
    return words + (lock.reason == "-" ? "" : ": \(lock.reason)")
  }
}
