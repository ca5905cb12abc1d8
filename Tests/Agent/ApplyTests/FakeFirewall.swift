import Apply
import Core
import Glibc
import Ruleset
import Wire

/// A kernel's packet filter that parses real restore input and prints like the real programs do: table by table, with
/// counters, dates, and in the order of its backend.
final class FakeFirewall: HostFirewall {
  typealias Kernel = PerFamily<[String: RuleTable]>

  let faults: Faults
  var sets = FakeSets()
  /// The host's ipset program.
  var hasSetProgram = true
  /// It does not end: so much time is lost each time.
  var hang: ((Duration) -> Void)?
  var backend = Backend.nft
  var version = "1.8.9"
  var kernel = Kernel(ipv4: [:], ipv6: [:])
  /// Another writer, at work just before the rules are read.
  var beforeSave: ((FakeFirewall, Family) -> Void)?
  /// A program that does something else than it was told, while it says it succeeded.
  var corruptRehearsal: ((Kernel) -> Kernel)?
  var rehearsalProblem: FirewallProblem?
  var beforeRehearsal: ((FakeFirewall) -> Void)?
  /// Loads of this family's text fail as long as it contains these words.
  var poison: (family: Family, words: String)?
  /// Of a save program that cannot print what the kernel holds.
  var saveProblem: FirewallProblem?
  /// How this version prints a rule.
  var wording: (String) -> String = { $0 }
  /// Another writer, at work after the rules were read and before they are loaded.
  var beforeLoad: ((FakeFirewall, Family) -> Void)?
  /// What the knock comes to.
  var knock: ([KnockPath]) -> KnockResult = { _ in .passed }
  /// What the knock at a layer comes to, by its IPv4 text.
  var layerKnock: (String) -> KnockResult = { _ in .passed }
  /// A layer's text with these words does not load into a scratch stack.
  var layerPoison: String?
  /// Ports at which strangers are answered whatever layer is loaded.
  var answered: [UInt16] = []
  /// The host's own rules do not load into a scratch stack.
  var withoutLive: String?
  private(set) var rehearsals: [Rehearsal] = []
  private(set) var limits: [Duration] = []
  /// IPv4 tables that hold what the save program cannot say.
  var unspeakable: Set<String> = []
  /// So many of the next loads are refused, with nothing changed.
  var refusals = 0
  private(set) var loads = 0
  /// What each cut comes to, the last one again and again.
  var cuts = [0]
  var cutProblem: FirewallProblem?
  /// What each cut spared.
  private(set) var spared: [[FlowPattern]] = []
  var programsProblem: FirewallProblem?
  /// A poisoned load changes nothing.
  var poisonIsEmpty = false
  /// Right after a load was done.
  var afterLoad: ((FakeFirewall, Family) -> Void)?

  init(faults: Faults) { self.faults = faults }

  func programs() throws(FirewallProblem) -> FirewallPrograms {
    if faults.isDead { throw broken("iptables", nil) }
    if let programsProblem { throw programsProblem }
    return FirewallPrograms(backend: backend, version: version)
  }

  func rehearse(_ rehearsal: Rehearsal) throws(FirewallProblem) -> Rehearsed {
    beforeRehearsal?(self)
    if faults.verdict("rehearse") != .proceed { throw broken("rehearse-child", nil) }
    if let rehearsalProblem { throw rehearsalProblem }
    rehearsals.append(rehearsal)
    var scratch = Kernel(ipv4: [:], ipv6: [:])
    var scratchSets = sets
    try scratchSets.run(rehearsal.sets, used: [], exist: true)
    for family in Family.allCases {
      if let live = rehearsal.live, withoutLive == nil {
        for table in try tables(in: live[family], family) { replace(table, in: &scratch[family]) }
      }
      let text = rehearsal.texts[family]
      try RestoreInterpreter.run(text, on: &scratch[family], family, backend)
    }
    try scratchSets.requireAll(namedIn: scratch)
    if let corruptRehearsal { scratch = corruptRehearsal(scratch) }
    return Rehearsed(
      saved: scratch.map { _, tables in printed(tables) }, withoutLive: rehearsal.live == nil ? nil : withoutLive,
      knock: rehearsal.knock.isEmpty ? nil : knock(rehearsal.knock),
      layers: rehearsal.layers.map { rehearse($0, above: scratch, isKnockedAt: !rehearsal.knock.isEmpty) })
  }

