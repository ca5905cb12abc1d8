import AgentTestSupport
import Apply
import Core
import Glibc
import Ruleset
import Testing
import Wire

@testable import Netfilter

/// The whole agent over the host's own programs and the real kernel, both backends.
@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct RealFirewallTests {
  static let web4 = """
    *filter
    :INPUT DROP [0:0]
    :OUTPUT ACCEPT [0:0]
    :web - [0:0]
    -A INPUT -i lo -j ACCEPT
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -A INPUT -p tcp -j web
    -A web -p tcp -m multiport --dports 80,443 -m comment --comment "the \\"site\\"" -j ACCEPT
    COMMIT
    *nat
    :POSTROUTING ACCEPT [0:0]
    -A POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE
    COMMIT

    """
  static let web6 = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p ipv6-icmp -j ACCEPT\nCOMMIT\n"
  static let base4 = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"
  static let base6 = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"

  @Test func `apply commits on both backends, and both say the same digests`() throws {
    var seen: [Backend: PerFamily<Digest>] = [:]
    for backend in Backend.allCases {
      seen[backend] = try onRealHost(backend) { host in
        let agent = try host.agent()
        let outcome = try agent.apply(1, Self.web4, Self.web6)
        #expect(outcome.result == .committed, "\(outcome.detail)")
        let report = try agent.report(.random(), managementSource: "")
        #expect(report.backend == backend)
        #expect(report.otherBackendRules == 0)
        #expect(try host.run("iptables", "-S").contains("--dports 80,443"))
        for family in Family.allCases {
          #expect(report.families[family].expected == report.families[family].observed)
          // A root shell needs nothing of ours to load them again.
          _ = try SignedBundles.run(
            "\(host.programs)/\(FamilyPrograms.prefix(family))-restore",
            ["\(host.root)/state/committed/\(family).expected"])
        }
        return report.families.map { _, family in family.observed }
      }
    }
    #expect(seen[.nft] == seen[.legacy])
  }

  @Test(arguments: Backend.allCases) func `tampering shows in the chain it was done to, and the same bundle mends it`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let agent = try host.agent()
      try agent.apply(1, Self.web4, Self.web6)
      let before = try agent.report(.random(), managementSource: "").families
      _ = try host.run("iptables", "-I", "web", "-s", "203.0.113.9", "-j", "ACCEPT")
      let after = try agent.report(.random(), managementSource: "").families
      #expect(after.ipv6 == before.ipv6)
      #expect(after.ipv4.observed != after.ipv4.expected)
      let changed = zip(before.ipv4.chains, after.ipv4.chains).filter { $0 != $1 }.map { $0.0.chain }
      #expect(changed == ["web"])
      #expect(try agent.apply(1, Self.web4, Self.web6).result == .committed)
      #expect(try agent.report(.random(), managementSource: "").families == before)
      #expect(try agent.apply(1, Self.web4, Self.web6).result == .unchanged)
    }
  }

  @Test(arguments: Backend.allCases) func `a family that fails half way takes both back to the committed bundle`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let agent = try host.agent { TamperedFirewall($0, poison: (.ipv4, "--dports")) }
      try agent.apply(1, Self.base4, Self.base6)
      let before = try agent.report(.random(), managementSource: "").families
      let outcome = try agent.apply(2, Self.web4, Self.web6)
      #expect(outcome.result == .reverted)
      let after = try agent.report(.random(), managementSource: "")
      #expect(after.families == before)
      #expect(after.lastFailure?.serial == Serial(2))
      #expect(try !host.run("iptables-save").contains("MASQUERADE"))
    }
  }

  @Test(arguments: Backend.allCases) func `the first apply goes back to what was found, comments and all`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      _ = try host.run("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "8080", "-j", "DROP")
      _ = try host.run("ip6tables", "-t", "mangle", "-A", "OUTPUT", "-j", "MARK", "--set-mark", "7")
      let agent = try host.agent { TamperedFirewall($0, poison: (.ipv4, "--dports")) }
      let before = try agent.report(.random(), managementSource: "").families
      #expect(try agent.apply(2, Self.web4, Self.web6).result == .reverted)
      #expect(try agent.report(.random(), managementSource: "").families == before)
    }
  }

  @Test(arguments: Backend.allCases) func `what a bundle leaves out is emptied or reset, alike on both backends`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let agent = try host.agent()
      try agent.apply(1, Self.web4.replacing(":OUTPUT", with: ":FORWARD DROP [0:0]\n:OUTPUT"), Self.web6)
      #expect(try host.run("iptables", "-S", "FORWARD") == "-P FORWARD DROP\n")
      #expect(try agent.apply(2, Self.base4, Self.base6).result == .committed)
      #expect(try host.run("iptables", "-S", "FORWARD") == "-P FORWARD ACCEPT\n")
      #expect(try !host.run("iptables-save").contains("MASQUERADE"))
      #expect(try !host.run("iptables-save").contains(":web"))
    }
  }

  @Test(arguments: Backend.allCases) func `another owner's tables are left alone, and are drift`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let agent = try host.agent()
      _ = try host.run("iptables", "-t", "raw", "-A", "OUTPUT", "-j", "NOTRACK")
      #expect(try agent.apply(1, Self.base4, Self.base6).result == .committed)
      #expect(try host.run("iptables-save", "-t", "raw").contains("-A OUTPUT"))
      let report = try agent.report(.random(), managementSource: "")
      #expect(report.families.ipv4.expected != report.families.ipv4.observed)
      #expect(report.families.ipv6.expected == report.families.ipv6.observed)
    }
  }

  @Test(arguments: Backend.allCases) func `rules of the other backend are counted`(backend: Backend) throws {
    try onRealHost(backend) { host in
      let other = backend == .nft ? "legacy" : "nft"
      _ = try SignedBundles.run("/usr/sbin/iptables-\(other)", ["-A", "INPUT", "-s", "203.0.113.1", "-j", "DROP"])
      _ = try SignedBundles.run("/usr/sbin/ip6tables-\(other)", ["-A", "INPUT", "-j", "DROP"])
      #expect(try host.agent().report(.random(), managementSource: "").otherBackendRules == 2)
    }
  }

  static let unloadable = [
    // Refused by the program, which names the line.
    "-A INPUT -m set --match-set no-such-set src -j ACCEPT",
    // Refused by the kernel: one backend names the line, the other only COMMIT.
    "-A INPUT -p tcp -j TPROXY --on-port 1",
    // Known to nobody.
    "-A INPUT -j NOSUCHTHING",
  ]

  @Test(arguments: Backend.allCases, unloadable) func `rules that do not load name their line`(
    backend: Backend, rule: String
  ) throws {
    let text =
      "*filter\n:INPUT ACCEPT [0:0]\n# a comment\n-A INPUT -i lo -j ACCEPT\n\n\(rule)\n-A INPUT -j DROP\nCOMMIT\n"
    try onRealHost(backend) { host in
      let agent = try host.agent()
      let refusal = #expect(throws: Refusal.self) { try agent.apply(1, Self.base4, text) }
      #expect(refusal?.code == .rulesDoNotLoad, "\(refusal?.detail ?? "")")
      #expect(refusal?.location == RuleLocation(family: .ipv6, line: 6), "\(refusal?.detail ?? "")")
      #expect(try !host.run("iptables-save").contains("-A"))
    }
  }

  @Test(arguments: Backend.allCases) func `a restart after a power cut loads the committed bundle`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let expected = try host.agent().applyAndReport(1, Self.web4, Self.web6)
      // What a boot leaves of the kernel's rules.
      try inNamespace {
        let agent = try HostAgent(
          state: LinuxDisk("\(host.root)/state"), trust: LinuxDisk("\(host.root)/etc/portcullis"),
          firewall: host.firewall(), settings: LinuxSettings(), facts: LinuxFacts(root: host.root),
          bootClock: LinuxBootClock(), deadMan: NoDeadMan())
        #expect(try agent.restore() == .committed(Serial(1)))
        #expect(try agent.report(.random(), managementSource: "").families == expected)
      }
    }
  }

  @Test(arguments: Backend.allCases) func `the safe policy loads on both backends and lets management in`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      try host.agent().apply(1, Self.web4, Self.web6)
      let name = try #require(try LinuxDisk("\(host.root)/state").linkTarget("committed"))
      let disk = try LinuxDisk("\(host.root)/state")
      try disk.remove("\(name)/ipv6.rules")
      let agent = try HostAgent(
        state: disk, trust: LinuxDisk("\(host.root)/etc/portcullis"), firewall: host.firewall(),
        settings: LinuxSettings(),
        facts: LinuxFacts(root: host.root), bootClock: LinuxBootClock(), deadMan: NoDeadMan())
      guard case .safePolicy = try agent.restore() else {
        Issue.record("half a bundle was restored")
        return
      }
      #expect(try host.run("iptables", "-S", "INPUT").contains("-P INPUT DROP"))
      #expect(try host.run("iptables", "-S").contains("--dport 22 -j ACCEPT"))
      #expect(try host.run("ip6tables", "-S").contains("-p ipv6-icmp -j ACCEPT"))
      #expect(try agent.report(.random(), managementSource: "").degraded != nil)
    }
  }

  @Test func `a full disk refuses and leaves nothing behind`() throws {
    try onRealHost(.nft) { host in
      _ = try SignedBundles.run("/usr/bin/mount", ["-t", "tmpfs", "-o", "size=128k", "none", "\(host.root)/state"])
      // Lazily, since the agent still holds the directory; else the directory under the mount would stay behind.
      defer { _ = try? SignedBundles.run("/usr/bin/umount", ["-l", "\(host.root)/state"]) }
      let agent = try host.agent()
      try agent.apply(1, Self.base4, Self.base6)
      let many = (1...3000).map { "-A INPUT -s 10.0.\($0 / 250).\($0 % 250) -j DROP\n" }.joined()
      let big = "*filter\n:INPUT ACCEPT [0:0]\n\(many)COMMIT\n"
      let refusal = #expect(throws: Refusal.self) { try agent.apply(2, big, Self.base6) }
      #expect(refusal?.code == .diskFull, "\(refusal?.detail ?? "")")
      #expect(try LinuxDisk("\(host.root)/state").list("bundles").count == 1)
      #expect(try host.run("iptables-save").contains("--dport 22"))
      #expect(try agent.apply(3, Self.web4, Self.web6).result == .committed)
    }
  }

  @Test(arguments: Backend.allCases) func `the families differ for at most 100 ms at 1,000 rules`(
    backend: Backend
  ) throws {
    let rules4 = (0..<1000).map { "-A INPUT -s 10.1.\($0 / 250).\($0 % 250 + 1) -p tcp -m tcp --dport 25 -j DROP\n" }
    let rules6 = (0..<1000).map { "-A INPUT -s fd00::\(String($0 + 1, radix: 16)) -p tcp -m tcp --dport 25 -j DROP\n" }
    try onRealHost(backend) { host in
      var watched: TamperedFirewall?
      let agent = try host.agent { real in
        let firewall = TamperedFirewall(real)
        watched = firewall
        return firewall
      }
      let outcome = try agent.apply(
        1, "*filter\n:INPUT ACCEPT [0:0]\n\(rules4.joined())COMMIT\n",
        "*filter\n:INPUT ACCEPT [0:0]\n\(rules6.joined())COMMIT\n")
      #expect(outcome.result == .committed, "\(outcome.detail)")
      let loaded = try #require(watched?.loaded)
      #expect(loaded.map(\.family) == [.ipv6, .ipv4])
      let gap = loaded[0].at.duration(to: loaded[1].at)
      print("gap between families at 1,000 rules, \(backend.name): \(gap)")
      // The goal is 100 ms on an idle machine; other tests run beside this one.
      #expect(gap < .milliseconds(1000))
    }
  }
}

extension HostAgent {
  func applyAndReport(_ serial: UInt64, _ ipv4: String, _ ipv6: String) throws -> PerFamily<FamilyReport> {
    try apply(serial, ipv4, ipv6)
    return try report(.random(), managementSource: "").families
  }
}
