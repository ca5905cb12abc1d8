import AgentTestSupport
import Apply
import Core
import Testing
import Wire

@testable import Netfilter

/// A rehearsal as it really runs: in a child that is the agent itself.
@Suite(
  .enabled(if: isRoot, "needs root, for network namespaces"),
  .enabled(if: agentExecutable != nil, "needs the agent's executable, which a build of the whole package makes"))
struct RehearsalChildTests {
  private func firewall(_ host: RealHost, executable path: String = agentExecutable!) -> LinuxFirewall {
    LinuxFirewall(
      directories: [host.programs], lock: nil, rehearsalLockFile: "\(host.root)/rehearsal.lock"
    ) { (request) throws(FirewallProblem) in
      try RehearsalChild.ask(request, executable: path, runner: ProgramRunner())
    }
  }

  private func rehearse(
    _ host: RealHost, _ ipv4: String, executable path: String = agentExecutable!
  ) throws -> PerFamily<[UInt8]> {
    try firewall(host, executable: path).rehearse(Rehearsal(texts: PerFamily(ipv4, ""))).saved
  }

  /// The agent as it is in a container that may load rules and make no namespaces.
  private func unprivilegedAgent(_ host: RealHost) throws -> String {
    let path = "\(host.root)/unprivileged"
    let script = """
      #!/bin/sh
      exec /usr/bin/setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin -- \(agentExecutable!) "$@"

      """
    try LinuxDisk(host.root).create("unprivileged", Array(script.utf8))
    _ = try SignedBundles.run("/usr/bin/chmod", ["755", path])
    return path
  }

  @Test(arguments: Backend.allCases) func `a host that may make no namespace applies without a rehearsal`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let child = try unprivilegedAgent(host)
      let problem = #expect(throws: FirewallProblem.self) {
        try rehearse(host, RealFirewallTests.base4, executable: child)
      }
      #expect(problem?.kind == .noNamespace)
      #expect(problem?.words.contains("Operation not permitted") == true)

      let agent = try host.agent { _ in firewall(host, executable: child) }
      #expect(try agent.apply(1, RealFirewallTests.base4, RealFirewallTests.base6).result == .committed)
      let outcome = try agent.apply(2, RealFirewallTests.web4, RealFirewallTests.base6)
      #expect(outcome.result == .committed)
      #expect(outcome.detail.contains("neither rehearsed nor knocked"))
      #expect(try host.run("iptables-save").contains("MASQUERADE"))
      #expect(try agent.apply(3, RealFirewallTests.web4, RealFirewallTests.base6).result == .unchanged)
      let report = try agent.report(.random(), managementSource: "")
      for family in Family.allCases {
        #expect(report.families[family].expected == report.families[family].observed)
      }
    }
  }

  @Test(arguments: Backend.allCases) func `the child loads into a stack of its own and prints what it holds`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let printed = try rehearse(host, RealFirewallTests.web4)
      #expect(String(decoding: printed.ipv4, as: UTF8.self).contains("MASQUERADE"))
      #expect(try !host.run("iptables-save").contains("-A"))
    }
  }

  @Test(arguments: Backend.allCases) func `what a program refuses comes back from the child with its line`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let problem = #expect(throws: FirewallProblem.self) {
        try rehearse(host, "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport x-y-z -j ACCEPT\nCOMMIT\n")
      }
      #expect(problem?.kind == .refused)
      #expect(problem?.family == .ipv4)
      #expect(problem?.line == 3)
    }
  }

  @Test func `a child that gives no answer is a problem, not a rehearsal`() throws {
    try onRealHost(.nft) { host in
      for path in ["/usr/bin/true", "/usr/bin/false", "/usr/bin/cat", "/nonexistent"] {
        #expect(throws: FirewallProblem.self) { try rehearse(host, RealFirewallTests.base4, executable: path) }
      }
    }
  }
}
