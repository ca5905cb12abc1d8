internal import Core
internal import Inventory
internal import Ruleset

/// Puts one host's rules together: of each policy in turn what its items say, then its raw text; then what stands last.
struct HostCompiler {
  let composition: Composition
  let common: CommonFile
  let facts: HostFacts
  let fleet: FleetAddresses
  let pins: NamePins
  private var problems = Problems()
  private var drafts = PerFamily(ipv4: RulesetDraft(), ipv6: RulesetDraft())
  private var sets: Set<AddressSet> = []
  private var impliedAnswers: Set<SourceLocation> = []
  /// Of built-in chains outside of the filter table, by family, table and chain.
  private var rawDefaults: [String: Located<String>] = [:]

  init(_ composition: Composition, common: CommonFile, facts: HostFacts, fleet: FleetAddresses, pins: NamePins) {
    self.composition = composition
    self.common = common
    self.facts = facts
    self.fleet = fleet
    self.pins = pins
  }

  private var start: SourceLocation { composition.policies[0].start }

  mutating func compile() throws(Diagnostics) -> CompiledPolicy {
    for family in Family.allCases { declare(family) }
    var pieces: [Pieces] = []
    for policy in composition.policies { pieces.append(self.pieces(of: policy)) }
    for hook in BuiltInHook.allCases { filter(hook, &pieces) }
    for piece in pieces {
      translate(piece)
      otherTables(piece.policy)
    }
    let leftOut = composition.closesIPv6.map { close(at: $0) } ?? []
    containers(ContainersComposition(composition, common: common, facts: facts, fleet: fleet, pins: pins))
    requireTables()
    requireWayIn()
    try problems.throwIfAny()
    return try CompiledPolicy(
      composition, facts, drafts: drafts,
      sets: sets.sorted { $0.name < $1.name }.filter { composition.closesIPv6 == nil || $0.family == .ipv4 },
      leftOut: leftOut, impliedAnswers: impliedAnswers)
  }

  /// - Returns: where rules come from that are for IPv6 alone, in reading order.
  private mutating func close(at place: SourceLocation) -> [SourceLocation] {
    let leftOut = drafts.ipv6.ruleSources.subtracting(drafts.ipv4.ruleSources)
    drafts.ipv6 = .droppingAll(at: place)
    return leftOut.sorted { ($0.file, $0.line, $0.column) < ($1.file, $1.line, $1.column) }
  }

  private mutating func declare(_ family: Family) {
    for table in composition.policies.compactMap({ $0.raw[family] }).flatMap(\.tables) where table.name == "filter" {
      drafts[family].declare(table: table.name, at: table.place)
    }
    // Raw text alone decides which tables it is about: another one would be taken from whoever has it.
    if composition.policies.contains(where: \.filters) { drafts[family].declare(table: "filter", at: start) }
    for hook in BuiltInHook.allCases {
      guard let said = composition.defaults[family][hook] else { continue }
      let isObserved = composition.observes != nil && said.value == .drop
      drafts[family].setPolicy(
        of: hook.chain, in: "filter", to: isObserved ? "ACCEPT" : said.value.policy, at: said.location)
    }
  }

  // MARK: Typed items

  /// Rules of one policy, before they find their place.
  private struct Pieces {
    let policy: PolicyFile
    var main: [BuiltInHook: FilterCompiler] = [:]
    var last: [BuiltInHook: FilterCompiler] = [:]
    var translation = TranslationCompiler()

    func acceptsAnswers(in hook: BuiltInHook) -> Bool {
      [main[hook], last[hook]].contains { $0?.firstAnswers != nil } || rawAnswers(in: hook)
    }

    /// Raw text of the chain speaks of answers.
    func rawAnswers(in hook: BuiltInHook) -> Bool {
      Family.allCases.contains { policy.raw[$0]?.namesEstablished(in: hook.chain) == true }
    }
  }

  private mutating func pieces(of policy: PolicyFile) -> Pieces {
    var compiler = MatchCompiler(policy, common: common, facts: facts, fleet: fleet, pins: pins)
    var pieces = Pieces(policy: policy)
    for section in PolicyFile.Section.allCases {
      guard let items = policy.sections[section] else { continue }
      var filter = FilterCompiler(section.hook)
      for item in items where !comesFirst(item) { filter.add(item, &compiler) }
      if section.isLast { pieces.last[section.hook] = filter } else { pieces.main[section.hook] = filter }
    }
    for item in policy.translations { pieces.translation.add(item, &compiler) }
    compiler.resolver.problems.all.forEach { problems.add($0) }
    sets.formUnion(compiler.resolver.usedSets)
    return pieces
  }

