/// Other keepers of rules, and libvirt, which keeps its networks' rules.
extension ForeignSoftware {
  static func ufw(_ of: Addresses) -> String {
    let own = of.ping == "icmp" ? "ufw" : "ufw6"
    return """
      *filter
      :\(own)-after-input - [0:0]
      :\(own)-before-forward - [0:0]
      :\(own)-before-input - [0:0]
      :\(own)-before-logging-input - [0:0]
      :\(own)-reject-input - [0:0]
      :\(own)-user-input - [0:0]
      -A INPUT -j \(own)-before-logging-input
      -A INPUT -j \(own)-before-input
      -A INPUT -j \(own)-after-input
      -A INPUT -j \(own)-reject-input
      -A FORWARD -j \(own)-before-forward
      -A \(own)-after-input -p udp -m udp --dport 137 -j DROP
      -A \(own)-before-input -i lo -j ACCEPT
      -A \(own)-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
      -A \(own)-before-input -p \(of.ping) -j ACCEPT
      -A \(own)-before-input -j \(own)-user-input
      -A \(own)-before-logging-input -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
      -A \(own)-user-input -p tcp -m tcp --dport 8443 -j ACCEPT
      COMMIT

      """
  }

  /// With its iptables backend.
  static func firewalld(_ of: Addresses) -> String {
    """
    *filter
    :FORWARD_direct - [0:0]
    :INPUT_ZONES - [0:0]
    :INPUT_direct - [0:0]
    :IN_public - [0:0]
    :IN_public_allow - [0:0]
    :IN_public_deny - [0:0]
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT
    -A INPUT -i lo -j ACCEPT
    -A INPUT -j INPUT_direct
    -A INPUT -j INPUT_ZONES
    -A INPUT -m conntrack --ctstate INVALID -j DROP
    -A INPUT -j REJECT --reject-with \(of.reject)
    -A FORWARD -j FORWARD_direct
    -A INPUT_ZONES -g IN_public
    -A IN_public -j IN_public_deny
    -A IN_public -j IN_public_allow
    -A IN_public -p \(of.ping) -j ACCEPT
    -A IN_public_allow -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT
    COMMIT

    """
  }

  static func libvirt(_ of: Addresses) -> String {
    """
    *nat
    :LIBVIRT_PRT - [0:0]
    -A POSTROUTING -j LIBVIRT_PRT
    -A LIBVIRT_PRT -s \(of.bridge) ! -d \(of.bridge) -p tcp -j MASQUERADE --to-ports 1024-65535
    COMMIT
    *filter
    :LIBVIRT_FWI - [0:0]
    :LIBVIRT_FWO - [0:0]
    :LIBVIRT_FWX - [0:0]
    :LIBVIRT_INP - [0:0]
    :LIBVIRT_OUT - [0:0]
    -I INPUT -j LIBVIRT_INP
    -I FORWARD -j LIBVIRT_FWO
    -I FORWARD -j LIBVIRT_FWI
    -I FORWARD -j LIBVIRT_FWX
    -I OUTPUT -j LIBVIRT_OUT
    -A LIBVIRT_FWI -d \(of.bridge) -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -A LIBVIRT_FWO -s \(of.bridge) -i virbr0 -j ACCEPT
    -A LIBVIRT_FWX -i virbr0 -o virbr0 -j ACCEPT
    -A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 53 -j ACCEPT
    -A LIBVIRT_OUT -o virbr0 -p udp -m udp --dport 68 -j ACCEPT
    COMMIT

    """
  }
}
