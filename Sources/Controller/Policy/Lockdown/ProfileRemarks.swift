internal import Core
internal import Inventory

extension PolicySet {
  /// What is likely not meant of lockdown profiles.
  func profileRemarks(_ inventory: HostInventory) -> [PolicyRemark] {
    profiles.flatMap { profile in
      let mentions = PolicyMentions(profile)
      return Self.unused(
        profile.definitions, mentions.setNames, Set(mentions.services.map(\.value)), [],
        in: "lockdown/\(profile.name)") + withoutHosts(profile, inventory) + withoutDNS(profile)
    } + sameRanks()
  }

  private func withoutHosts(_ profile: ProfileFile, _ inventory: HostInventory) -> [PolicyRemark] {
    let groups = profile.appliesTo.compactMap { inventory.group(named: $0.value) }
    guard let first = profile.appliesTo.first, groups.allSatisfy(\.hostIndices.isEmpty) else { return [] }
    return [
      PolicyRemark(
        kind: .policyWithoutHosts,
        diagnostic: Diagnostic(
          first.location, "lockdown profile \(quoted(profile.name.description)) applies to no host",
          hint: "\(profile.appliesTo.map { quoted($0.value) }.joined(separator: ", ")) has no hosts"),
        subject: "lockdown/\(profile.name)")
    ]
  }

  /// Services that go on are of little use to whoever waits for a name with each request.
  private func withoutDNS(_ profile: ProfileFile) -> [PolicyRemark] {
    guard profile.dropped.contains(.output), !profile.dropped.contains(.input) else { return [] }
    let accepted = (profile.items[.output] ?? []).filter { if case .accept = $0.action { true } else { false } }
    let definitions = Definitions(own: profile.definitions, common: common)
    let asksNames = ((profile.keep[.output] ?? []) + accepted.map(\.match)).contains { match in
      match.isEverything || match.protocols.contains(PortTransport.udp.number)
        || match.ports.contains { $0.transport == .udp && $0.ports.contains { Self.isDNS($0.value) } }
        || match.services.contains { service in
          (definitions.service(service.value) ?? []).contains { port in
            if case .ports(.udp, let range) = port { Self.isDNS(.range(range)) } else { false }
          }
        }
    }
    guard !asksNames else { return [] }
    return [
      PolicyRemark(
        kind: .lockdownWithoutDNS,
        diagnostic: Diagnostic(
          profile.place, "lockdown profile \(quoted(profile.name.description)) serves on, and asks no DNS server",
          hint: "such as keep: {output: [{service: dns, to: resolvers}]}"),
        subject: "lockdown/\(profile.name)")
    ]
  }

  /// A variable may be anything.
  private static func isDNS(_ port: PortOperand) -> Bool {
    switch port {
    case .range(let range): (range.first...range.last).contains(53)
    case .variable: true
    }
  }

  /// Allowed: neither is lower. Said, since one can replace the other on a locked host.
  private func sameRanks() -> [PolicyRemark] {
    let byRank = profiles.sorted { ($0.rank, $0.name) < ($1.rank, $1.name) }
    return zip(byRank, byRank.dropFirst()).compactMap { profile, next in
      guard profile.rank == next.rank else { return nil }
      return PolicyRemark(
        kind: .sameRank,
        diagnostic: Diagnostic(
          next.place, "lockdown profiles \(profile.name) and \(next.name) have the same rank \(next.rank)",
          hint: "a locked host may be given either in the other's place; give the stricter one a higher rank"),
        subject: "lockdown/\(profile.name) lockdown/\(next.name)")
    }
  }
}