  /// Answers are accepted before anything else, so an item that says so needs no rule of its own.
  private func comesFirst(_ item: FilterItem) -> Bool {
    guard case .accept = item.action, item.match.word == .established else { return false }
    return !composition.placesEstablished
  }

  private mutating func filter(_ hook: BuiltInHook, _ pieces: inout [Pieces]) {
    var early = early(hook, pieces)
    if !composition.placesEstablished { append(&early, hook) }
    // Where an item says when answers are accepted, the cut stands right before that; else windows cut where they stand.
    let isSaid = pieces.contains { $0.acceptsAnswers(in: hook) }
    func cut(_ filter: FilterCompiler) -> Int? { isSaid ? filter.firstAnswers : filter.firstStrict }
    if let (place, isImplied) = placeOfEstablished(hook, pieces) {
      if isImplied { impliedAnswers.insert(place) }
      for family in Family.allCases {
        let text = WordTexts.texts(.established, hook, family)[0]
        drafts[family].append(text.rule(in: hook.chain, target: "ACCEPT"), to: hook.chain, in: "filter", from: place)
      }
    }
    for piece in pieces {
      if hook == .forward {
        for line in piece.translation.forwards {
          drafts[line.family].append(line.text, to: line.chain, in: "filter", from: line.source)
        }
      }
      piece.main[hook].map { append($0, cutting: &early, at: cut($0)) }
      if piece.rawAnswers(in: hook) { append(&early, hook) }
      for family in Family.allCases { raw(piece.policy, family, table: "filter", chain: hook.chain) }
    }
    for piece in pieces { piece.last[hook].map { append($0, cutting: &early, at: cut($0)) } }
    if let place = composition.observes { observe(hook, place) }
  }

  /// What stands before answers are accepted.
  private mutating func early(_ hook: BuiltInHook, _ pieces: [Pieces]) -> [EarlyRules.Line] {
    let said = pieces.flatMap { piece in
      (hook == .forward ? [piece.translation.early] : [])
        + [piece.main[hook], piece.last[hook]].compactMap { $0?.early }
    }
    var raw = RawAnswers(beside: said)
    guard !raw.isIdle else { return [] }
    for policy in composition.policies {
      for family in Family.allCases {
        let chains = raw.chains(of: policy.raw[family], family) { texts(of: $0, family) }
        for item in [hook.main, hook.last].flatMap({ policy.sections[$0] ?? [] }) {
          guard case .raw(let lines) = item.action, let line = lines[family] else { continue }
          raw.add(line, family, chains, from: item.location)
        }
        for line in policy.raw[family]?.lines(of: hook.chain, in: "filter") ?? [] {
          for text in texts(of: line, family) { raw.add(text, family, chains, from: line.place) }
        }
      }
    }
    raw.problems.all.forEach { problems.add($0) }
    return EarlyRules.joined(said + [raw.early])
  }

  /// Once: nothing is left of them.
  private mutating func append(_ early: inout [EarlyRules.Line], _ hook: BuiltInHook) {
    for line in early { drafts[line.family].append(line.text, to: hook.chain, in: "filter", from: line.source) }
    early = []
  }

  private mutating func append(_ filter: FilterCompiler, cutting early: inout [EarlyRules.Line], at cut: Int?) {
    for (index, line) in filter.rules.lines.enumerated() {
      if index == cut { append(&early, filter.hook) }
      drafts[line.family].append(line.text, to: line.chain, in: line.table, from: line.source)
    }
  }

  /// Where the rule that accepts answers comes from, for chains that have items; nil for no such rule. One that no item
  /// says has no item's place: it is not that item which takes their packets.
  private func placeOfEstablished(_ hook: BuiltInHook, _ pieces: [Pieces]) -> (SourceLocation, isImplied: Bool)? {
    guard !composition.placesEstablished else { return nil }
    let sections = composition.policies.flatMap { policy in
      [hook.main, hook.last].map { (items: policy.sections[$0] ?? [], place: policy.sectionPlaces[$0]) }
    }
    if let said = sections.lazy.flatMap(\.items).first(where: { comesFirst($0) }) { return (said.location, false) }
    let begun = sections.first { !$0.items.isEmpty }?.place
    let forwarding = hook == .forward ? pieces.first { !$0.translation.forwards.isEmpty }?.policy : nil
    // A host that only drops on one side would else have no answers to what it lets through on the other.
    let dropping = composition.policies.lazy.compactMap { $0.defaults[hook] }.first { $0.value == .drop }?.location
    return (begun ?? forwarding?.start ?? (hook == .forward ? nil : dropping)).map { ($0, true) }
  }

