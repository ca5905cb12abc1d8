internal import Core

/// What may become of a probe.
package struct Passage: Sendable {
  package struct Fates: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let accepted = Fates(rawValue: 1)
    package static let dropped = Fates(rawValue: 2)
    /// It leaves a chain undecided.
    static let left = Fates(rawValue: 4)
    /// It came for the host, and goes on to another place.
    static let diverted = Fates(rawValue: 8)
    /// The same, if a match that is not understood says so.
    package static let perhapsAccepted = Fates(rawValue: 16)
    package static let perhapsDropped = Fates(rawValue: 32)
    static let perhapsLeft = Fates(rawValue: 64)
    static let perhapsDiverted = Fates(rawValue: 128)

    var doubted: Fates { Fates(rawValue: (rawValue & 0x0f) << 4 | rawValue & 0xf0) }
  }

  package enum Verdict: Hashable, Sendable {
    case accepted, dropped, undecided
  }

  /// A rule that the packet met, in the order of the walk.
  package struct Step: Hashable, Sendable {
    package let table: String
    package let rule: RuleView
    package let answer: PacketProbe.Answer
  }

  /// A translation of the address or the port for which a packet came to the host.
  struct Diversion: Sendable {
    let rule: RuleView
    let isCertain: Bool
  }

  package fileprivate(set) var fates: Fates = []
  package fileprivate(set) var steps: [Step] = []
  /// The built-in chain that lets nothing of it go on; nil when it came through.
  package fileprivate(set) var end: (table: String, chain: String)?
  /// Of what becomes of it there, `fates` only say that it may be accepted.
  fileprivate(set) var diversion: Diversion?

  package var verdict: Verdict {
    let mayPass = !fates.isDisjoint(with: [.accepted, .perhapsAccepted])
    let mayNot = !fates.isDisjoint(with: [.dropped, .perhapsDropped])
    return mayPass && mayNot ? .undecided : mayPass ? .accepted : .dropped
  }

  /// The rule that surely decided it; nil when a chain's policy did, or when it is undecided.
  package var decidingRule: RuleView? {
    guard verdict != .undecided, let last = steps.last, last.answer == .yes, case .jump(let name) = last.rule.target
    else { return nil }
    switch TargetKind(name) {
    case .accept, .drop: return last.rule
    case .comeBack, .goOn, .change, .translate, .other: return nil
    }
  }
}

