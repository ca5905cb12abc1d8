import AgentTestSupport
import Apply
import Core
import Glibc
import Release
import Ruleset
import Testing
import Wire

@testable import Netfilter

/// The programs of one Debian release, with its libraries: see scripts/install-userlands.sh.
enum Userland: String {
  case bullseye, bookworm, trixie

  private static let root = getenv("PORTCULLIS_USERLANDS").map { String(cString: $0) } ?? ".build/userlands"

  static var arePresent: Bool { access("\(root)/trixie/installed", R_OK) == 0 }

  /// Continuous integration has them, or has a fault.
  static var isNeeded: Bool { getenv("CI").map { String(cString: $0) } == "true" }

  func programs() throws -> String {
    let path = try #require(realpath("\(Self.root)/\(rawValue)/sbin", nil))
    defer { free(path) }
    return String(cString: path)
  }
}

extension RealHost {
  fileprivate func command(_ program: String, _ words: String) throws {
    try SignedBundles.call("\(programs)/\(program)", words)
  }

  /// By the programs that are not this host's own.
  fileprivate func otherBackend(_ userland: Userland, _ words: String) throws {
    let other = backend == .nft ? "legacy" : "nft"
    try SignedBundles.call("\(userland.programs())/xtables-\(other)-multi", "iptables \(words)")
  }
}

/// A host whose Debian is upgraded under its rules, with the real programs of each. They word some rules otherwise than
/// those before them.
@Suite(
  .enabled(if: isRoot, "needs root, for network namespaces"),
  .enabled(
    if: Userland.arePresent || Userland.isNeeded, "there are no userlands in .build; 'make userlands' fetches them"))
