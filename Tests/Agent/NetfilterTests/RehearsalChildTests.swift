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
  private func rehearse(
    _ host: RealHost, _ ipv4: String, executable path: String = agentExecutable!
  ) throws -> PerFamily<[UInt8]> {
    let firewall = LinuxFirewall(
      directories: [host.programs], lock: nil, rehearsalLockFile: "\(host.root)/rehearsal.lock"
    ) { (request) throws(FirewallProblem) in
      try RehearsalChild.ask(request, executable: path, runner: ProgramRunner())
    }
    return try firewall.rehearse(Rehearsal(texts: PerFamily(ipv4, ""))).saved
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
