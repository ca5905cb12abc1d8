package import Core
internal import Inventory
package import Operations
internal import Release
package import Store

/// A lockdown or unlock order, and who signed it.
package struct OrderDocument: Document {
  package static let kind = "Order"

  package struct Signature: Encodable, Sendable {
    let principal: String
    let added: String
    let by: String
  }

  let epoch: UInt64
  /// lockdown, drill, unlock
  let order: String
  /// armed, stale, sent
  let state: String
  @ExplicitNull var profile: String?
  let scope: String
  /// By the inventory.
  let hosts: Int
  let issued: String
  let arriveBy: String
  @ExplicitNull var liftsAfterSeconds: UInt32?
  let reason: String
  /// How many people must sign.
  let threshold: Int
  let signatures: [Signature]

  /// - Throws: when the store has something else than an order.
  package init(_ stored: StoredOrder, hosts: [HostID]) throws(Failure) {
    let terms: OrderTerms
    do throws(FormatProblem) {
      switch stored.kind.signed {
      case .lockdown:
        let lockdown = try LockdownOrder.parse(stored.statement)
        terms = lockdown.terms
        _profile = ExplicitNull(wrappedValue: lockdown.profile.description)
        _liftsAfterSeconds = ExplicitNull(wrappedValue: lockdown.liftsAfter)
      case .unlock:
        terms = try UnlockOrder.parse(stored.statement).terms
        _profile = ExplicitNull(wrappedValue: nil)
        _liftsAfterSeconds = ExplicitNull(wrappedValue: nil)
      }
    } catch {
      throw Failure("read order \(stored.epoch) from the store", because: error)
    }
    epoch = stored.epoch.value
    order = stored.kind.rawValue
    state =
      switch stored.state {
      case .armed: "armed"
      case .stale: "stale"
      case .sent: "sent"
      }
    scope = terms.scope.words
    self.hosts = hosts.count
    issued = terms.issued.description
    arriveBy = terms.arriveBy.description
    reason = terms.reason
    threshold = stored.threshold
    signatures = stored.signatures.map {
      Signature(principal: $0.principal, added: $0.added.description, by: $0.actor)
    }
  }

  var isComplete: Bool { signatures.count >= threshold }

  package var names: [String] { [String(epoch)] }
  package var records: [any Encodable] { [self] }
  package var summary: [String: Int] { ["signatures": signatures.count, "threshold": threshold, "hosts": hosts] }

  package func text(_ style: TextStyle) -> String {
    let what = [order == "lockdown" ? nil : order, profile].compactMap(\.self).joined(separator: " ")
    let counted = hosts == 1 ? "1 host" : "\(hosts) hosts"
    let lift = liftsAfterSeconds.map { ", opens by itself after \(Age.text(Int64($0)))" } ?? ""
    return """
      order \(epoch): \(what) for \(scope) (\(counted))\(lift)
        reason  \(SafeText.escape(reason))
      \(signed)

      """
  }

  /// `  signed  anna@example.net`
  private var signed: String {
    let names = signatures.map { SafeText.escape($0.principal) }.joined(separator: ", ")
    return "  signed  \(names.isEmpty ? "nobody" : names) (\(signatures.count) of \(threshold))"
  }

  /// That brings it to hosts.
  private var verb: String { order == "unlock" ? "lift" : order == "drill" ? "drill" : "start" }

  /// Where it stands, and what comes next.
  var standing: String {
    let names = signatures.map { SafeText.escape($0.principal) }.joined(separator: ", ")
    let count = "\(signatures.count) of \(threshold) \(threshold == 1 ? "signature" : "signatures")"
    let next =
      isComplete
      ? "next: portcullis lockdown \(verb) --armed \(epoch)"
      : "next: another person: portcullis lockdown sign \(epoch) --key FILE"
    return "order \(epoch) is armed until \(arriveBy): \(count) (\(names))\n\(next)\n"
  }
}

