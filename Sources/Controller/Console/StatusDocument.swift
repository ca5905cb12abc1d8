package import Audit
internal import Core
internal import Inventory
internal import Wire

/// The fleet on its three axes.
package struct StatusDocument: Document {
  package static let kind = "Status"

  package struct Host: Encodable, Sendable {
    package struct Family: Encodable, Sendable {
      @ExplicitNull var expected: String?
      @ExplicitNull var observed: String?
      @ExplicitNull var save: String?

      init(_ status: HostStatus.FamilyStatus) {
        expected = status.expected?.description
        observed = status.observed?.description
        save = status.save?.description
      }
    }

    /// Applied and not confirmed.
    package struct Pending: Encodable, Sendable {
      let serial: UInt64
      let secondsLeft: Int64
      /// By this machine's clock.
      let until: String
      let manual: Bool
    }

    /// An nft table that is not one of iptables' own, or a chain that hides in one of those.
    package struct ForeignTable: Encodable, Sendable {
      let family: String
      let name: String
      @ExplicitNull var owner: String?
      let hooked: Bool
      let drops: Bool
      let digest: String

      init(_ table: OthersReport.Table) {
        family = table.family
        name = table.name
        owner = table.ownerWord
        hooked = table.isHooked
        drops = table.drops
        digest = table.digest.description
      }
    }

    /// What one owner has in iptables' tables; null is everybody whom nobody knows.
    package struct ForeignChains: Encodable, Sendable {
      let family: String
      @ExplicitNull var owner: String?
      let rules: Int
      let digest: String

      init(_ chains: OthersReport.Chains) {
        family = chains.family.description
        owner = chains.ownerWord
        rules = chains.rules
        digest = chains.digest.description
      }
    }

    /// Digests of what the other backend's programs print; null where there are no rules.
    package struct OtherBackend: Encodable, Sendable {
      @ExplicitNull var ipv4: String?
      @ExplicitNull var ipv6: String?

      init(_ others: OthersReport?) {
        ipv4 = others?.otherBackend.ipv4?.description
        ipv6 = others?.otherBackend.ipv6?.description
      }
    }

    /// Done by root at the console.
    package struct LocalAct: Encodable, Sendable {
      /// "safe" or "rollback"
      let deed: String
      let at: String
      let reason: String
    }

    let name: String
    let delivery: String
    let integrity: String
    let contact: String
    @ExplicitNull var serial: UInt64?
    let modifiers: [String]
    let ipv4: Family
    let ipv6: Family
    @ExplicitNull var ageSeconds: Int64?
    /// How far its clock was ahead of ours when it reported.
    @ExplicitNull var clockAheadSeconds: Int64?
    @ExplicitNull var backend: String?
    @ExplicitNull var iptablesVersion: String?
    @ExplicitNull var agentVersion: String?
    let conflicts: [String]
    /// Whose chains there are beside ours.
    let owners: [String]
    let foreignTables: [ForeignTable]
    let foreignChains: [ForeignChains]
    let otherBackend: OtherBackend
    /// Ipsets that are not ours and that rules use.
    let foreignSets: [String]
    @ExplicitNull var pending: Pending?
    @ExplicitNull var localAct: LocalAct?
    @ExplicitNull var lockdown: Lockdown?
    let reasons: [String]
    let concern: Int
  }

  let hosts: [Host]
  let counts: [String: [String: Int]]
  let lockdownProfiles: [Coverage]

  package init(_ statuses: [HostStatus]) {
    hosts = statuses.sorted(by: HostStatus.worstFirst).map { status in
      Host(
        name: status.host.description, delivery: status.delivery.rawValue, integrity: status.integrity.rawValue,
        contact: status.contact.rawValue, serial: status.serial?.value, modifiers: status.modifiers.map(\.rawValue),
        ipv4: Host.Family(status.families.ipv4), ipv6: Host.Family(status.families.ipv6), ageSeconds: status.age,
        clockAheadSeconds: status.clockAhead, backend: status.backend?.name, iptablesVersion: status.iptablesVersion,
        agentVersion: status.agentVersion,
        conflicts: status.conflicts,
        owners: status.ownerWords,
        foreignTables: status.others?.tables.map(Host.ForeignTable.init) ?? [],
        foreignChains: status.others?.chains.map(Host.ForeignChains.init) ?? [],
        otherBackend: Host.OtherBackend(status.others),
        foreignSets: status.others?.sets ?? [],
        pending: status.pending.map {
          Host.Pending(
            serial: $0.serial.value, secondsLeft: $0.secondsLeft, until: $0.until.description, manual: $0.isManual)
        },
        localAct: status.localAct.map {
          Host.LocalAct(deed: $0.name, at: $0.at.description, reason: $0.reason)
        },
        lockdown: status.lockdown.map(Lockdown.init), reasons: status.reasons, concern: status.concern.rawValue)
    }
    lockdownProfiles = ProfileCoverage.of(statuses).map {
      Coverage(name: $0.name.description, staged: $0.staged, unusable: $0.unusable, hosts: statuses.count)
    }
    let summary = FleetSummary(statuses)
    counts = [
      "delivery": Dictionary(uniqueKeysWithValues: summary.delivery.map { ($0.key.rawValue, $0.value) }),
      "integrity": Dictionary(uniqueKeysWithValues: summary.integrity.map { ($0.key.rawValue, $0.value) }),
      "contact": Dictionary(uniqueKeysWithValues: summary.contact.map { ($0.key.rawValue, $0.value) }),
    ]
  }

  package var names: [String] { hosts.map(\.name) }
  package var records: [any Encodable] { hosts }
  package var summary: [String: Int] {
    var flat = ["hosts": hosts.count]
    // Axes share words: unknown is a delivery and an integrity.
    for (axis, words) in counts {
      for (word, count) in words { flat["\(axis)_\(word)"] = count }
    }
    return flat
  }
}
