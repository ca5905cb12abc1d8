package import Core
package import Inventory
package import Policy
package import Release
package import Rollout
package import Store

/// What the files people review make of every host, before anything is signed.
package struct Drafts: Sendable {
  /// A manifest but for its serial, and the rules it names.
  package struct Draft: Sendable {
    package let host: InventoryHost
    package let beside: BesideOthers
    /// Families in which forwarded packets that no rule of the policy accepts are dropped.
    package let dropsForward: [Family]
    package let labels: [String]
    package let sources: [String]
    let compiled: CompiledPolicy
    package let rules: PerFamily<RulesText>
    /// Nil when the policy needs no ipsets.
    package let sets: RulesText?
    /// Nil when the policy makes no kernel settings.
    package let sysctl: RulesText?
    /// By name.
    package let profiles: [ProfileTexts]
    /// Of the manifest without its serial.
    package let content: Digest

    package var mode: Manifest.Mode {
      switch beside.mode {
      case .owned: .owned
      case .exclusive: .exclusive
      }
    }

    /// - Parameter grants: what the host may do once for this release; they are not part of its content.
    package func manifest(fleet: FleetID, serial: Serial, grants: [Grant] = []) throws -> Manifest {
      try Manifest(
        fleet: fleet, host: host.id, serial: serial, grants: grants, mode: mode,
        forwardsForeign: beside.forwardsForeign, deniesForeign: beside.deniesForeign,
        foreignAllowed: beside.foreignAllowed, labels: labels,
        sources: sources, files: rules.map { _, text in file(text) }, sets: sets.map(file), sysctl: sysctl.map(file),
        profiles: try profiles.map {
          try ProfileEntry(name: $0.name, rank: $0.rank, files: $0.rules.map { _, text in file(text) })
        })
    }

    private func file(_ text: RulesText) -> Manifest.File {
      Manifest.File(size: text.bytes.count, digest: text.digest)
    }
  }

  package let fleet: FleetID
  /// Enrolled hosts that a policy applies to, by name.
  package let byHost: [HostID: Draft]
  package let enrolled: Set<HostID>
  /// Hosts of the inventory that no policy applies to.
  package let uncovered: Set<HostID>

  /// Compiles every enrolled host, so that one mistake anywhere shows before anything happens.
  package static func compile(
    _ workspace: Workspace, enrolments: [HostID: Store.Enrolment], reported: [HostID: ReportedFacts] = [:]
  ) throws -> Drafts {
    let inventory = try workspace.inventory()
    let policies = try workspace.policies()
    let compiler = try PolicyCompiler(policies, inventory: inventory)
    let lockdowns = try LockdownCompiler(policies, inventory: inventory)
    let fleet = workspace.configuration.fleet
    var problems = Problems()
    var byHost: [HostID: Draft] = [:]
    let uncovered = Set(compiler.uncovered(in: inventory).map(\.id))
    var texts = TextCache()
    for host in inventory.hosts where !uncovered.contains(host.id) {
      guard let enrolment = enrolments[host.id] else { continue }
      let sources = (enrolment.controllers + host.controllers + workspace.configuration.controllers)
        .compactMap { NumericAddress($0)?.description }
      do throws(Diagnostics) {
        let said = reported[host.id] ?? .none
        let compiled = try compiler.compile(for: host, controllers: sources, reported: said)
        let profiles = try lockdowns.compile(for: host, controllers: sources, reported: said)
        byHost[host.id] = try draft(host, compiled, profiles, sources: sources, fleet: fleet, &texts)
      } catch {
        problems.add(error)
      }
    }
    try problems.throwIfAny()
    return Drafts(fleet: fleet, byHost: byHost, enrolled: Set(enrolments.keys), uncovered: uncovered)
  }

  private static func draft(
    _ host: InventoryHost, _ compiled: CompiledPolicy, _ lockdowns: [CompiledProfile], sources: [String],
    fleet: FleetID, _ texts: inout TextCache
  ) throws(Diagnostics) -> Draft {
    let rules = compiled.rules.map { family, bytes in texts.text(bytes, compiled.digests[family]) }
    let sets = compiled.sets.map { texts.text($0, Digest(of: $0)) }
    let sysctl = compiled.sysctl.map { texts.text($0, Digest(of: $0)) }
    let profiles = lockdowns.map { profile in
      ProfileTexts(
        name: profile.name, rank: profile.rank,
        rules: profile.rules.map { family, bytes in texts.text(bytes, profile.digests[family]) })
    }
    // Nobody manages a host over a family that its policy closes: the knock would find those doors shut.
    let open = sources.filter { source in !compiled.closesIPv6 || NumericAddress(source)?.family != .ipv6 }
    func draft(_ content: Digest) -> Draft {
      Draft(
        host: host, beside: compiled.beside, dropsForward: compiled.dropsForward, labels: host.groups + host.labels,
        sources: open, compiled: compiled, rules: rules, sets: sets, sysctl: sysctl, profiles: profiles,
        content: content)
    }
    do {
      return draft(try draft(Digest(of: [])).manifest(fleet: fleet, serial: Serial(1)).contentDigest)
    } catch {
      throw Diagnostics(Diagnostic(host.location, "host \(host.id) cannot have a manifest: \(error)"))
    }
  }

  /// Hosts with the same rules share one text and one digest of it.
  fileprivate struct TextCache {
    private var known: [Digest: RulesText] = [:]

    mutating func text(_ bytes: [UInt8], _ digest: Digest) -> RulesText {
      if let text = known[digest] { return text }
      let text = RulesText(bytes)
      known[digest] = text
      return text
    }
  }
}
