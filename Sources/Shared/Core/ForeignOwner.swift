/// Software that keeps rules of its own on a host, told by the names of its chains.
package enum ForeignOwner: String, Hashable, Sendable, CaseIterable {
  case docker
  /// containerd and other users of the CNI plugins.
  case cni
  case kubernetes
  case calico
  case cilium
  case fail2ban
  case flannel
  case ufw
  case firewalld
  case libvirt
  /// Netavark, which is its network.
  case podman
  case tailscale
  case weave
}

extension ForeignOwner: Comparable {
  package static func < (a: ForeignOwner, b: ForeignOwner) -> Bool { a.rawValue < b.rawValue }
}
