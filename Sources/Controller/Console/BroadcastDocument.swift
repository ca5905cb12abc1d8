internal import Core
internal import Inventory
package import Operations
package import Rollout
internal import Wire

/// What came of bringing an order to hosts; the text is folded over hosts that say the same.
package struct BroadcastDocument: Document {
  package static let kind = "Broadcast"

  package struct Order: Encodable, Sendable {
    let epoch: UInt64
    /// lockdown, drill, unlock
    let kind: String
    @ExplicitNull var profile: String?
    let issued: String
    let arriveBy: String
    @ExplicitNull var liftsAfterSeconds: UInt32?
    let reason: String
  }

  package struct Host: Encodable, Sendable {
    let id: HostID
    let name: String
    /// verified, acknowledged, not-meant, refused, unreachable, unsure, not-asked, waiting
    let outcome: String
    /// Of a refusal.
    @ExplicitNull var code: String?
    @ExplicitNull var detail: String?
    /// What its agent said it did.
    @ExplicitNull var result: String?
    @ExplicitNull var flowsCut: UInt32?
    let warnings: [String]

    private enum CodingKeys: CodingKey {
      case name, outcome, code, detail, result, flowsCut, warnings
    }

    init(_ host: HostID, _ claim: OrderClaim) {
      id = host
      name = host.description
      outcome = BroadcastDocument.word(claim)
      var words: (code: String?, detail: String?)
      switch claim {
      case .waiting, .verified, .notMeant: break
      case .overtaken(let later, _): words.detail = "order \(later) was sent since"
      case .unreachable(let why), .unsure(let why), .notAsked(let why), .acknowledged(_, let why): words.detail = why
      case .refused(let refusal, let why): words = ("\(refusal)", why)
      }
      code = words.code
      detail = words.detail
      result = claim.obeyed.map { "\($0.result)" }
      flowsCut = claim.obeyed?.flowsCut
      warnings = claim.obeyed?.warnings.map { SafeText.escape($0) } ?? []
    }
  }

  package struct Times: Encodable, Sendable {
    let p50Milliseconds: Double
    let p99Milliseconds: Double
    let maxMilliseconds: Double

    init(_ times: OrderTally.Times) {
      p50Milliseconds = times.p50 / .milliseconds(1)
      p99Milliseconds = times.p99 / .milliseconds(1)
      maxMilliseconds = times.longest / .milliseconds(1)
    }
  }

  let order: Order
  /// By name.
  let hosts: [Host]
  let counts: [String: Int]
  /// From the beginning to each host's answer; nil when nobody answered.
  @ExplicitNull var times: Times?
  let interrupted: Bool
  private let sealed: SealedOrder
  private let isLate: Bool
  /// Those that it is not for, and that are to hear it all the same.
  private let outside: Set<String>
  /// A later order is for them: this one is over there.
  private let overtaken: Set<String>
  private let line: String

  private enum CodingKeys: CodingKey {
    case order, hosts, counts, times, interrupted
  }

  /// - Parameter isLate: no host obeys any more that did not hear it before.
  package init(_ sealed: SealedOrder, _ tally: OrderTally, isLate: Bool) {
    order = Order(sealed)
    hosts = tally.claims.sorted { $0.key < $1.key }.map { Host($0.key, $0.value) }
    counts = Self.counts(tally.counts)
    times = tally.times.map { Times($0) }
    interrupted = tally.interrupted
    self.sealed = sealed
    self.isLate = isLate
    outside = Set(tally.outside.map(\.description))
    overtaken = Set(tally.claims.filter(\.value.isOvertaken).map(\.key.description))
    line = Self.line(sealed, tally)
  }

  package var names: [String] { hosts.map(\.name) }
  package var records: [any Encodable] { Records.each("order", [order]) + Records.each("host", hosts) }
  package var summary: [String: Int] { counts }

  // MARK: - Words

  static func word(_ claim: OrderClaim) -> String {
    switch claim {
    case .waiting: "waiting"
    case .unreachable: "unreachable"
    case .unsure, .overtaken(_, mayHaveHeard: true): "unsure"
    case .refused: "refused"
    case .acknowledged: "acknowledged"
    case .verified: "verified"
    case .notMeant: "not-meant"
    case .notAsked, .overtaken(_, mayHaveHeard: false): "not-asked"
    }
  }

  static func counts(_ counts: OrderTally.Counts) -> [String: Int] {
    [
      "acknowledged": counts.acknowledged, "verified": counts.verified, "refused": counts.refused,
      "unreachable": counts.unreachable, "unsure": counts.unsure, "not_asked": counts.notAsked,
      "not_meant": counts.notMeant, "waiting": counts.waiting,
    ]
  }

  /// That line where there is room for so many characters only: times go first.
  package static func line(_ order: SealedOrder, _ tally: OrderTally, atMost width: Int) -> String {
    let whole = line(order, tally)
    guard whole.count > width else { return whole }
    let brief = line(order, tally, withTimes: false)
    return brief.count <= width ? brief : brief.prefix(max(0, width - 1)) + "…"
  }

  /// One line that counts, also while it is under way.
  package static func line(_ order: SealedOrder, _ tally: OrderTally, withTimes: Bool = true) -> String {
    let counts = tally.counts
    var parts: [String]
    switch order.deed {
    case .drill:
      parts = ["drill \(order.epoch)", "would obey \(counts.verified) of \(tally.claims.count)"]
    case .lock, .lift:
      parts = ["order \(order.epoch)", "acknowledged \(counts.acknowledged)", "verified \(counts.verified)"]
    }
    for (word, count) in [
      ("refused", counts.refused), ("unreachable", counts.unreachable), ("unsure", counts.unsure),
      ("not asked", counts.notAsked), ("waiting", counts.waiting), ("not meant", counts.notMeant),
    ] where count > 0 { parts.append("\(word) \(count)") }
    if withTimes, let times = tally.times {
      parts.append(" p50 \(text(times.p50))  p99 \(text(times.p99))  max \(text(times.longest))")
    }
    if case .drill = order.deed { parts.append(" nothing was changed") }
    return parts.joined(separator: "  ")
  }

  static func text(_ time: Duration) -> String {
    let milliseconds = Int(time / .milliseconds(1))
    guard milliseconds >= 1000 else { return "\(milliseconds) ms" }
    return "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
  }

  // MARK: - Text

  private struct Outcome: Hashable {
    let outcome: String
    let code: String?
  }

  /// One for all hosts of which the same is to be told.
  static func lines(of hosts: [Host], _ style: TextStyle) -> String {
    Alike.fold(
      hosts.map { ($0.name, Outcome(outcome: $0.outcome, code: $0.code), [$0.detail ?? ""]) }, style
    ).map { group in
      let words = [group.key.code, group.texts[0].isEmpty ? nil : SafeText.escape(group.texts[0])].compactMap(\.self)
      let line =
        "  \(group.key.outcome.padded(to: 13))" + ([Folding.fold(group.hosts)] + words).joined(separator: ": ")
      return (group.key.outcome == "verified" ? line : Paint.bad.on(line, style)) + "\n"
    }.joined()
  }

  package func text(_ style: TextStyle) -> String {
    var text = line + "\n" + Self.lines(of: hosts.filter { !["verified", "not-meant"].contains($0.outcome) }, style)
    let warned = hosts.flatMap { host in host.warnings.map { (host.name, $0, [String]()) } }
    for group in Alike.fold(warned, style) {
      text += "  \("warning".padded(to: 13))\(Folding.fold(group.hosts)): \(group.key)\n"
    }
    return text + rest
  }

  /// Who is left, and what to do about it.
  private var rest: String {
    func of(_ outcomes: Set<String>) -> [String] {
      hosts.filter { outcomes.contains($0.outcome) && !overtaken.contains($0.name) }.map(\.name)
    }
    let left = of(["waiting", "unreachable", "unsure", "not-asked"])
    guard !left.isEmpty, order.kind != "drill" else { return "" }
    let words =
      interrupted ? "interrupted: \(hosts.count - left.count - overtaken.count) answered, \(left.count) to go. " : ""
    guard isLate else {
      return words + "Order \(order.epoch) may arrive until \(order.arriveBy): \(resume)\n"
    }
    let late = of(["waiting", "unreachable", "not-asked"])
    guard !late.isEmpty else { return words + "It may have reached them: \(resume)\n" }
    let unsure = of(["unsure"])
    let meant = late.filter { !outside.contains($0) }
    let others = late.filter(outside.contains)
    var text = words + "Order \(order.epoch) had to arrive by \(order.arriveBy)."
    if !others.isEmpty { text += " It is not for \(Folding.fold(others)), where older ones are not void." }
    if !unsure.isEmpty { text += " It may have reached \(Folding.fold(unsure)): \(resume)." }
    guard !meant.isEmpty else { return text + "\n" }
    return text
      + " \(others.isEmpty && unsure.isEmpty ? "They" : "The others") need a fresh one: \(sealed.again(for: meant))\n"
  }

  private var resume: String { "portcullis lockdown resume \(order.epoch)" }
}

extension BroadcastDocument.Order {
  init(_ order: SealedOrder) {
    epoch = order.epoch.value
    kind =
      switch order.deed {
      case .lock: "lockdown"
      case .drill: "drill"
      case .lift: "unlock"
      }
    profile = order.profile?.description
    issued = order.issued.description
    arriveBy = order.arriveBy.description
    liftsAfterSeconds = order.liftsAfter
    reason = order.reason
  }
}
