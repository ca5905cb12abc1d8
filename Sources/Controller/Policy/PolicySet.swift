package import Core
package import Inventory

/// All policies of a folder, parsed and checked; and which of them a host gets.
package struct PolicySet: Sendable {
  /// Addresses of documentation (RFC 5737, RFC 3849) that may stand for the controllers where rules are only checked.
  package static let placeholderControllers = ["192.0.2.1", "2001:db8::1"]

  package let directory: String
  /// By name in ASCII order.
  package let policies: [HostPolicy]

  private let byGroup: [String: HostPolicy]
  private let cache = CompileCache()

  /// Reads `NAME/policy.yaml` of every folder in this one; other files and hidden ones are not looked at. Everything
  /// wrong with any of them is reported at once.
  package static func load(directory: String) throws(Diagnostics) -> PolicySet {
    var directory = directory
    while directory.hasSuffix("/"), directory != "/" { directory.removeLast() }
    let place = SourceLocation(file: directory, line: 1, column: 1)
    let folders: [String]
    do throws(BoundedFile.Problem) {
      folders = try BoundedFile.names(in: directory).filter { BoundedFile.isDirectory(directory + "/" + $0) }
    } catch {
      throw Diagnostics(Diagnostic(place, "cannot read the policies: \(error.description)"))
    }
    guard !folders.isEmpty else {
      throw Diagnostics(
        Diagnostic(place, "the folder holds no policy", hint: "a policy is a folder NAME with a policy.yaml in it"))
    }
    var problems = Problems()
    var policies: [HostPolicy] = []
    var byGroup: [String: HostPolicy] = [:]
    for folder in folders {
      var reader = PolicyReader(directory: directory, folderName: folder)
      let policy = reader.read()
      reader.problems.all.forEach { problems.add($0) }
      guard let policy else { continue }
      policies.append(policy)
      if let other = byGroup.updateValue(policy, forKey: policy.appliesTo) {
        problems.add(
          policy.location,
          "policies \(quoted(other.name)) and \(quoted(policy.name)) both apply to group \(quoted(policy.appliesTo))",
          hint: "a host gets one policy: join them, or give one of them a group of its own")
      }
    }
    try problems.throwIfAny()
    return PolicySet(directory: directory, policies: policies, byGroup: byGroup)
  }

  private init(directory: String, policies: [HostPolicy], byGroup: [String: HostPolicy]) {
    self.directory = directory
    self.policies = policies
    self.byGroup = byGroup
  }

  /// Whether every policy's group exists, and no host gets two. Hosts without a policy are no error here:
  /// see `uncovered(in:)`.
  package func check(against inventory: HostInventory) throws(Diagnostics) {
    var problems = Problems()
    for policy in policies where inventory.group(named: policy.appliesTo) == nil {
      problems.add(
        policy.location, "group \(quoted(policy.appliesTo)) is not in the inventory",
        hint: nearestHint(policy.appliesTo, among: inventory.groups.map(\.name))
          ?? "groups are \(inventory.groups.prefix(20).map(\.name).joined(separator: ", "))")
    }
    var ambiguous: [[String]: [InventoryHost]] = [:]
    for host in inventory.hosts {
      let names = mostSpecific(for: host).map(\.policy.name)
      if names.count > 1 { ambiguous[names, default: []].append(host) }
    }
    for hosts in ambiguous.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }).map(\.value) {
      problems.add(ambiguity(mostSpecific(for: hosts[0]), hosts: Folding.fold(hosts.map(\.id.description))))
    }
    try problems.throwIfAny()
  }

  /// Hosts that no policy applies to, in inventory order.
  package func uncovered(in inventory: HostInventory) -> [InventoryHost] {
    inventory.hosts.filter { mostSpecific(for: $0).isEmpty }
  }

  /// The policy whose group is the most specific one of the host. Two at the same depth, or none, is an error.
  package func policy(for host: InventoryHost) throws(Diagnostics) -> HostPolicy {
    let candidates = mostSpecific(for: host)
    guard let first = candidates.first else {
      throw Diagnostics(
        Diagnostic(
          host.location, "no policy applies to host \(quoted(host.id.description))",
          hint: "its groups are \(host.groups.joined(separator: ", ")); a policy with applies_to: all is for every host"
        ))
    }
    guard candidates.count == 1 else {
      throw Diagnostics(ambiguity(candidates, hosts: host.id.description))
    }
    return first.policy
  }

  /// A host's rules in both families.
  ///
  /// - Parameter controllers: the management sources learnt for this host, numeric; those of its
  ///   `portcullis_controllers` are added. Order and doubles do not matter. When the policy names the controllers and no
  ///   rule comes of it in either family, that is an error, because nobody could manage the host any more.
  package func compile(for host: InventoryHost, controllers: [String]) throws(Diagnostics) -> CompiledPolicy {
    let policy = try policy(for: host)
    var sources: Set<NumericAddress> = []
    for text in controllers + host.controllers {
      guard let address = NumericAddress(text) else {
        throw Diagnostics(
          Diagnostic(
            host.location,
            "management source \(quoted(text)) of host \(quoted(host.id.description)) is no numeric address"))
      }
      sources.insert(address)
    }
    let sorted = policy.mentionsControllers ? sources.sorted() : []
    if let known = cache[policy.name, sorted] { return known }
    let perFamily = PerFamily { family in sorted.filter { $0.family == family } }
    if let place = policy.firstControllersRule {
      let isUseful = Family.allCases.contains { family in
        policy.templates[family].firstControllersRule != nil && !perFamily[family].isEmpty
      }
      guard isUseful else {
        throw Diagnostics(
          Diagnostic(
            place,
            "host \(quoted(host.id.description)) has no management source for this rule, so no controller could reach it",
            hint: "enroll it (portcullis enroll \(host.id)), or give it portcullis_controllers in the inventory"))
      }
    }
    if let place = policy.containersNameControllers, sorted.isEmpty {
      throw Diagnostics(
        Diagnostic(
          place, "host \(quoted(host.id.description)) has no management source for this item",
          hint: "enroll it (portcullis enroll \(host.id)), or give it portcullis_controllers in the inventory"))
    }
    let compiled = CompiledPolicy(policy: policy, sources: perFamily)
    for family in Family.allCases where compiled.rules[family].count > BundleFile.rules(family).maximumSize {
      throw Diagnostics(
        Diagnostic(
          policy.location, "the \(family) rules for host \(quoted(host.id.description)) are larger than 8 MiB"))
    }
    cache[policy.name, sorted] = compiled
    return compiled
  }

  private func mostSpecific(for host: InventoryHost) -> [(policy: HostPolicy, group: GroupMembership)] {
    var found: [(policy: HostPolicy, group: GroupMembership)] = []
    for membership in host.memberships.reversed() {
      if let depth = found.first?.group.depth, membership.depth < depth { break }
      if let policy = byGroup[membership.group] { found.append((policy, membership)) }
    }
    return found.sorted { $0.policy.name.utf8.lexicographicallyPrecedes($1.policy.name.utf8) }
  }

  private func ambiguity(
    _ candidates: [(policy: HostPolicy, group: GroupMembership)], hosts: String
  ) -> Diagnostic {
    let all = candidates.map { "\(quoted($0.policy.name)) (group \(quoted($0.group.group)))" }
    return Diagnostic(
      candidates.last!.policy.location,
      "policies \(all.joined(separator: " and ")) apply to \(hosts) alike",
      hint: "make one group a child of the other, or give these hosts a group and a policy of their own")
  }
}
