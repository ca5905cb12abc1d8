/// Software that keeps an nft table of its own on a host, told by the table's name. Anybody can give a table such a name:
/// this says who is expected to change it, not who did.
package enum TableOwner: String, Hashable, Sendable, CaseIterable {
  case calico
  case cni
  case crowdsec
  case docker
  case fail2ban
  case firewalld
  case flannel
  case kubernetes
  case libvirt
  /// LXD, Incus and LXC itself.
  case lxd
  /// Netavark, which is its network.
  case podman
  case sshguard
  case systemd
  case tailscale
  /// wg-quick(8), of each interface.
  case wireguard

  /// Of a table that is not one of iptables' own.
  package init?(ofTable name: String) {
    guard let owner = Self.names[name] ?? Self.prefixes.first(where: { name.hasPrefix($0.prefix) })?.owner else {
      return nil
    }
    self = owner
  }

  private static let names: [String: TableOwner] = [
    "calico": .calico, "crowdsec": .crowdsec, "crowdsec6": .crowdsec, "docker": .docker, "docker-bridges": .docker,
    "flannel-ipv4": .flannel, "flannel-ipv6": .flannel, "firewalld": .firewalld, "firewalld_policy_drop": .firewalld,
    "firewalld_probe": .firewalld,
    "kube-proxy": .kubernetes, "kubelet": .kubernetes, "libvirt_network": .libvirt,
    "lxd": .lxd, "incus": .lxd, "lxc": .lxd, "netavark": .podman, "sshguard": .sshguard, "io.systemd.nat": .systemd,
    "tailscale": .tailscale,
  ]

  private static let prefixes: [(prefix: String, owner: TableOwner)] = [
    ("f2b-", .fail2ban), ("cni_", .cni), ("cni-", .cni), ("wg-quick-", .wireguard),
  ]
}
