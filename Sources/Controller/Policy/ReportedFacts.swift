package import Core
package import Inventory

/// What a host last reported of itself and policies depend on. Reports are not signed: a host that lies gets other rules
/// itself, and no other host does.
package struct ReportedFacts: Hashable, Sendable {
  /// Where its sshd listens; empty when it did not say.
  package let sshPorts: [UInt16]
  /// Whether it has an address from a DHCP server; nil when it did not say.
  package let leases: PerFamily<Bool>?

  package init(sshPorts: [UInt16], leases: PerFamily<Bool>?) {
    self.sshPorts = sshPorts
    self.leases = leases
  }

  package static let none = ReportedFacts(sshPorts: [], leases: nil)
}

extension InventoryHost {
  /// What policies mean by `ssh`: what the inventory says, else where sshd was seen to listen, else the port that the
  /// controller connects to, which another machine may forward.
  package func sshPorts(_ reported: ReportedFacts) -> [UInt16] {
    if let sshPort { return [sshPort.port] }
    return reported.sshPorts.isEmpty ? [port ?? 22] : reported.sshPorts
  }

  /// `portcullis_dhcp` is about both families when it denies, and about IPv4 when it affirms.
  package func leases(_ reported: ReportedFacts) -> PerFamily<Bool?> {
    let said = PerFamily<Bool?>(ipv4: reported.leases?.ipv4, ipv6: reported.leases?.ipv6)
    switch hasLeases {
    case true?: return PerFamily(ipv4: true, ipv6: said.ipv6)
    case false?: return PerFamily(ipv4: false, ipv6: false)
    case nil: return said
    }
  }
}