  private func rehearse(_ layer: LayerRehearsal, above scratch: Kernel, isKnockedAt: Bool) -> LayerRehearsed {
    do {
      let printed = try PerFamily { family in
        if let layerPoison, layer.texts[family].firstRange(of: Array(layerPoison.utf8)) != nil {
          throw FirewallProblem(.refused, program: "restore", family: family, words: "no such match")
        }
        let saved = try Ruleset.parse(save: self.printed(scratch[family]), file: "scratch")
        var tables: [String: RuleTable] = [:]
        for table in LockLayer.split(saved).beneath.tables { tables[table.name] = table }
        try RestoreInterpreter.run(
          RestoreText(layer.texts[family], keepsOthers: true), on: &tables, family, backend)
        return LockLayer.split(try Ruleset.parse(save: self.printed(tables), file: "scratch")).layer.canonical()
      }
      let text = String(decoding: layer.texts.ipv4, as: UTF8.self)
      return .loaded(
        LoadedLayer(printed: printed, knock: isKnockedAt ? layerKnock(text) : nil, answered: answered))
    } catch {
      return .refused("\(error)")
    }
  }

  func load(_ text: RestoreText, into family: Family, within limit: Duration) throws(FirewallProblem) {
    beforeLoad?(self, family)
    let verdict = faults.verdict("load \(family)")
    limits.append(limit)
    if verdict == .nothing { throw broken("restore", family) }
    loads += 1
    if refusals > 0 {
      refusals -= 1
      throw FirewallProblem(.refused, program: "restore", family: family, words: "it does not fit")
    }
    // Restore commits table by table: a failure may leave the first ones changed.
    var part: Int?
    if verdict != .proceed {
      let count = text.bytes.split(separator: 10).count { $0.first == UInt8(ascii: "*") }
      part = count <= 1 ? 0 : max(1, count / 2)
    }
    let before = kernel
    try RestoreInterpreter.run(text, on: &kernel[family], family, backend, tables: part)
    do throws(FirewallProblem) { try sets.requireAll(namedIn: kernel) } catch {
      kernel = before
      throw error
    }
    if verdict != .proceed { throw broken("restore", family) }
    if let poison, poison.family == family, text.bytes.firstRange(of: Array(poison.words.utf8)) != nil {
      if poisonIsEmpty { kernel = before }
      throw FirewallProblem(.refused, program: "restore", family: family, words: "poisoned")
    }
    afterLoad?(self, family)
  }

  func cutFlows(sparing patterns: [FlowPattern], within limit: Duration) throws(FirewallProblem) -> Int {
    spared.append(patterns)
    if faults.verdict("cut") != .proceed { throw broken("ctnetlink", nil) }
    if let cutProblem { throw cutProblem }
    return cuts.count > 1 ? cuts.removeFirst() : cuts[0]
  }

  func listFlows(within limit: Duration) throws(FirewallProblem) {
    if let cutProblem { throw cutProblem }
  }

  func save(_ family: Family, table: String?) throws(FirewallProblem) -> [UInt8] {
    if faults.verdict("save \(family)") != .proceed { throw broken("save", family) }
    if let saveProblem, saveProblem.family == family { throw saveProblem }
    beforeSave?(self, family)
    return printed(
      kernel[family].filter { table == nil || $0.key == table }, leavingOut: family == .ipv4 ? unspeakable : [])
  }

