package import Core
package import Lint
package import Ruleset

/// Where a program waits for others.
package struct ListeningService: Hashable, Sendable, Comparable, CustomStringConvertible {
  package enum Transport: String, Hashable, Sendable, Comparable {
    case tcp, udp

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  }

  package let transport: Transport
  package let port: UInt16

  package init(_ transport: Transport, _ port: UInt16) {
    self.transport = transport
    self.port = port
  }

  package var description: String { "\(transport.rawValue) \(port)" }
  package static func < (a: Self, b: Self) -> Bool { (a.transport, a.port) < (b.transport, b.port) }
}

/// What a lockdown makes of a host's services: who was answered and is not any more, and who still is. Pure.
package struct ArmedEffect: Hashable, Sendable {
  package struct Row: Hashable, Sendable {
    package let service: ListeningService
    /// `everybody`, or addresses and networks.
    package let whom: [String]
  }

  /// One family of a host.
  package struct Side: Sendable {
    let layer: RulesetView
    /// What lies beneath; nil when nobody knows, so that it may accept anything.
    let release: RulesetView?
    let sets: KnownSets
    /// From where its owners manage it.
    let sources: [AddressPrefix]
    let services: Set<ListeningService>

    package init(
      layer: RulesetView, release: RulesetView?, sets: KnownSets = .none, sources: [AddressPrefix],
      services: Set<ListeningService>
    ) {
      self.layer = layer
      self.release = release
      self.sets = sets
      self.sources = sources
      self.services = services
    }
  }

  package let stops: [Row]
  package let goesOn: [Row]
  /// The profile keeps these flows, and the rules beneath drop them all the same.
  package let inVain: [Row]

  package init(_ sides: PerFamily<Side>) {
    var found: [KeyPath<Answers, [String]>: [Row]] = [:]
    let services = Set(Family.allCases.flatMap { sides[$0].services }).sorted()
    for service in services {
      let answers = Family.allCases.filter { sides[$0].services.contains(service) }
        .map { ($0, Answers(sides[$0], service, $0)) }
      for part in [\Answers.stops, \.goesOn, \.inVain] {
        let whom = Self.whom(answers.map { ($0, $1[keyPath: part]) })
        if !whom.isEmpty { found[part, default: []].append(Row(service: service, whom: whom)) }
      }
    }
    stops = found[\.stops] ?? []
    goesOn = found[\.goesOn] ?? []
    inVain = found[\.inVain] ?? []
  }

  static let everybody = "everybody"

  /// `everybody` of one family alone says which.
  private static func whom(_ sides: [(family: Family, whom: [String])]) -> [String] {
    let isSame = sides.allSatisfy { $0.whom == [everybody] }
    if isSame { return sides.isEmpty ? [] : [everybody] }
    return sides.flatMap { family, whom in
      whom.map { $0 == everybody ? "\(everybody) over \(family == .ipv4 ? "IPv4" : "IPv6")" : $0 }
    }
  }
}

/// Of one service, in one family.
private struct Answers {
  private(set) var stops: [String] = []
  private(set) var goesOn: [String] = []
  private(set) var inVain: [String] = []

  /// Senders that rules tell apart; more make no difference that somebody would read.
  private static let maximumSenders = 256

  init(_ side: ArmedEffect.Side, _ service: ListeningService, _ family: Family) {
    let layer = Walk(side.layer)
    let release = side.release.map { Walk($0, sets: side.sets) }
    func probe(_ source: PacketProbe.Peer) -> PacketProbe {
      var probe = PacketProbe(
        family, .input, service.transport == .tcp ? .tcp : .udp, state: .new, from: source, to: .own)
      probe.destinationPort = service.port
      return probe
    }
    // Asked about everybody at once, the rules that may have a say name whom they tell apart.
    let anybody = probe(.address(Self.all(family)))
    let kept = Self.senders(layer.run(anybody))
    let named = Set(
      side.sources.filter { $0.family == family } + kept + (release.map { Self.senders($0.run(anybody)) } ?? []))
    var (closing, open, vain): ([AddressPrefix], [AddressPrefix], [AddressPrefix]) = ([], [], [])
    for sender in named.sorted().prefix(Self.maximumSenders) {
      let passesLayer = layer.run(probe(.address(sender))).verdict == .accepted
      let passesRelease = release.map { $0.run(probe(.address(sender))).verdict != .dropped } ?? true
      switch (passesLayer, passesRelease) {
      case (true, true): open.append(sender)
      case (false, true): closing.append(sender)
      case (true, false) where kept.contains(sender) && !side.sources.contains(where: { $0.contains(sender) }):
        vain.append(sender)
      case (true, false), (false, false): break
      }
    }
    let isOpen = release.map { $0.run(probe(.stranger)).verdict != .dropped } ?? true
    let staysOpen = isOpen && layer.run(probe(.stranger)).verdict == .accepted
    stops = isOpen && !staysOpen ? [ArmedEffect.everybody] : Self.words(closing)
    goesOn = staysOpen ? [ArmedEffect.everybody] : Self.words(open)
    inVain = Self.words(vain)
  }

  private static func all(_ family: Family) -> AddressPrefix {
    AddressPrefix(family == .ipv4 ? "0.0.0.0/0" : "::/0")!
  }

  private static func senders(_ passage: Passage) -> [AddressPrefix] {
    passage.steps.compactMap { step in
      guard let source = step.rule.source, !source.isNegated, source.pattern.length > 0 else { return nil }
      return source.pattern
    }
  }

  /// Without those that lie within others.
  private static func words(_ senders: [AddressPrefix]) -> [String] {
    senders.filter { sender in !senders.contains { $0 != sender && $0.contains(sender) } }.map(\.description)
  }
}
