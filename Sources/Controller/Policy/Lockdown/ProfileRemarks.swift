internal import Core
internal import Inventory

extension PolicySet {
  /// What is likely not meant of lockdown profiles.
  func profileRemarks(_ inventory: HostInventory) -> [PolicyRemark] {
    guard !profiles.isEmpty else { return [] }
    let jumps = JumpWays(inventory, pins: pins)
    return profiles.flatMap { profile -> [PolicyRemark] in
      let mentions = PolicyMentions(profile)
      var remarks = Self.unused(
        profile.definitions, mentions.setNames, Set(mentions.services.map(\.value)), [],
        in: "lockdown/\(profile.name)")
      remarks += withoutHosts(profile, inventory)
      remarks += withoutDNS(profile)
      remarks += withoutTime(profile)
      remarks += losingJumps(profile, jumps, inventory)
      return remarks
    } + sameRanks() + higherRanksThatOpen()
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
    guard profile.dropped.contains(.output), !profile.dropped.contains(.input), !asks(53, profile) else { return [] }
    return [
      PolicyRemark(
        kind: .lockdownWithoutDNS,
        diagnostic: Diagnostic(
          profile.place, "lockdown profile \(quoted(profile.name.description)) serves on, and asks no DNS server",
          hint: "such as keep: {output: [{service: dns, to: resolvers}]}"),
        subject: "lockdown/\(profile.name)")
    ]
  }

  /// A locked host whose clock runs away refuses the orders and keys of its owners.
  private func withoutTime(_ profile: ProfileFile) -> [PolicyRemark] {
    guard profile.dropped.contains(.output), !asks(123, profile) else { return [] }
    return [
      PolicyRemark(
        kind: .lockdownWithoutTime,
        diagnostic: Diagnostic(
          profile.place, "lockdown profile \(quoted(profile.name.description)) asks nobody for the time",
          hint: "such as keep: {output: [{service: ntp, to: clocks}]}"),
        subject: "lockdown/\(profile.name)")
    ]
  }

  /// Who is jumped through looks the next host up itself.
  private func losingJumps(_ profile: ProfileFile, _ jumps: JumpWays, _ inventory: HostInventory) -> [PolicyRemark] {
    guard profile.dropped.contains(.output) else { return [] }
    let asksDNS = asks(53, profile)
    return inventory.hosts.compactMap { host in
      let lost = (jumps.lookedUp[host.id] ?? []).filter { !asksDNS || !$0.isPinned }.map(\.name)
      let groups = Set(host.groups)
      guard !lost.isEmpty, profile.appliesTo.contains(where: { groups.contains($0.value) }) else { return nil }
      return PolicyRemark(
        kind: .lockdownLosesJumps,
        diagnostic: Diagnostic(
          profile.place,
          "lockdown profile \(quoted(profile.name.description)) leaves host \(quoted(host.id.description)) no way to look up \(Folding.fold(lost)) behind it",
          hint: "give a numeric ansible_host, or pin the names (portcullis resolve) and keep the way to the DNS servers"
        ),
        subject: "lockdown/\(profile.name) \(host.id)")
    }
  }

  /// Whether the host may begin to ask somebody at this port of UDP.
  private func asks(_ port: UInt16, _ profile: ProfileFile) -> Bool {
    let accepted = (profile.items[.output] ?? []).filter { if case .accept = $0.action { true } else { false } }
    let definitions = Definitions(own: profile.definitions, common: common)
    return ((profile.keep[.output] ?? []) + accepted.map(\.match)).contains { match in
      match.isEverything || match.protocols.contains(PortTransport.udp.number)
        || match.ports.contains { $0.transport == .udp && $0.ports.contains { Self.includes(port, $0.value) } }
        || match.services.contains { service in
          (definitions.service(service.value) ?? []).contains {
            if case .ports(.udp, let range) = $0 { Self.includes(port, .range(range)) } else { false }
          }
        }
    }
  }

  /// A variable may be anything.
  private static func includes(_ port: UInt16, _ operand: PortOperand) -> Bool {
    switch operand {
    case .range(let range): (range.first...range.last).contains(port)
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

  /// A rank is its author's word; hosts go by what is dropped, and refuse it in the place of the lower one.
  private func higherRanksThatOpen() -> [PolicyRemark] {
    profiles.flatMap { profile in
      profiles.filter { $0.rank < profile.rank }.compactMap { lower in
        let opened = BuiltInHook.allCases.filter { lower.dropped.contains($0) && !profile.dropped.contains($0) }
        guard !opened.isEmpty else { return nil }
        let sides = opened.map { $0.chain.lowercased() }.joined(separator: " and ")
        return PolicyRemark(
          kind: .higherRankOpens,
          diagnostic: Diagnostic(
            profile.place,
            "lockdown profile \(profile.name) leaves \(sides) open, which \(lower.name) of a lower rank drops",
            hint: "a host that is locked by \(lower.name) refuses \(profile.name) until it is lifted"),
          subject: "lockdown/\(profile.name) lockdown/\(lower.name)")
      }
    }
  }
}