  private mutating func translate(_ piece: Pieces) {
    for line in piece.translation.rules {
      drafts[line.family].append(line.text, to: line.chain, in: "nat", from: line.source)
    }
  }

  /// Counts what would have been dropped, by source and port, and writes some of it to the log.
  private mutating func observe(_ hook: BuiltInHook, _ place: SourceLocation) {
    for family in Family.allCases where composition.defaults[family][hook]?.value == .drop {
      for text in ObservingRules.texts(hook.chain, family) {
        drafts[family].append(text, to: hook.chain, in: "filter", from: place)
      }
    }
  }

  private mutating func containers(_ lists: ContainersComposition) {
    for line in lists.lines {
      _ = drafts[line.family].declare(chain: ContainerRules.chain, in: "filter", at: line.source)
      drafts[line.family].append(line.text, to: ContainerRules.chain, in: "filter", from: line.source)
    }
    lists.problems.all.forEach { problems.add($0) }
    sets.formUnion(lists.sets)
  }

  // MARK: Raw text

  private mutating func otherTables(_ policy: PolicyFile) {
    for family in Family.allCases {
      for table in policy.raw[family]?.tables ?? [] {
        drafts[family].declare(table: table.name, at: table.place)
        for chain in table.chains {
          if chain.isBuiltIn {
            // The defaults of the filter table have been joined already.
            if table.name != "filter", let said = chain.policy {
              let key = "\(family) \(table.name) \(chain.name)"
              if let other = rawDefaults[key], other.value != said {
                problems.add(
                  chain.place,
                  "default \(said) of \(chain.name) in table \(table.name) contradicts \(other.value) at \(other.location)",
                  hint: "these policies apply to the same hosts: let only one of them say it")
              }
              rawDefaults[key] = rawDefaults[key] ?? Located(said, chain.place)
              drafts[family].setPolicy(of: chain.name, in: table.name, to: said, at: chain.place)
            }
          } else if let other = drafts[family].declare(chain: chain.name, in: table.name, at: chain.place) {
            problems.add(
              chain.place, "chain \(chain.name) of table \(table.name) is declared at \(other) too",
              hint: "these policies apply to the same hosts: give one of the chains another name")
          }
          guard !(table.name == "filter" && chain.isBuiltIn) else { continue }
          raw(policy, family, table: table.name, chain: chain.name)
        }
      }
    }
  }

  private mutating func raw(_ policy: PolicyFile, _ family: Family, table: String, chain: String) {
    for line in policy.raw[family]?.lines(of: chain, in: table) ?? [] {
      for text in texts(of: line, family) { drafts[family].append(text, to: chain, in: table, from: line.place) }
    }
  }

  /// One for each controller that the line stands for.
  private func texts(of line: RawRules.Line, _ family: Family) -> [[UInt8]] {
    guard let tail = line.tail else { return [line.head] }
    return facts.controllers.filter { $0.family == family }.map { line.head + AddressPrefix($0).ruleText.utf8 + tail }
  }

  /// A bundle has rules of both families. Where all that is said is a translation of the other one's addresses, an empty
  /// table of the same kind is what that means here.
  private mutating func requireTables() {
    for family in Family.allCases where drafts[family].tables.isEmpty && problems.isEmpty {
      if let place = composition.policies.lazy.flatMap(\.translations).first?.match.location {
        drafts[family].declare(table: "nat", at: place)
      } else {
        problems.add(
          start, "the policies of host \(quoted(facts.host.id.description)) say nothing of \(family)",
          hint: "such as defaults: {input: drop}, or items below input")
      }
    }
  }

  /// Raw rules that name the controllers, and become no rule in either family, would shut everybody out.
  private mutating func requireWayIn() {
    let named = composition.policies.flatMap { policy in
      Family.allCases.compactMap { family in policy.raw[family]?.controllersPlace.map { (family, $0) } }
    }
    guard let first = named.first else { return }
    let isUseful = named.contains { family, _ in facts.controllers.contains { $0.family == family } }
    if !isUseful { problems.add(AddressResolver.noControllers(facts, at: first.1)) }
  }
}

extension RulesetDraft {
  /// `ipv6: drop-all`: nothing in, out or through, except the host with itself.
  fileprivate static func droppingAll(at place: SourceLocation) -> RulesetDraft {
    var draft = RulesetDraft()
    for hook in BuiltInHook.allCases { draft.setPolicy(of: hook.chain, in: "filter", to: "DROP", at: place) }
    draft.append("-A INPUT -i lo -j ACCEPT", to: "INPUT", in: "filter", from: place)
    draft.append("-A OUTPUT -o lo -j ACCEPT", to: "OUTPUT", in: "filter", from: place)
    return draft
  }
}
