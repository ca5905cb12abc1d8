import Core
import Testing

@Suite struct TableOwnerTests {
  @Test(arguments: [
    ("f2b-table", TableOwner.fail2ban), ("docker-bridges", .docker), ("netavark", .podman), ("kube-proxy", .kubernetes),
    ("cni_hostport", .cni), ("crowdsec6", .crowdsec), ("io.systemd.nat", .systemd), ("incus", .lxd),
    // While it reloads, and to see what the kernel can.
    ("firewalld_policy_drop", .firewalld), ("firewalld_probe", .firewalld),
    ("flannel-ipv4", .flannel), ("flannel-ipv6", .flannel), ("wg-quick-wg0", .wireguard), ("flannel-ipv5", nil),
    ("guard", nil), ("filter", nil), ("", nil), ("docker-bridges2", nil), ("my-f2b-table", nil),
  ]) func `tables are known by their names`(name: String, owner: TableOwner?) {
    #expect(TableOwner(ofTable: name) == owner)
  }
}