  /// What the other backend's programs print.
  var otherBackend = PerFamily<[UInt8]?>(ipv4: nil, ipv6: nil)
  var otherBackendProblem: FirewallProblem?
  var otherLoadProblem: FirewallProblem?
  var otherBackendIsAsked: () -> Void = {}
  var unprinted: [String] = []
  /// What nf_tables holds besides the tables of the programs.
  var otherTables: [NftablesTable] = []
  /// Makes the kernel's own words of a table others than they were.
  var distort: ((inout NftablesTable) -> Void)?
  var nftablesProblem: FirewallProblem?
  /// Fails where sets of this scope are asked for.
  var unreadableScope: SetScope?
  var hasNftables = true

  func saveOtherBackend(_ family: Family) throws(FirewallProblem) -> [UInt8]? {
    otherBackendIsAsked()
    if let otherBackendProblem { throw otherBackendProblem }
    return otherBackend[family]
  }

  func loadOtherBackend(
    _ text: RestoreText, into family: Family, within limit: Duration
  ) throws(FirewallProblem) {
    if let otherLoadProblem { throw otherLoadProblem }
    var other: [String: RuleTable] = [:]
    for table in try tables(in: otherBackend[family] ?? [], family) { other[table.name] = table }
    try RestoreInterpreter.run(text, on: &other, family, backend.other)
    otherBackend[family] = printed(other)
  }

  func unprintedTables(_ family: Family) -> [String] { family == .ipv4 ? unprinted : [] }

  /// Whose sets were looked into, each time that nf_tables was read.
  private(set) var scopes: [SetScope] = []

  func nftables(sets scope: SetScope) throws(FirewallProblem) -> NftablesState? {
    scopes.append(scope)
    if let nftablesProblem { throw nftablesProblem }
    if scope == unreadableScope {
      throw FirewallProblem(.unavailable, program: "nf_tables", family: nil, words: "busy")
    }
    guard hasNftables else { return nil }
    let own =
      backend == .nft ? Family.allCases.flatMap { family in kernel[family].values.map { table(family, $0) } } : []
    return NftablesState(generation: 1, tables: own + otherTables)
  }

  private func table(_ family: Family, _ table: RuleTable) -> NftablesTable {
    let builtIn = BuiltInChains.chains(of: table.name) ?? []
    var found = NftablesTable(
      family: NftablesFamily(family), name: table.name,
      chains: table.chains.map { chain in
        NftablesChain(
          name: chain.name,
          hook: builtIn.contains(chain.name) ? KernelHooks.expected(table: table.name, chain: chain.name) : nil,
          rules: chain.rules.count, drops: true, digest: Digest(of: chain.rules.flatMap(\.text)),
          notable: Self.notable(chain))
      })
    distort?(&found)
    return found
  }

  private static func notable(_ chain: RuleChain) -> [NotableRule] {
    chain.rules.enumerated().compactMap { position, rule in
      let words = String(decoding: rule.bytes, as: UTF8.self).split(separator: " ").map(String.init)
      guard let target = words.last, words.count > 2, ["-j", "-g"].contains(words[words.count - 2]),
        OwnedNames.isOurs(target)
      else { return nil }
      return NotableRule(
        position: position, digest: Digest(of: rule.text), isNative: false, mayPass: true, calls: target,
        isUnconditional: words.count == 4)
    }
  }

  func setNames(within limit: Duration) throws(FirewallProblem) -> [String] {
    try requireSetProgram(within: limit)
    if faults.verdict("ipset list") != .proceed { throw broken("ipset", nil) }
    return sets.all.keys.sorted()
  }

  func saveSet(_ name: String, within limit: Duration) throws(FirewallProblem) -> [UInt8] {
    try requireSetProgram(within: limit)
    if faults.verdict("ipset save") != .proceed { throw broken("ipset", nil) }
    return try sets.saved(name)
  }

  func setLists(within limit: Duration) throws(FirewallProblem) -> [String: [String]] {
    try requireSetProgram(within: limit)
    return sets.all.filter { $0.value.type.hasPrefix("list:set") }.mapValues { $0.members.sorted() }
  }

