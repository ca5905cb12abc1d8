import AgentTestSupport
import Apply
import Core
import Glibc
import Testing
import Wire

@testable import Netfilter

/// The real executable in a sandbox like that of its unit.
@Suite(
  .enabled(if: isRoot, "needs root, for namespaces"),
  .enabled(if: agentExecutable != nil, "needs the agent's executable, which a build of the whole package makes"))
struct SandboxTests {
  private func knock(
    _ host: RealHost, _ sandbox: Sandbox, _ text: String, _ paths: [KnockPath] = KnockTests.near,
    live: PerFamily<[UInt8]>? = nil
  ) throws -> KnockResult {
    let firewall = LinuxFirewall(
      directories: [host.programs], lock: nil, rehearsalLockFile: "\(host.root)/rehearsal.lock"
    ) { (request) throws(FirewallProblem) in
      try RehearsalChild.ask(request, executable: sandbox.executable, runner: ProgramRunner())
    }
    let rehearsed = try firewall.rehearse(
      Rehearsal(live: live, texts: PerFamily(text, text, keepsOthers: live != nil), knock: paths))
    #expect(rehearsed.withoutLive == nil)
    return try #require(rehearsed.knock)
  }

  @Test func `the sandbox takes away what the unit takes away`() throws {
    try onRealHost(.nft) { host in
      let sandbox = try Sandbox("/bin/sh -c", root: host.root)
      func attempt(_ words: String) throws -> String {
        let script = "(\(words)) 2>/dev/null && echo done || echo refused"
        return String(decoding: try SignedBundles.run(sandbox.executable, [script]), as: UTF8.self)
      }
      #expect(try attempt("grep -q 'CapEff:.00000000*203401$' /proc/self/status") == "done\n")
      #expect(try attempt("grep -q 'NoNewPrivs:.1' /proc/self/status") == "done\n")
      #expect(try attempt("echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter") == "refused\n")
      #expect(try attempt("echo x > /etc/portcullis-test") == "refused\n")
      #expect(try attempt("echo x > \(host.root)/file && echo x > /run/xtables.lock && echo x > /dev/null") == "done\n")
      #expect(try attempt("test -e /dev/kmsg") == "refused\n")
      #expect(try attempt("grep -q '^proc /proc .*hidepid=' /proc/self/mounts") == "done\n")
    }
  }

  @Test(arguments: Backend.allCases) func `a rehearsal and its knock come to a verdict in the unit's sandbox`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      try KnockTests.wire()
      let sandbox = try Sandbox(agentExecutable!, root: host.root)
      let open = KnockTests.filter(KnockTests.letIn)
      let own = ["127.0.0.1", "2001:db8:1::1"].map { KnockPath(source: $0, ports: [22]) }
      #expect(try knock(host, sandbox, open) == .passed)
      #expect(try knock(host, sandbox, KnockTests.filter(KnockTests.letIn, KnockTests.follow), own) == .passed)
      let shut = "-A INPUT -p tcp -m tcp --dport 22 -j DROP"
      guard case .shut(let paths) = try knock(host, sandbox, KnockTests.filter(shut)) else {
        Issue.record("a shut door passed")
        return
      }
      #expect(paths.map(\.culprit) == [shut, shut])
    }
  }

  @Test(arguments: StandIn.How.allCases) func `a guard in the unit's sandbox takes the change back`(
    how: StandIn.How
  ) throws {
    try onRealHost(.nft) { host in
      let sandbox = try Sandbox(agentExecutable!, root: host.root)
      let standIn = try StandIn(host, executable: sandbox.executable, milliseconds: 60_000, how: how)
      kill(standIn.process, SIGKILL)
      _ = standIn.reap()
      for _ in 0..<1000 where StandIn.isRunning(standIn.guardProcess) { usleep(10_000) }
      #expect(!StandIn.isRunning(standIn.guardProcess))
      #expect(try Journal.read(from: LinuxDisk(standIn.paths.state)).open == nil)
      #expect(try host.run("iptables", "-S", "INPUT").contains("--dport 22 "))
    }
  }
}

/// What the stage does without /proc/sys.
@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct StageTests {
  private static func setting(_ name: String) -> String? { SmallFile.line("/proc/sys/net/\(name)") }

  private static func checkStrictly() {
    for name in ["all", "default"] {
      let raw = open("/proc/sys/net/ipv4/conf/\(name)/rp_filter", O_WRONLY | O_CLOEXEC)
      defer { close(raw) }
      #expect(write(raw, "1", 1) == 1)
    }
  }

  /// Two managers behind two interfaces, who know the host by the same address.
  private static func plan() throws -> KnockPlan {
    func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
    let paths = try [("192.0.2.7", "eth0"), ("198.51.100.7", "eth1")].map { source, interface in
      KnockPlan.Path(
        asked: source, source: try address(source), destination: try address("192.0.2.1"), interface: interface,
        ports: [22])
    }
    return KnockPlan(
      paths: paths, addresses: [HostStack.Address(interface: "eth0", address: try address("192.0.2.1"), length: 24)])
  }

  @Test func `its interfaces make no noise and check no reverse path, by netlink alone`() throws {
    try inNamespace {
      // What new interfaces inherit.
      Self.checkStrictly()
      let stage = try KnockStage(Self.plan())
      #expect(Self.setting("ipv4/conf/eth0/rp_filter") == "0")
      #expect(Self.setting("ipv6/conf/eth0/addr_gen_mode") == "1")
      #expect(try stage.visit { Self.setting("ipv6/conf/out1/addr_gen_mode") } == "1")
    }
  }

  @Test func `two interfaces stand a strict check of reverse paths`() throws {
    try inNamespace {
      let plan = try Self.plan()
      let stage = try KnockStage(plan)
      // Where /proc/sys is read-only nobody sets it back.
      Self.checkStrictly()
      try stage.visit { Self.checkStrictly() }
      let targets = plan.paths.indices.map { KnockTarget(path: $0, port: 22) }
      #expect(try KnockAttempt(stage, plan).run(targets, milliseconds: 1000) == [.open, .open])
    }
  }
}
