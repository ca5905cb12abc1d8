package import Core
package import Inventory

/// Makes every host's lockdown profiles of those in `policies/lockdown`.
package struct LockdownCompiler: Sendable {
  private let profiles: [ProfileFile]
  private let common: CommonFile
  private let pins: NamePins
  /// Nil when there are no profiles.
  private let fleet: FleetAddresses?
  private let jumps: JumpWays
  private let variables: [String]
  private let cache = CompileCache<[CompiledProfile]>()

  /// Checks what no host is needed for: whether every group exists.
  package init(_ set: PolicySet, inventory: HostInventory) throws(Diagnostics) {
    profiles = set.profiles
    common = set.common
    pins = set.pins
    fleet = profiles.isEmpty ? nil : FleetAddresses(inventory, pins: set.pins)
    jumps = JumpWays(inventory, pins: set.pins)
    let mentions = profiles.map { PolicyMentions($0) } + [PolicyMentions(set.common)]
    variables = mentions.reduce(into: Set()) { $0.formUnion($1.variables) }.sorted()
    var problems = Problems()
    PolicyCompiler.check(profiles.flatMap(\.appliesTo), existIn: inventory, &problems)
    try problems.throwIfAny()
  }

  /// Of the host, by name; empty when none applies.
  ///
  /// - Parameters:
  ///   - reported: what the host last said of itself.
  ///   - controllers: the management sources learnt for this host, numeric; those of its `portcullis_controllers` are
  ///     added. Where there is a profile and none of them is known, that is an error, because nobody could lift it.
  package func compile(
    for host: InventoryHost, controllers: [String], reported: ReportedFacts = .none
  ) throws(Diagnostics) -> [CompiledProfile] {
    let groups = Set(host.groups)
    let applying = profiles.filter { profile in profile.appliesTo.contains { groups.contains($0.value) } }
    guard let fleet, !applying.isEmpty else { return [] }
    guard applying.count <= BundleFile.maximumProfiles else {
      throw Diagnostics(
        Diagnostic(
          applying[BundleFile.maximumProfiles].place,
          "\(applying.count) lockdown profiles apply to host \(quoted(host.id.description)), more than the \(BundleFile.maximumProfiles) that a bundle has",
          hint: "they are \(applying.map(\.name.description).joined(separator: ", "))"))
    }
    let facts = HostFacts(
      host, controllers: try PolicyCompiler.addresses(controllers, of: host), reported: reported, lacksSets: true)
    let key = CompileKey(
      policies: applying.map(\.name.description), controllers: facts.controllers, sshPorts: facts.sshPorts,
      variables: variables.map { facts.variable($0) }, ways: jumps[host.id])
    if let known = cache[key] { return known }
    var problems = Problems()
    var compiled: [CompiledProfile] = []
    for profile in applying {
      var compiler = ProfileCompiler(
        profile, common: common, facts: facts, ways: jumps[host.id], fleet: fleet, pins: pins)
      do throws(Diagnostics) { compiled.append(try compiler.compile()) } catch { problems.add(error) }
    }
    try problems.throwIfAny()
    cache[key] = compiled
    return compiled
  }
}
