package import Core
package import Inventory

/// Makes every host's rules of a fleet's policies and inventory.
package struct PolicyCompiler: Sendable {
  private let set: PolicySet
  private let fleet: FleetAddresses
  /// By the names of their policies.
  private let compositions: [[String]: Composition]
  private let questions: [[String]: Questions]
  /// Names of the policies that apply, by the host's groups.
  private let namesByGroups: [[String]: [String]]
  private let cache = CompileCache<CompiledPolicy>()

  /// What a host's answer depends on.
  private struct Questions: Sendable {
    var asksControllers = false
    var asksSSH = false
    /// In ASCII order.
    var variables: [String] = []
  }

  /// Checks what no host is needed for: whether every group exists, and whether policies that meet on a host agree.
  package init(_ set: PolicySet, inventory: HostInventory) throws(Diagnostics) {
    self.set = set
    fleet = FleetAddresses(inventory, pins: set.pins)
    var problems = Problems()
    Self.check(set.policies.flatMap(\.appliesTo), existIn: inventory, &problems)
    var namesByGroups: [[String]: [String]] = [:]
    var compositions: [[String]: Composition] = [:]
    var questions: [[String]: Questions] = [:]
    for host in inventory.hosts where namesByGroups[host.groups] == nil {
      let policies = Self.applying(set.policies, to: host)
      let names = policies.map(\.name)
      namesByGroups[host.groups] = names
      guard !names.isEmpty, compositions[names] == nil else { continue }
      do throws(Diagnostics) {
        compositions[names] = try Composition(policies)
        questions[names] = Self.questions(of: policies, set.common)
      } catch {
        problems.add(error)
      }
    }
    try problems.throwIfAny()
    self.namesByGroups = namesByGroups
    self.compositions = compositions
    self.questions = questions
  }

  /// Of the host, in the order of their rules; empty when none applies.
  package func policies(of host: InventoryHost) -> [String] { namesByGroups[host.groups] ?? [] }

  /// Hosts that no policy applies to, in inventory order.
  package func uncovered(in inventory: HostInventory) -> [InventoryHost] {
    inventory.hosts.filter { policies(of: $0).isEmpty }
  }

  /// A host's rules in both families.
  ///
  /// - Parameter reported: what the host last said of itself.
  /// - Parameter controllers: the management sources learnt for this host, numeric; those of its
  ///   `portcullis_controllers` are added. Order and doubles do not matter. Where a policy names the controllers and
  ///   none is known, that is an error, because nobody could manage the host any more.
  package func compile(
    for host: InventoryHost, controllers: [String], reported: ReportedFacts = .none
  ) throws(Diagnostics) -> CompiledPolicy {
    let names = policies(of: host)
    guard let composition = compositions[names], let questions = questions[names] else {
      throw Diagnostics(
        Diagnostic(
          host.location, "no policy applies to host \(quoted(host.id.description))",
          hint: "its groups are \(host.groups.joined(separator: ", ")); a policy with applies_to: all is for every host"
        ))
    }
    let facts = HostFacts(host, controllers: try Self.addresses(controllers, of: host), reported: reported)
    let key = CompileKey(
      policies: names, controllers: questions.asksControllers ? facts.controllers : [],
      sshPorts: questions.asksSSH ? facts.sshPorts : [], variables: questions.variables.map { facts.variable($0) })
    if let known = cache[key] { return known }
    var compiler = HostCompiler(composition, common: set.common, facts: facts, fleet: fleet, pins: set.pins)
    let compiled = try compiler.compile()
    cache[key] = compiled
    return compiled
  }

  /// The rules of policies alone, in their order, for a host that is in no inventory: groups and hosts that they name do
  /// not exist, and neither do variables.
  ///
  /// - Parameter names: of the policies; empty for all.
  package static func standalone(
    _ set: PolicySet, named names: [String], controllers: [String]
  ) throws(Diagnostics) -> CompiledPolicy {
    let place = SourceLocation(file: set.directory, line: 1, column: 1)
    for name in names where !set.names.contains(name) {
      throw Diagnostics(
        Diagnostic(place, "there is no policy \(quoted(name))", hint: nearestHint(name, among: set.names)))
    }
    let policies = set.policies.filter { names.isEmpty || names.contains($0.name) }
      .sorted { ($0.order, $0.name) < ($1.order, $1.name) }
    var problems = Problems()
    for key in policies.compactMap(\.beside.ownedOnly) {
      problems.add(
        key.location, "\(key.value) has no meaning in rules that stand alone: nobody else's are beside them",
        hint: "leave the policy out (--policy names the others), or let the agent apply it")
    }
    for place in policies.compactMap(\.observes) {
      problems.add(
        place, "observe has no meaning in rules that stand alone: only an agent makes the sets that it counts in",
        hint: "leave the policy out (--policy names the others), or let the agent apply it")
    }
    try problems.throwIfAny()
    return try onItsOwn(policies, set, controllers: controllers, lacksSets: true)
  }

  /// The rules that an agent would keep of these policies, also beside other people's, for a host of no inventory.
  package static func drafted(_ set: PolicySet) throws(Diagnostics) -> CompiledPolicy {
    try onItsOwn(set.policies, set, controllers: [], lacksSets: false)
  }

  private static func onItsOwn(
    _ policies: [PolicyFile], _ set: PolicySet, controllers: [String], lacksSets: Bool
  ) throws(Diagnostics) -> CompiledPolicy {
    let inventory = try HostInventory.parse(Array("all: {hosts: {standalone: {}}}\n".utf8), file: "standalone")
    let facts = HostFacts(
      inventory.hosts[0], controllers: try addresses(controllers, of: inventory.hosts[0]), isStandalone: true,
      lacksSets: lacksSets)
    var compiler = HostCompiler(
      try Composition(policies), common: set.common, facts: facts, fleet: FleetAddresses(inventory, pins: set.pins),
      pins: set.pins)
    return try compiler.compile()
  }

  static func addresses(_ texts: [String], of host: InventoryHost) throws(Diagnostics) -> [NumericAddress] {
    var sources: Set<NumericAddress> = []
    for text in texts + host.controllers {
      guard let address = NumericAddress(text) else {
        throw Diagnostics(
          Diagnostic(
            host.location,
            "management source \(quoted(text)) of host \(quoted(host.id.description)) is no numeric address"))
      }
      sources.insert(address)
    }
    return sources.sorted()
  }

  static func check(
    _ groups: [Located<String>], existIn inventory: HostInventory, _ problems: inout Problems
  ) {
    for group in groups where inventory.group(named: group.value) == nil {
      problems.add(
        group.location, "group \(quoted(group.value)) is not in the inventory",
        hint: nearestHint(group.value, among: inventory.groups.map(\.name))
          ?? "groups are \(inventory.groups.prefix(20).map(\.name).joined(separator: ", "))")
    }
  }

  /// By `order`, then the less specific group first, then by name.
  private static func applying(_ policies: [PolicyFile], to host: InventoryHost) -> [PolicyFile] {
    let depths = Dictionary(uniqueKeysWithValues: host.memberships.map { ($0.group, $0.depth) })
    let found = policies.compactMap { policy in
      policy.appliesTo.compactMap { depths[$0.value] }.max().map { (policy: policy, depth: $0) }
    }
    return found.sorted { a, b in
      if a.policy.order != b.policy.order { return a.policy.order < b.policy.order }
      if a.depth != b.depth { return a.depth < b.depth }
      return a.policy.name.utf8.lexicographicallyPrecedes(b.policy.name.utf8)
    }.map(\.policy)
  }

  private static func questions(of policies: [PolicyFile], _ common: CommonFile) -> Questions {
    var questions = Questions()
    var variables: Set<String> = []
    for mentions in policies.map({ PolicyMentions($0) }) + [PolicyMentions(common)] {
      variables.formUnion(mentions.variables)
      questions.asksControllers = questions.asksControllers || mentions.namesControllers
      questions.asksSSH = questions.asksSSH || mentions.namesSSH
    }
    for policy in policies where Family.allCases.contains(where: { policy.raw[$0]?.controllersPlace != nil }) {
      questions.asksControllers = true
    }
    questions.variables = variables.sorted()
    return questions
  }
}
