/// Software that keeps rules of its own on a host, told by the names of its chains.
package enum ForeignOwner: String, Hashable, Sendable, CaseIterable {
  case docker
  /// containerd and other users of the CNI plugins.
  case cni
  case kubernetes
  case calico
  case fail2ban
  case ufw
  case firewalld
  case libvirt
}

extension ForeignOwner: Comparable {
  package static func < (a: ForeignOwner, b: ForeignOwner) -> Bool { a.rawValue < b.rawValue }
}