/// An order that was made in calm, and what it would do.
package struct ArmDocument: Document {
  package static let kind = "LockdownArm"

  package struct Unstaged: Encodable, Sendable {
    let why: String
    let hosts: [String]
  }

  package struct Effect: Encodable, Sendable {
    let services: [String]
    let whom: [String]
    let hosts: [String]

    init(_ entry: FleetEffect.Entry) {
      services = entry.services.map(\.description)
      whom = entry.whom
      hosts = entry.hosts.map(\.description)
    }
  }

  let order: OrderDocument
  let ranks: [UInt16]
  let staged: [String]
  let notStaged: [Unstaged]
  let willStopAnswering: [Effect]
  let stillAnswers: [Effect]
  /// The profile keeps them, and the rules beneath drop them.
  let keptInVain: [Effect]
  /// Where nobody knows what listens.
  let unknown: [String]

  package init(_ stored: StoredOrder, _ outlook: Arming.Outlook) throws(Failure) {
    order = try OrderDocument(stored, hosts: outlook.hosts)
    ranks = outlook.coverage.ranks.map(\.value)
    staged = outlook.coverage.staged.map(\.description)
    notStaged = outlook.coverage.notStaged.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
      .map { Unstaged(why: $0.key, hosts: $0.value.map(\.description)) }
    willStopAnswering = outlook.effect.stops.map(Effect.init)
    stillAnswers = outlook.effect.goesOn.map(Effect.init)
    keptInVain = outlook.effect.inVain.map(Effect.init)
    unknown = outlook.effect.unknown.map(\.description)
  }

  package var exitCode: Int32 { notStaged.isEmpty ? 0 : 2 }

  package var names: [String] { order.names }
  package var records: [any Encodable] {
    [Record("order", order)] + Records.hosts("staged", staged) + Records.each("not_staged", notStaged)
      + Records.each("will_stop_answering", willStopAnswering) + Records.each("still_answers", stillAnswers)
      + Records.each("kept_in_vain", keptInVain) + Records.hosts("unknown", unknown)
  }
  package var summary: [String: Int] {
    order.summary.merging([
      "staged": staged.count, "not_staged": notStaged.reduce(0) { $0 + $1.hosts.count }, "unknown": unknown.count,
    ]) { $1 }
  }

  package func text(_ style: TextStyle) -> String {
    let rank = "\(ranks.count == 1 ? "rank" : "ranks") \(ranks.map(String.init).joined(separator: ", "))"
    let total = order.hosts
    var text =
      "\(order.profile ?? "") (\(rank)) is staged on \(staged.count) of \(total == 1 ? "1 host" : "\(total) hosts")\n"
    for group in notStaged { text += "  not staged  \(Folding.fold(group.hosts)): \(group.why)\n" }
    let tables = [
      Self.table("WILL STOP ANSWERING", willStopAnswering, style), Self.table("STILL ANSWERS", stillAnswers, style),
      Self.table("KEPT, BUT THE RELEASE DROPS IT", keptInVain, style),
    ].compactMap(\.self)
    text += tables.map { $0.text(aligned: tables.map(\.widths)) }.joined()
    if !unknown.isEmpty {
      text += "what listens is not known of \(Folding.fold(unknown)): portcullis status --refresh\n"
    }
    return text + order.standing
  }

  private static func table(_ title: String, _ effects: [Effect], _ style: TextStyle) -> TextTable? {
    guard !effects.isEmpty else { return nil }
    var table = TextTable([title, "TO WHOM", "HOSTS"])
    for effect in effects {
      table.add([services(effect.services), whom(effect.whom, style), Folding.fold(effect.hosts)])
    }
    return table
  }

  /// `tcp 80,443; udp 53`
  private static func services(_ services: [String]) -> String {
    var ports: [(transport: String, ports: [String])] = []
    for service in services {
      let words = service.split(separator: " ").map(String.init)
      if ports.last?.transport != words[0] { ports.append((words[0], [])) }
      ports[ports.count - 1].ports.append(words[1])
    }
    return ports.map { "\($0.transport) \($0.ports.joined(separator: ","))" }.joined(separator: "; ")
  }

  private static func whom(_ whom: [String], _ style: TextStyle) -> String {
    guard !style.wide, whom.count > 4 else { return whom.joined(separator: ", ") }
    return whom.prefix(4).joined(separator: ", ") + " and \(whom.count - 4) more"
  }
}

/// A signature that was added.
package struct SignDocument: Document {
  package static let kind = "LockdownSign"

  let order: OrderDocument
  let principal: String

  package init(_ stored: StoredOrder, by principal: String, hosts: [HostID]) throws(Failure) {
    order = try OrderDocument(stored, hosts: hosts)
    self.principal = principal
  }

  package var names: [String] { order.names }
  package var records: [any Encodable] { [self] }
  package var summary: [String: Int] { order.summary }
  package func text(_ style: TextStyle) -> String { order.standing }
}