struct UserlandTests {
  @Test(arguments: Backend.allCases, [Manifest.Mode.owned, .exclusive])
  func `from Debian 11 to 12 and 13 nothing has drifted, and what really changes still does`(
    backend: Backend, mode: Manifest.Mode
  ) throws {
    try onRealHost(backend) { host in
      try host.use(programsIn: Userland.bullseye.programs())
      let agent = try host.enrolledAgent()
      let bundle = try Self.bundle(mode)
      let outcome = try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest)
      #expect(outcome.result == .committed, "\(outcome.detail)")
      #expect(try agent.drift() == [])
      var report = try agent.report(.random(), managementSource: "")
      #expect(report.renewal == nil)
      _ = try agent.look(for: [])
      for userland in [Userland.bookworm, .trixie] {
        let before = report
        try host.use(programsIn: userland.programs())
        // Whoever waits for changes hears of none.
        _ = try agent.look(for: [])
        #expect(agent.changes.entries.isEmpty)
        #expect(try agent.drift() == [], "\(userland)")
        report = try agent.report(.random(), managementSource: "")
        #expect(report.iptablesVersion != before.iptablesVersion)
        let words = [before, report].map { "\($0.iptablesVersion) \(backend.name)" }
        #expect(report.renewal == Renewal(from: words[0], to: words[1], at: SignedBundles.now))
        // Otherwise this would be no test.
        #expect(report.families.ipv4.expected != before.families.ipv4.expected)
        try Self.tamper(host, agent, mode)
      }
      // A boot, and the same release once more, under programs that it was not committed with.
      let next = try host.agent()
      #expect(try next.drift() == [])
      #expect(try next.applyAndConfirm(bundle.files, .random(), bundle.manifest).result == .unchanged)
      #expect(try next.drift() == [])
    }
  }

  /// What is done by hand afterwards, to the rules and to a file that the next boot would go by.
  private static func tamper(_ host: RealHost, _ agent: HostAgent, _ mode: Manifest.Mode) throws {
    let rule = "\(mode == .owned ? "PCL-INPUT" : "INPUT") -p 47 -s 203.0.113.9 -j ACCEPT"
    try host.iptables("-A \(rule)")
    #expect(try agent.drift() == ["filter"])
    try host.iptables("-D \(rule)")
    #expect(try agent.drift() == [])
    let state = try LinuxDisk("\(host.root)/state")
    let file = try #require(try state.read("rules/ipv4.rules", atMost: 1 << 20))
    try state.append("rules/ipv4.rules", Array("#\n".utf8))
    #expect(try agent.drift() == ["disk"])
    try state.truncate("rules/ipv4.rules", to: file.count)
    #expect(try agent.drift() == [])
  }

  @Test(arguments: Backend.allCases) func `what had drifted before the upgrade has drifted after it`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      try host.use(programsIn: Userland.bullseye.programs())
      let agent = try host.enrolledAgent()
      let bundle = try Self.bundle(.owned)
      _ = try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest)
      try host.iptables("-I PCL-INPUT 1 -p 112 -j ACCEPT")
      try host.use(programsIn: Userland.trixie.programs())
      #expect(try agent.drift() == ["filter"])
      #expect(try agent.report(.random(), managementSource: "").renewal != nil)
      let again = try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest)
      #expect(again.result == .committed, "\(again.detail)")
      #expect(try agent.drift() == [])
    }
  }

  /// keepalived's, a router's, and one that looks into packets: every version words them in another way.
  private static let foreign: [(program: String, rule: String)] = [
    ("iptables", "OUTPUT -d 224.0.0.18/32 -p vrrp -j ACCEPT"), ("iptables", "OUTPUT ! -p 89 -m mark --mark 0x7 -j LOG"),
    ("iptables", "OUTPUT -p udp -m string --string virus --algo bm -j DROP"), ("ip6tables", "OUTPUT -p ospf -j ACCEPT"),
    ("ip6tables", "OUTPUT -p vrrp -m comment --comment keepalived -j ACCEPT"),
  ]

  private static func strict(_ serial: UInt64) throws -> (files: [BundleFile: [UInt8]], manifest: Digest) {
    try SignedBundles.bundle(
      serial: serial, ipv4: "*filter\n:INPUT DROP [0:0]\nCOMMIT\n", ipv6: "*filter\n:INPUT DROP [0:0]\nCOMMIT\n",
      mode: .owned, deniesForeign: true)
  }

  @Test(arguments: Backend.allCases, [false, true])
  func `rules of others are the same in the words of other programs, and what had come before the upgrade is still new`(
    backend: Backend, hadDrifted: Bool
  ) throws {
    try onRealHost(backend) { host in
      try host.use(programsIn: Userland.bullseye.programs())
      let agent = try host.enrolledAgent()
      for (program, rule) in Self.foreign { try host.command(program, "-A \(rule)") }
      try host.otherBackend(Userland.bullseye, "-A FORWARD -p vrrp -m string --string a --algo kmp -j DROP")
      let bundle = try Self.strict(1)
      #expect(try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest).result == .committed)
      #expect(try agent.drift() == [])
      let first = try agent.report(.random(), managementSource: "").families.ipv4.observed
      if hadDrifted { try host.iptables("-A OUTPUT -p vrrp -s 203.0.113.9 -j ACCEPT") }
      for userland in [Userland.bookworm, .trixie] {
        try host.use(programsIn: userland.programs())
        #expect(try agent.drift() == (hadDrifted ? ["others"] : []), "\(userland)")
      }
      let others = try #require(try agent.report(.random(), managementSource: "").others)
      #expect(others.chains.count == 2 && others.otherBackend.ipv4 != nil)
      let last = try agent.report(.random(), managementSource: "").families.ipv4.observed
      #expect((first == last) != hadDrifted)
      if hadDrifted { return try host.iptables("-D OUTPUT -p vrrp -s 203.0.113.9 -j ACCEPT") }
      for (program, rule) in [("iptables", "OUTPUT -p 113 -j ACCEPT"), ("ip6tables", "OUTPUT -p vrrp -j ACCEPT")] {
        try host.command(program, "-A \(rule)")
        #expect(try agent.drift() == ["others"])
        try host.command(program, "-D \(rule)")
        #expect(try agent.drift() == [])
      }
    }
  }

  @Test(arguments: Backend.allCases) func `what a policy allows of others is allowed in every version's words`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      try host.use(programsIn: Userland.bullseye.programs())
      let agent = try host.enrolledAgent()
      let empty = "*filter\n:INPUT DROP [0:0]\nCOMMIT\n"
      let bundle = try SignedBundles.bundle(
        serial: 1, ipv4: empty, ipv6: empty, mode: .owned, foreignAllowed: ["-A INPUT -p vrrp -j ACCEPT"])
      #expect(try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest).result == .committed)
      try host.iptables("-I INPUT 1 -p vrrp -j ACCEPT")
      for userland in [Userland.bullseye, .bookworm, .trixie] {
        try host.use(programsIn: userland.programs())
        #expect(try agent.drift() == [], "\(userland)")
      }
      try host.iptables("-I INPUT 1 -p 113 -j ACCEPT")
      #expect(try agent.drift() == ["filter"])
    }
  }

  // MARK: - Parts

  /// Many kinds of rules, and among them those that the three word in different ways.
  private static func bundle(_ mode: Manifest.Mode) throws -> (files: [BundleFile: [UInt8]], manifest: Digest) {
    let set = try TamperTests.friends.get()
    return try SignedBundles.bundle(
      serial: 1, ipv4: ipv4.replacing("SET", with: set.name), ipv6: ipv6, mode: mode,
      sets: try SetsFile([set], observing: []).encode(),
      sysctl: try SysctlFile([SysctlKey("net.ipv4.conf.all.rp_filter")!: 1]).encode())
  }

  private static let ipv4 = """
    *filter
    :INPUT DROP [0:0]
    :FORWARD DROP [0:0]
    :web - [0:0]
    -A INPUT -i lo -j ACCEPT
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "established, as they say" -j ACCEPT
    -A INPUT -m conntrack --ctstate INVALID -j DROP
    -A INPUT -p tcp -m tcp --dport 22 -m comment --comment ssh -j ACCEPT
    -A INPUT -s 192.0.2.0/24 -p tcp -m multiport --dports 80,443,8000:8080 -j web
    -A INPUT ! -s 192.0.2.0/24 ! -i eth0 -p udp -m udp --sport 53 --dport 1024:65535 -j ACCEPT
    -A INPUT -p icmp -m icmp --icmp-type 8 -m limit --limit 5/sec --limit-burst 20 -j ACCEPT
    -A INPUT -p icmp -m icmp --icmp-type 3/4 -j ACCEPT
    -A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j web
    -A INPUT -m set --match-set SET src -j ACCEPT
    -A INPUT -m mark --mark 0x1/0xff -j ACCEPT
    -A INPUT -m addrtype --dst-type BROADCAST -j DROP
    -A INPUT -m pkttype --pkt-type multicast -j DROP
    -A INPUT -p tcp -m tcp --dport 25 -m connlimit --connlimit-above 10 --connlimit-mask 32 --connlimit-saddr -j REJECT
    -A INPUT -m iprange --src-range 192.0.2.10-192.0.2.20 -j ACCEPT
    -A INPUT -m recent --update --seconds 60 --hitcount 4 --name SSH --mask 255.255.255.255 --rsource -j DROP
    -A INPUT -p tcp -m tcp --dport 8888 -m string --string "x y" --algo bm -j DROP
    -A INPUT -p gre -j ACCEPT
    -A INPUT -p esp -j ACCEPT
    -A INPUT -p sctp -m sctp --dport 99 -j ACCEPT
    -A INPUT -p vrrp -j ACCEPT
    -A INPUT -d 224.0.0.0/4 -p igmp -j ACCEPT
    -A INPUT -m ttl --ttl-lt 5 -j DROP
    -A INPUT -m length --length 100:200 -j DROP
    -A INPUT -m mac --mac-source 00:11:22:33:44:55 -j ACCEPT
    -A INPUT -m time --timestart 08:00 --timestop 18:00 --weekdays Mon,Tue -j ACCEPT
    -A INPUT -m dscp --dscp 0x2e -j ACCEPT
    -A INPUT -m limit --limit 5/min -j LOG --log-prefix "drop: " --log-level 6
    -A INPUT -m limit --limit 5/min -j NFLOG --nflog-prefix nf --nflog-group 2
    -A INPUT -j REJECT --reject-with icmp-admin-prohibited
    -A web -j RETURN
    -A FORWARD -i eth0 -o eth1 -p tcp -m tcp --tcp-flags SYN,RST SYN -j ACCEPT
    COMMIT
    *nat
    :PREROUTING ACCEPT [0:0]
    :POSTROUTING ACCEPT [0:0]
    -A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 192.0.2.5:8080
    -A PREROUTING -p tcp -m tcp --dport 81 -j REDIRECT --to-ports 8080
    -A POSTROUTING -s 10.0.0.0/8 -p tcp -j MASQUERADE --to-ports 1024-2048
    COMMIT
    *mangle
    :PREROUTING ACCEPT [0:0]
    :FORWARD ACCEPT [0:0]
    -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
    -A PREROUTING -j MARK --set-xmark 0x1/0xff
    COMMIT

    """

  private static let ipv6 = """
    *filter
    :INPUT DROP [0:0]
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -m limit --limit 5/sec -j ACCEPT
    -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 133 -m hl --hl-eq 255 -j ACCEPT
    -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 1/4 -j ACCEPT
    -A INPUT -s fe80::/10 -p udp -m udp --dport 546 -j ACCEPT
    -A INPUT -s 2001:db8::/32 -p tcp -m multiport --dports 80,443 -m comment --comment "web" -j ACCEPT
    -A INPUT -p esp -j ACCEPT
    -A INPUT -j REJECT --reject-with icmp6-adm-prohibited
    COMMIT

    """
}
