internal import Audit
internal import Core
internal import Inventory
package import Operations
package import Rollout
internal import Store

/// What came of an apply, host by host.
package struct ApplyDocument: Document {
  package static let kind = "Apply"

  package struct Release: Encodable, Sendable {
    let serial: UInt64
    let statement: String
    let expires: String
    let reason: String
  }

  package struct Host: Encodable, Sendable {
    let name: String
    /// committed, unchanged, pending, reverted, refused, failed, unreachable, unknown
    let result: String
    let detail: String
    /// What the operator should know although all went well.
    let warnings: [String]

    init(_ host: Applying.Host) {
      name = host.host.description
      result = ApplyDocument.word(host.result)
      if case .current(_, let said) = host.result {
        detail = ""
        warnings = said
      } else {
        detail = host.result.words.detail
        warnings = []
      }
    }

    struct Outcome: Hashable {
      let result: String
      let warnings: [String]
    }

    /// By result, the best first; then by host.
    static func folded(_ hosts: [Host], _ style: TextStyle) -> [Alike<Outcome>] {
      let groups = Alike.fold(
        hosts.map { ($0.name, Outcome(result: $0.result, warnings: $0.warnings), [$0.detail]) }, style)
      return groups.sorted {
        (ApplyDocument.words.firstIndex(of: $0.key.result)!, $0.hosts[0]) < (
          ApplyDocument.words.firstIndex(of: $1.key.result)!, $1.hosts[0]
        )
      }
    }
  }

  let release: Release?
  let hosts: [Host]
  let counts: [String: Int]
  /// Not enrolled, or without a policy.
  let leftOut: [String]
  /// Withdrawn before, and left so.
  let withdrawn: [String]
  /// Those that were asked first, did not answer, and got nothing.
  let unreachable: [SilentHost]
  /// Of a repair: who differs after it.
  let stillDrifted: [StillDrifted]?
  /// Of a repair: who did not say any more how it stands.
  let notAsked: [String]?
  private let wereAsked: Bool
  /// Of those refused: they had something else than the plan was made against.
  private let stale: Int

  private enum CodingKeys: CodingKey {
    case release, hosts, counts, leftOut, withdrawn, unreachable, stillDrifted, notAsked
  }

  /// - Parameter left: what a repair could not put back.
  package init(_ applied: Applying.Applied, left: DriftRepair.Outcome? = nil) {
    stillDrifted = left.map { StillDrifted.fold($0.differing) }
    notAsked = left.map { $0.silent.map(\.description) }
    release = applied.release.map {
      Release(
        serial: $0.serial.value, statement: $0.statementDigest.description, expires: $0.expires.description,
        reason: $0.reason)
    }
    hosts = applied.hosts.map { Host($0) }
    var counts = Dictionary(uniqueKeysWithValues: Self.words.map { ($0, 0) })
    for host in hosts { counts[host.result, default: 0] += 1 }
    unreachable = SilentHost.list(applied.unreachable ?? [:])
    wereAsked = applied.unreachable != nil
    stale = applied.hosts.count { if case .stale = $0.result { true } else { false } }
    counts["unreachable", default: 0] += unreachable.count
    self.counts = counts
    leftOut = applied.leftOut.map(\.description)
    withdrawn = applied.withdrawn.map(\.description)
  }

  private static let words = [
    "committed", "unchanged", "pending", "reverted", "refused", "failed", "unreachable", "unknown",
  ]

  /// One word for a host's result, for progress lines too.
  package static func word(_ result: DeliveryResult) -> String {
    if result.isRefusedByGuard { return "refused" }
    return switch result {
    case .current(let touched, _): touched ? "committed" : "unchanged"
    case .awaiting: "pending"
    case .reverted: "reverted"
    case .failed, .stale: "failed"
    case .unreachable: "unreachable"
    case .unknown: "unknown"
    }
  }

  package var names: [String] { hosts.map(\.name) }
  package var records: [any Encodable] {
    Records.each("release", [release].compactMap(\.self)) + Records.each("host", hosts)
      + Records.hosts("left-out", leftOut) + Records.hosts("withdrawn", withdrawn)
      + SilentHost.records(unreachable) + Records.each("still-drifted", stillDrifted ?? [])
      + Records.hosts("not-asked", notAsked ?? [])
  }
  package var summary: [String: Int] { counts }

  package func text(_ style: TextStyle) -> String {
    var left = leftOut.isEmpty ? "" : "left out, not enrolled or without a policy: \(Folding.fold(leftOut))\n"
    if !withdrawn.isEmpty {
      left += "withdrawn, and left so until 'portcullis apply -l HOST --reinstate': \(Folding.fold(withdrawn))\n"
    }
    left += SilentHost.text(unreachable, style)
    left += (stillDrifted ?? []).map { $0.text(style) }.joined()
    if let notAsked, !notAsked.isEmpty { left += "did not say how they stand now: \(Folding.fold(notAsked))\n" }
    guard let release else {
      let every = leftOut.isEmpty ? "every host" : "every other host"
      return wereAsked
        ? "Nothing to do: \(every)\(unreachable.isEmpty ? "" : " that answered") runs what it should.\n" + left
        : "Nothing to do: by its last report, \(every) runs what it should (--refresh asks them).\n" + left
    }
    var text = "Release \(release.serial), installable until \(release.expires): \(SafeText.escape(release.reason))\n"
    let words = Self.words
    for group in Host.folded(hosts, style) {
      let (result, detail) = (group.key.result, group.texts[0])
      let line =
        "  \(result.padded(to: 12))\(Folding.fold(group.hosts))"
        + (detail.isEmpty ? "" : ": \(SafeText.escape(detail))")
      text += (["committed", "unchanged", "pending"].contains(result) ? line : Paint.bad.on(line, style)) + "\n"
      for warning in group.key.warnings { text += "    warning: \(SafeText.escape(warning))\n" }
    }
    for hint in hints { text += "  hint: \(hint)\n" }
    let parts = words.compactMap { word in counts[word, default: 0] == 0 ? nil : "\(counts[word]!) \(word)" }
    return text + parts.joined(separator: ", ") + "\n" + left
  }

  /// What to do next, for what a person has to decide.
  private var hints: [String] {
    var hints: [String] = []
    if stale > 0 {
      hints.append(
        "what the plan knew nothing of is known now: look at a new one ('portcullis plan'), and apply that; another "
          + "controller of the same fleet is to be found first")
    }
    if counts["refused", default: 0] > stale {
      hints.append(
        "'refused': the hosts changed nothing. After a look at them, --override-lockout with --reason, --take-over or "
          + "--evict OWNER goes on (docs/cli.md)")
    }
    if counts["pending", default: 0] > 0 {
      hints.append("'pending': 'portcullis confirm' keeps the change, 'portcullis cancel' or time takes it back")
    }
    return hints
  }
}