/// Follows a probe through the tables and chains that the kernel would lead it through.
package struct Walk {
  private static let maximumDepth = 64
  private static let maximumSteps = 1000

  private let ruleset: RulesetView
  private let sets: KnownSets

  package init(_ ruleset: RulesetView, sets: KnownSets = .none) {
    self.ruleset = ruleset
    self.sets = sets
  }

  package func run(_ probe: PacketProbe) -> Passage {
    var passage = Passage()
    var isDoubtful = false
    for (table, chain) in Self.stages(probe) {
      guard let view = ruleset[table: table], view[chain: chain] != nil else { continue }
      var walker = TableWalker(table: view, probe: probe, sets: sets, room: Self.maximumSteps - passage.steps.count)
      var fates = walker.hook(chain)
      passage.steps += walker.steps
      if let first = walker.diverting.first, let last = walker.diverting.last {
        let isCertain = !isDoubtful && fates.isDisjoint(with: [.accepted, .perhapsAccepted])
        // Whether it comes to what lies behind is not looked into.
        passage.diversion = Passage.Diversion(rule: isCertain ? last : first, isCertain: isCertain)
        fates.subtract([.diverted, .perhapsDiverted])
        fates.insert(.perhapsAccepted)
      }
      passage.fates.formUnion((isDoubtful ? fates.doubted : fates).intersection([.dropped, .perhapsDropped]))
      if fates.isDisjoint(with: [.accepted, .perhapsAccepted]) {
        passage.end = (table, chain)
        return passage
      }
      if !fates.contains(.accepted) { isDoubtful = true }
    }
    passage.fates.insert(isDoubtful ? .perhapsAccepted : .accepted)
    return passage
  }

  private static func stages(_ probe: PacketProbe) -> [(table: String, chain: String)] {
    // The nat table sees only the first packet of a connection.
    let isFirst = probe.state == .new
    return switch probe.way {
    case .input:
      [("raw", "PREROUTING"), ("mangle", "PREROUTING")] + (isFirst ? [("nat", "PREROUTING")] : []) + [
        ("mangle", "INPUT"), ("filter", "INPUT"), ("security", "INPUT"),
      ]
    case .forward:
      [("raw", "PREROUTING"), ("mangle", "PREROUTING")] + (isFirst ? [("nat", "PREROUTING")] : []) + [
        ("mangle", "FORWARD"), ("filter", "FORWARD"), ("security", "FORWARD"), ("mangle", "POSTROUTING"),
      ]
    case .output:
      [("raw", "OUTPUT"), ("mangle", "OUTPUT")] + (isFirst ? [("nat", "OUTPUT")] : []) + [
        ("filter", "OUTPUT"), ("security", "OUTPUT"), ("mangle", "POSTROUTING"),
      ]
    }
  }

  /// One table's part of the way.
  private struct TableWalker {
    let table: TableView
    let probe: PacketProbe
    let sets: KnownSets
    let room: Int
    private(set) var steps: [Passage.Step] = []
    private(set) var diverting: [RuleView] = []
    private var known: [String: Passage.Fates] = [:]
    private var isOpen: Set<String> = []

    init(table: TableView, probe: PacketProbe, sets: KnownSets, room: Int) {
      self.table = table
      self.probe = probe
      self.sets = sets
      self.room = room
    }

    /// A built-in chain and its policy.
    mutating func hook(_ name: String) -> Passage.Fates {
      var fates = chain(name, depth: 0)
      let isDropping = table[chain: name]?.policy == "DROP"
      if fates.contains(.left) { fates.insert(isDropping ? .dropped : .accepted) }
      if fates.contains(.perhapsLeft) { fates.insert(isDropping ? .perhapsDropped : .perhapsAccepted) }
      return fates.subtracting([.left, .perhapsLeft])
    }

    private mutating func chain(_ name: String, depth: Int) -> Passage.Fates {
      if let fates = known[name] { return fates }
      guard let chain = table[chain: name], depth <= Walk.maximumDepth, isOpen.insert(name).inserted else {
        return [.perhapsAccepted, .perhapsDropped, .perhapsLeft]
      }
      defer { isOpen.remove(name) }
      var fates: Passage.Fates = []
      var isDoubtful = false
      for index in chain.rules.indices {
        let answer = probe.answer(to: chain.rules[index], sets: sets)
        guard answer != .no else { continue }
        if steps.count < room {
          steps.append(Passage.Step(table: table.name, rule: chain.rules[index], answer: answer))
        }
        let (effect, goesOn) = effect(of: chain.rules[index], depth: depth)
        fates.formUnion(isDoubtful || answer == .doubtful ? effect.doubted : effect)
        guard answer == .yes else { continue }
        switch goesOn {
        case .surely: continue
        case .perhaps: isDoubtful = true
        case .never:
          known[name] = fates
          return fates
        }
      }
      fates.insert(isDoubtful ? .perhapsLeft : .left)
      known[name] = fates
      return fates
    }

    private enum GoesOn {
      case surely, perhaps, never
    }

    /// What a matching rule does, and whether the next rule of its chain is tried then.
    private mutating func effect(of rule: RuleView, depth: Int) -> (Passage.Fates, GoesOn) {
      guard rule.isClear else { return ([.perhapsAccepted, .perhapsDropped, .perhapsLeft], .perhaps) }
      switch rule.target {
      case .none: return ([], .surely)
      case .goTo(let name): return (chain(name, depth: depth + 1), .never)
      case .jump(let name):
        if table[chain: name] != nil {
          let fates = chain(name, depth: depth + 1)
          let goesOn: GoesOn = fates.contains(.left) ? .surely : fates.contains(.perhapsLeft) ? .perhaps : .never
          return (fates.subtracting([.left, .perhapsLeft]), goesOn)
        }
        switch TargetKind(name) {
        case .accept: return ([.accepted], .never)
        case .drop: return ([.dropped], .never)
        case .comeBack: return ([.left], .never)
        case .goOn: return ([], .surely)
        // Whether the rules behind would still say the same of what was changed is not looked into.
        case .change: return table.name == "raw" ? ([], .perhaps) : ([], .surely)
        case .translate: return (translation(name, rule), .never)
        case .other: return ([.perhapsAccepted, .perhapsDropped], .perhaps)
        }
      }
    }

    private mutating func translation(_ target: String, _ rule: RuleView) -> Passage.Fates {
      guard probe.way == .input else { return [.perhapsAccepted] }
      switch Redirection(target, rule.targetOptions, port: probe.destinationPort) {
      case .here: return [.accepted]
      case .unknown: return [.perhapsAccepted]
      case .elsewhere:
        diverting.append(rule)
        return [.diverted]
      }
    }
  }
}
