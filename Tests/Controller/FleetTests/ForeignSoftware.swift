import Core

/// Other software's rules as it leaves them on a host: chains, hooks, and where it puts them. Loaded the way it does, with
/// `--noflush`, into whatever is there.
enum ForeignSoftware: String, CaseIterable, Sendable {
  case docker
  /// containerd with the CNI plugins, as Podman and nerdctl use them.
  case cni
  case kubernetes
  case calico
  case fail2ban
  case ufw
  case firewalld
  case libvirt

  var owner: ForeignOwner { ForeignOwner(rawValue: rawValue)! }

  /// For `iptables-restore --noflush`.
  var ipv4: String { text(Self.addresses4) }
  /// For `ip6tables-restore --noflush`.
  var ipv6: String { text(Self.addresses6) }

  /// What differs between the families.
  struct Addresses {
    let bridge: String
    let container: String
    let published: String
    let pods: String
    let loopback: String
    let banned: String
    let reject: String
    let ping: String
  }

  private static let addresses4 = Addresses(
    bridge: "172.17.0.0/16", container: "172.17.0.2/32", published: "172.17.0.2:80", pods: "10.244.0.0/16",
    loopback: "127.0.0.0/8", banned: "203.0.113.7/32", reject: "icmp-port-unreachable", ping: "icmp")
  private static let addresses6 = Addresses(
    bridge: "fd00:17::/64", container: "fd00:17::2/128", published: "[fd00:17::2]:80", pods: "fd00:244::/48",
    loopback: "::1/128", banned: "2001:db8::7/128", reject: "icmp6-port-unreachable", ping: "ipv6-icmp")

  private func text(_ of: Addresses) -> String {
    switch self {
    case .docker: Self.docker(of)
    case .cni: Self.cni(of)
    case .kubernetes: Self.kubernetes(of)
    case .calico: Self.calico(of)
    case .fail2ban: Self.fail2ban(of)
    case .ufw: Self.ufw(of)
    case .firewalld: Self.firewalld(of)
    case .libvirt: Self.libvirt(of)
    }
  }

  /// Docker 27, one container with port 8080 published, and `userland-proxy` off. It sets the policy of FORWARD to DROP.
  private static func docker(_ of: Addresses) -> String {
    """
    *nat
    :DOCKER - [0:0]
    -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
    -A OUTPUT ! -d \(of.loopback) -m addrtype --dst-type LOCAL -j DOCKER
    -A POSTROUTING -s \(of.bridge) ! -o docker0 -j MASQUERADE
    -A POSTROUTING -s \(of.container) -d \(of.container) -p tcp -m tcp --dport 80 -j MASQUERADE
    -A DOCKER -i docker0 -j RETURN
    -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination \(of.published)
    COMMIT
    *filter
    :FORWARD DROP [0:0]
    :DOCKER - [0:0]
    :DOCKER-ISOLATION-STAGE-1 - [0:0]
    :DOCKER-ISOLATION-STAGE-2 - [0:0]
    :DOCKER-USER - [0:0]
    -I FORWARD -o docker0 -j DOCKER
    -I FORWARD -i docker0 -o docker0 -j ACCEPT
    -I FORWARD -i docker0 ! -o docker0 -j ACCEPT
    -I FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -I FORWARD -j DOCKER-ISOLATION-STAGE-1
    -I FORWARD -j DOCKER-USER
    -A DOCKER -d \(of.container) ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
    -A DOCKER ! -i docker0 -o docker0 -j DROP
    -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
    -A DOCKER-ISOLATION-STAGE-1 -j RETURN
    -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
    -A DOCKER-ISOLATION-STAGE-2 -j RETURN
    -A DOCKER-USER -j RETURN
    COMMIT

    """
  }

  private static func cni(_ of: Addresses) -> String {
    """
    *nat
    :CNI-HOSTPORT-DNAT - [0:0]
    :CNI-HOSTPORT-MASQ - [0:0]
    :CNI-HOSTPORT-SETMARK - [0:0]
    :CNI-7b7f6f0d0a2b1c3d4e5f6a7b - [0:0]
    -A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
    -A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
    -A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
    -A POSTROUTING -s \(of.container) -m comment --comment "name: \\"podman\\" id: \\"b1\\"" -j CNI-7b7f6f0d0a2b1c3d4e5f6a7b
    -A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
    -A CNI-HOSTPORT-SETMARK -j MARK --set-xmark 0x2000/0x2000
    -A CNI-7b7f6f0d0a2b1c3d4e5f6a7b -d \(of.bridge) -j ACCEPT
    COMMIT
    *filter
    :CNI-ADMIN - [0:0]
    :CNI-FORWARD - [0:0]
    -I FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
    -A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN
    -A CNI-FORWARD -d \(of.container) -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -A CNI-FORWARD -s \(of.container) -j ACCEPT
    COMMIT

    """
  }

