import AgentTestSupport
import Apply
import Core
import Release
import Testing
import Wire

@testable import Netfilter

/// What goes on at a host by itself is no drift, on real kernels.
@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct QuietTests {
  private static let rounds = 12

  /// Chains of Docker's and fail2ban's, an ipset that bans, and on nft their tables too.
  private static func settle(_ host: RealHost) throws {
    try host.iptables("-N f2b-sshd")
    try host.iptables("-I INPUT -p tcp --dport 22 -j f2b-sshd")
    try host.iptables("-N DOCKER-USER")
    try host.iptables("-A FORWARD -j DOCKER-USER")
    try other(host, "-N DOCKER")
    _ = try host.run("ipset", "create", "blocklist", "hash:ip")
    try host.iptables("-I INPUT -m set --match-set blocklist src -j DROP")
    try TamperTests.nft(
      """
      table inet f2b-table {
        set addr-set-sshd { type ipv4_addr; }
        chain f2b-chain {
          type filter hook input priority -1; policy accept;
          tcp dport 22 ip saddr @addr-set-sshd counter reject
        }
      }
      table inet mine { chain in { type filter hook input priority -20; tcp dport { 9022, 9080 } drop; }; }
      table inet watch { chain in { type filter hook input priority -300; policy accept; counter; }; }
      """)
  }

  /// One round of their work, and packets that are counted.
  private static func work(_ host: RealHost, _ round: Int) throws {
    let banned = "203.0.113.\(round + 1)"
    try host.iptables("-I f2b-sshd 1 -s \(banned) -j REJECT")
    if round % 3 == 2 { try host.iptables("-D f2b-sshd 1") }
    try host.iptables("-I DOCKER-USER 1 -s \(banned) -j DROP")
    try host.iptables("-t nat -A POSTROUTING -s 172.17.\(round).0/24 -j MASQUERADE")
    _ = try host.run("ipset", "add", "blocklist", banned)
    try TamperTests.nft("add element inet f2b-table addr-set-sshd { \(banned) }")
    // A jail more, and containers come and go.
    try TamperTests.nft("add rule inet f2b-table f2b-chain tcp dport \(2200 + round) drop")
    try TamperTests.nft(
      "add table ip docker-bridges; add chain ip docker-bridges c\(round) { type filter hook forward priority 0; }")
    // The same rule in the place of itself, a firewalld that reloads, and a network more for Docker in the other backend.
    try TamperTests.nft("add rule inet mine in tcp dport { 9022, 9080 } drop")
    let listed = try SignedBundles.run("/usr/sbin/nft", ["-a", "list", "chain", "inet", "mine", "in"])
    let rule = String(decoding: listed, as: UTF8.self).split(separator: "\n").first { $0.contains("dport") }
    try TamperTests.nft("delete rule inet mine in handle \(try #require(rule?.split(separator: " ").last))")
    try TamperTests.nft(
      """
      add table inet firewalld_policy_drop
      add chain inet firewalld_policy_drop c { type filter hook input priority -310; policy accept; }
      """)
    if round % 2 == 1 { try TamperTests.nft("delete table inet firewalld_policy_drop") }
    try other(host, "-t nat -A POSTROUTING -s 172.\(18 + round).0.0/16 ! -o br-\(round) -j MASQUERADE")
    try other(host, "-A FORWARD -i br-\(round) ! -o br-\(round) -j ACCEPT")
    try other(host, "-P FORWARD DROP")
    _ = try? SignedBundles.call("/usr/bin/ping", "-c 1 -W 1 -q 127.0.0.1")
  }

  private static func other(_ host: RealHost, _ words: String) throws {
    let other = host.backend == .nft ? Backend.legacy : .nft
    try SignedBundles.call("/usr/sbin/xtables-\(other.name)-multi", "iptables \(words)")
  }

  @Test(arguments: Backend.allCases) func `others at their work, and counters, are no drift`(backend: Backend) throws {
    try onRealHost(backend) { host in
      try SignedBundles.call("/usr/sbin/ip", "link set lo up")
      try Self.settle(host)
      let agent = try host.enrolledAgent()
      let bundle = try TamperTests.bundle(.owned)
      #expect(try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest).result == .committed)
      let first = try agent.report(.random(), managementSource: "")
      for round in 0..<Self.rounds {
        try Self.work(host, round)
        #expect(try agent.drift() == [], "\(backend), round \(round)")
      }
      let last = try agent.report(.random(), managementSource: "")
      for family in Family.allCases {
        #expect(last.families[family].observed == first.families[family].observed)
      }
      // And yet all of it is told.
      let others = try #require(last.others)
      #expect(others.sets == ["blocklist"])
      #expect(Set(others.tables.map(\.name)).isSuperset(of: ["docker-bridges", "f2b-table", "watch"]))
      let bans = others.chains.first { $0.family == .ipv4 && $0.ownerWord == "fail2ban" }
      #expect(bans?.digest != first.others?.chains.first { $0.family == .ipv4 && $0.ownerWord == "fail2ban" }?.digest)
      #expect(try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest).result == .unchanged)
    }
  }

  @Test(arguments: Backend.allCases, [Manifest.Mode.owned, .exclusive])
  func `boots, restarts and going back are no drift`(
    backend: Backend, mode: Manifest.Mode
  ) throws {
    try onRealHost(backend) { host in
      var agent = try host.enrolledAgent()
      let bundle = try TamperTests.bundle(mode)
      #expect(try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest).result == .committed)
      agent = try host.agent()
      #expect(try agent.drift() == [])
      // A change that nobody confirms.
      let next = try SignedBundles.bundle(
        serial: 2, ipv4: RealFirewallTests.base4, ipv6: RealFirewallTests.base6, mode: mode)
      let transaction = TransactionID.random()
      _ = try agent.apply(
        next.files, transaction: transaction, manifest: next.manifest, terms: .standard,
        from: ManagementConnection(
          ends: ConnectionEnds(source: "192.0.2.7", sourcePort: 40001, destination: "192.0.2.1", destinationPort: 22),
          opened: LinuxBootClock().now()))
      #expect(try agent.cancel(transaction).result == .reverted)
      #expect(try agent.drift() == [], "\(backend) \(mode) after going back")
      try inNamespace {
        let booted = try HostAgent(
          state: LinuxDisk("\(host.root)/state"), trust: LinuxDisk("\(host.root)/etc/portcullis"),
          firewall: host.firewall(), settings: LinuxSettings(), facts: LinuxFacts(root: host.root),
          clock: RealHost.FixedClock(), bootClock: LinuxBootClock(), deadMan: NoDeadMan())
        guard case .committed = try booted.restore() else { throw Reason("not restored") }
        try booted.recover()
        #expect(try booted.drift() == [], "\(backend) \(mode) after a boot")
      }
    }
  }
}
