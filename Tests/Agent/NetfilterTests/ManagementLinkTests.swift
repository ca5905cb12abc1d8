import AgentTestSupport
import Apply
import Ruleset
import Testing

@testable import Netfilter

/// Which way managers' packets come, on real links: a lockdown that keeps SSH and not the tunnel around it keeps nothing.
@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct ManagementLinkTests {
  private static func ip(_ commands: String) throws {
    _ = try SignedBundles.run("/usr/sbin/ip", ["-batch", "-"], input: Array(commands.utf8))
  }

  @Test func `managers behind a tunnel are found by the way to them, those beside the host or nowhere are not`() throws
  {
    try inNamespace {
      try Self.ip(
        """
        link set lo up
        link add under type veth peer name peer
        address add 192.0.2.1/24 dev under
        address add 2001:db8::1/64 dev under nodad
        link set under up
        link set peer up
        link add vx0 type vxlan id 5 dstport 4789 remote 192.0.2.2 dev under
        address add 10.9.0.1/24 dev vx0
        address add fd09::1/64 dev vx0 nodad
        link set vx0 up
        tuntap add tun0 mode tun
        link set tun0 up
        route add 10.10.0.0/16 dev tun0
        """)
      #expect(ManagementLink.tunnel(towards: "10.9.0.0/24") == TunnelLink(interface: "vx0", kind: "vxlan"))
      #expect(ManagementLink.tunnel(towards: "fd09::7/128") == TunnelLink(interface: "vx0", kind: "vxlan"))
      #expect(ManagementLink.tunnel(towards: "10.10.3.4") == TunnelLink(interface: "tun0", kind: "tun"))
      for direct in ["192.0.2.7", "2001:db8::/64", "192.0.2.1", "127.0.0.1", "198.51.100.7", "no address"] {
        #expect(ManagementLink.tunnel(towards: direct) == nil, "\(direct)")
      }
    }
  }
}