  func changeSets(_ text: [UInt8], within limit: Duration) throws(FirewallProblem) {
    try requireSetProgram(within: limit)
    let verdict = faults.verdict("ipset restore")
    if verdict == .nothing { throw broken("ipset", nil) }
    let lines = text.split(separator: 10).count
    try sets.run(text, used: FakeSets.names(in: kernel), lines: verdict == .proceed ? lines : lines / 2)
    if verdict != .proceed { throw broken("ipset", nil) }
  }

  private func requireSetProgram(within limit: Duration) throws(FirewallProblem) {
    if let hang {
      hang(limit)
      throw FirewallProblem(.timedOut, program: "ipset", family: nil, words: "it was killed")
    }
    guard hasSetProgram else {
      throw FirewallProblem(.unavailable, program: "ipset", family: nil, words: "install the package ipset")
    }
  }

  /// Someone else's `iptables -A`.
  func append(_ rule: String, to table: String, _ family: Family) {
    let chain = String(rule.split(separator: " ")[1])
    var found = kernel[family][table] ?? RuleTable(name: table, chains: Self.builtIn(table))
    for index in found.chains.indices where found.chains[index].name == chain {
      found.chains[index].rules.append(Rule(text: Array(rule.utf8)))
    }
    kernel[family][table] = found
  }

  func setPolicy(_ policy: String, of chain: String, _ table: String, _ family: Family) {
    guard let index = kernel[family][table]?.chains.firstIndex(where: { $0.name == chain }) else { return }
    kernel[family][table]?.chains[index].policy = policy
  }

  /// Someone else's `iptables -I`, written as `-A`.
  func insert(_ rule: String, to table: String, _ family: Family) {
    let chain = String(rule.split(separator: " ")[1])
    guard let place = kernel[family][table]?.chains.firstIndex(where: { $0.name == chain }) else { return }
    kernel[family][table]?.chains[place].rules.insert(Rule(text: Array(rule.utf8)), at: 0)
  }

  /// What the kernel filters, canonical.
  func canonical(_ family: Family) -> String {
    let tables = kernel[family].values.sorted { $0.name < $1.name }
    return String(decoding: Ruleset(tables: tables).canonical(), as: UTF8.self)
  }

  // MARK: - Parts

  static func builtIn(_ table: String) -> [RuleChain] {
    (BuiltInChains.chains(of: table) ?? []).map { RuleChain(name: $0, policy: "ACCEPT") }
  }

  private func tables(in input: [UInt8], _ family: Family) throws(FirewallProblem) -> [RuleTable] {
    guard !input.isEmpty else { return [] }
    do {
      return try Ruleset.parse(save: input, file: "input").tables
    } catch {
      throw FirewallProblem(.refused, program: "restore", family: family, words: "\(error.all)")
    }
  }

  private func replace(_ table: RuleTable, in tables: inout [String: RuleTable]) {
    RestoreInterpreter.replace(table, in: &tables, backend)
  }

  private func printed(_ tables: [String: RuleTable], leavingOut unspeakable: Set<String> = []) -> [UInt8] {
    var text = ""
    let names = tables.keys.sorted()
    for name in backend == .nft ? names : names.reversed() {
      guard let table = tables[name] else { continue }
      guard !unspeakable.contains(name) else {
        text += "# Table `\(name)' is incompatible, use 'nft' tool.\n"
        continue
      }
      text += "# Generated by iptables-save v\(version) on Sat Nov 21 01:02:03 2026\n*\(name)\n"
      for chain in table.chains { text += ":\(chain.name) \(chain.policy ?? "-") [\(loads):\(loads * 60)]\n" }
      for chain in table.chains {
        for rule in chain.rules { text += wording(String(decoding: rule.bytes, as: UTF8.self)) + "\n" }
      }
      text += "COMMIT\n# Completed on Sat Nov 21 01:02:03 2026\n"
    }
    return Array(text.utf8)
  }

  private func broken(_ program: String, _ family: Family?) -> FirewallProblem {
    let kind: FirewallProblem.Kind =
      switch faults.errno {
      case ENOSPC: .refused
      case ENOMEM: .timedOut
      default: .unavailable
      }
    return FirewallProblem(kind, program: program, family: family, words: "no such luck")
  }
}