  /// kube-proxy in its iptables mode, and kubelet.
  private static func kubernetes(_ of: Addresses) -> String {
    """
    *mangle
    :KUBE-IPTABLES-HINT - [0:0]
    :KUBE-KUBELET-CANARY - [0:0]
    COMMIT
    *nat
    :KUBE-MARK-MASQ - [0:0]
    :KUBE-NODEPORTS - [0:0]
    :KUBE-POSTROUTING - [0:0]
    :KUBE-SEP-QZ7IU5VCWFXNDSQP - [0:0]
    :KUBE-SERVICES - [0:0]
    :KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]
    -I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
    -I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
    -I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
    -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
    -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
    -A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
    -A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
    -A KUBE-SEP-QZ7IU5VCWFXNDSQP -p tcp -m tcp -j DNAT --to-destination \(of.published)
    -A KUBE-SERVICES -d \(of.container) -p tcp -m tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y
    -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
    -A KUBE-SVC-NPX46M4PTMTKRN6Y ! -s \(of.pods) -p tcp -m tcp --dport 443 -j KUBE-MARK-MASQ
    -A KUBE-SVC-NPX46M4PTMTKRN6Y -m statistic --mode random --probability 0.5 -j KUBE-SEP-QZ7IU5VCWFXNDSQP
    COMMIT
    *filter
    :KUBE-EXTERNAL-SERVICES - [0:0]
    :KUBE-FIREWALL - [0:0]
    :KUBE-FORWARD - [0:0]
    :KUBE-PROXY-FIREWALL - [0:0]
    -I INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
    -I INPUT -m conntrack --ctstate NEW -m comment --comment "external portals" -j KUBE-EXTERNAL-SERVICES
    -I INPUT -j KUBE-FIREWALL
    -I OUTPUT -j KUBE-FIREWALL
    -I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
    -A KUBE-FIREWALL ! -s \(of.loopback) -d \(of.loopback) -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
    -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
    -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
    -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    COMMIT

    """
  }

  /// Felix, without its ipsets.
  private static func calico(_ of: Addresses) -> String {
    """
    *raw
    :cali-PREROUTING - [0:0]
    -I PREROUTING -m comment --comment "cali:6gwbT8clXdHdC1b1" -j cali-PREROUTING
    -A cali-PREROUTING -m comment --comment "cali:njdnLwYeGqBJyMxW" -j MARK --set-xmark 0x0/0xf0000
    COMMIT
    *filter
    :cali-FORWARD - [0:0]
    :cali-INPUT - [0:0]
    :cali-OUTPUT - [0:0]
    :cali-from-wl-dispatch - [0:0]
    :cali-wl-to-host - [0:0]
    -I INPUT -m comment --comment "cali:Cz_u1IQiXIMmKD4c" -j cali-INPUT
    -I FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
    -I OUTPUT -m comment --comment "cali:tVnHkvAo15HuiPy0" -j cali-OUTPUT
    -A FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m mark --mark 0x10000/0x10000 -j ACCEPT
    -A cali-FORWARD -m comment --comment "cali:vjrMJCRpqwy5oRoX" -j MARK --set-xmark 0x0/0xe0000
    -A cali-FORWARD -i cali+ -m comment --comment "cali:8ZoYfO5HKXWbB3pk" -j cali-from-wl-dispatch
    -A cali-INPUT -i cali+ -m comment --comment "cali:msRIDfJRWnYwzW4g" -g cali-wl-to-host
    -A cali-INPUT -m comment --comment "cali:1-0ZJNzKVNVEdmuN" -m mark --mark 0x10000/0x10000 -j ACCEPT
    -A cali-from-wl-dispatch -m comment --comment "cali:zTj6P0TIgYvgz-md" -j DROP
    -A cali-wl-to-host -s \(of.pods) -m comment --comment "cali:Ee9Sbo10IpVujdIY" -j cali-from-wl-dispatch
    COMMIT

    """
  }

  /// Two jails, always put first: they only deny.
  private static func fail2ban(_ of: Addresses) -> String {
    """
    *filter
    :f2b-nginx-http-auth - [0:0]
    :f2b-sshd - [0:0]
    -I INPUT 1 -p tcp -m multiport --dports 80,443 -j f2b-nginx-http-auth
    -I INPUT 1 -p tcp -m multiport --dports 22 -j f2b-sshd
    -A f2b-nginx-http-auth -j RETURN
    -A f2b-sshd -s \(of.banned) -j REJECT --reject-with \(of.reject)
    -A f2b-sshd -j RETURN
    COMMIT

    """
  }
}
