import AgentTestSupport
import Apply
import Core
import Release
import Testing
import Wire

@testable import Netfilter

/// Our chains beside Docker's and in the plain files, by the host's own programs on the real kernel.
@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct BesideDockerTests {
  static let containers4 = """
    *filter
    :INPUT DROP [0:0]
    :CONTAINERS - [0:0]
    -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
    -A CONTAINERS -s 192.0.2.9/32 -j RETURN
    -A CONTAINERS -j DROP
    COMMIT

    """
  static let plain = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"

  @discardableResult
  private func apply(_ agent: HostAgent, _ serial: UInt64, _ ipv4: String) throws -> Outcome.Result {
    let bundle = try SignedBundles.bundle(serial: serial, ipv4: ipv4, ipv6: Self.plain, mode: .owned)
    let outcome = try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest)
    #expect([.committed, .unchanged].contains(outcome.result), "\(outcome.detail)")
    return outcome.result
  }

  /// As after a boot: an empty kernel, and the agent's disk.
  private func afterBoot(_ host: RealHost, _ body: @escaping (HostAgent) throws -> Void) throws {
    try inNamespace {
      let agent = try HostAgent(
        state: LinuxDisk("\(host.root)/state"), trust: LinuxDisk("\(host.root)/etc/portcullis"),
        firewall: host.firewall(), settings: LinuxSettings(), facts: LinuxFacts(root: host.root),
        clock: RealHost.FixedClock(),
        bootClock: LinuxBootClock(), deadMan: NoDeadMan())
      guard case .committed = try agent.restore() else { throw Reason("not restored") }
      try body(agent)
    }
  }

  private func rules(_ host: RealHost, _ chain: String) throws -> [Substring] {
    try host.run("iptables", "-S", chain).split(separator: "\n").filter { $0.hasPrefix("-A") }
  }

  @Test(arguments: Backend.allCases) func `Docker that starts after a boot finds our hook in its chain, and keeps it`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let agent = try host.agent()
      try self.apply(agent, 1, Self.containers4)
      #expect(try !host.run("iptables-save").contains("DOCKER"))
      try afterBoot(host) { agent in
        #expect(try self.rules(host, "DOCKER-USER") == ["-A DOCKER-USER -j PCL-CONTAINERS"])
        let prepared = try agent.report(.random(), managementSource: "")
        #expect(prepared.families.ipv4.observed == prepared.families.ipv4.expected)
        #expect(prepared.owners == [])
        // As Docker begins: it looks whether the chain is there, adds its RETURN, and calls it.
        _ = try host.run("iptables", "-n", "-L", "DOCKER-USER")
        _ = try host.run("iptables", "-A", "DOCKER-USER", "-j", "RETURN")
        _ = try host.run("iptables", "-I", "FORWARD", "-j", "DOCKER-USER")
        let started = try agent.report(.random(), managementSource: "")
        #expect(started.families.ipv4.observed == started.families.ipv4.expected)
        #expect(started.owners == [.docker])
        #expect(try self.apply(agent, 1, Self.containers4) == .unchanged)
        // Our hook goes, Docker's chain stays.
        try self.apply(agent, 2, Self.plain)
        #expect(try self.rules(host, "DOCKER-USER") == ["-A DOCKER-USER -j RETURN"])
      }
    }
  }

  @Test(arguments: Backend.allCases) func `where Docker never starts the chain that was made for it goes with our hook`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      try self.apply(host.agent(), 1, Self.containers4)
      try afterBoot(host) { agent in
        #expect(try host.run("iptables-save").contains("DOCKER-USER"))
        try self.apply(agent, 2, Self.plain)
        #expect(try !host.run("iptables-save").contains("DOCKER-USER"))
      }
      // Without rules for containers nothing is made.
      try afterBoot(host) { _ in
        let saved = try host.run("iptables-save")
        #expect(!saved.contains("DOCKER-USER"))
      }
    }
  }

  @Test(arguments: Backend.allCases)
  func `hooks that loading a plain file again has doubled are one after our next load`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let agent = try host.agent()
      try self.apply(agent, 1, Self.plain)
      let hook = try self.rules(host, "INPUT")
      #expect(hook == ["-A INPUT -j PCL-INPUT"])
      func loadPlainFile() throws {
        _ = try SignedBundles.run(
          "\(host.programs)/iptables-restore", ["--noflush", "\(host.root)/state/rules/ipv4.rules"])
      }
      try loadPlainFile()
      try loadPlainFile()
      #expect(try self.rules(host, "INPUT").count == 3)
      let report = try agent.report(.random(), managementSource: "")
      #expect(report.families.ipv4.observed != report.families.ipv4.expected)
      #expect(try self.apply(agent, 1, Self.plain) == .committed)
      #expect(try self.rules(host, "INPUT") == hook)
      // The same for the load at boot, and when the file came first.
      try loadPlainFile()
      #expect(try agent.restore() == .committed(Serial(1)))
      #expect(try self.rules(host, "INPUT") == hook)
    }
  }
}
