import AgentTestSupport
import Apply
import Core
import Foundation
import Release
import Testing
import Wire

@testable import Netfilter

/// System calls of the real executable, of its guard and of the programs it runs, that fail by strace's hand
/// (`inject=`): the k-th of each process, for every k there is. The seams' own sweeps know only the calls we make.
@Suite(
  .enabled(if: isRoot, "needs root, for network namespaces"),
  .enabled(if: agentExecutable != nil, "needs the agent's executable, which a build of the whole package makes"))
struct InjectedFaultTests {
  struct Fault: CustomStringConvertible, Sendable {
    let call: String
    let error: String
    var description: String { "\(call) \(error)" }
  }

  static let faults = [
    Fault(call: "fsync", error: "EIO"), Fault(call: "write", error: "ENOSPC"), Fault(call: "write", error: "EINTR"),
    Fault(call: "renameat", error: "EIO"), Fault(call: "openat", error: "ENOMEM"), Fault(call: "read", error: "EIO"),
    Fault(call: "read", error: "EINTR"), Fault(call: "poll", error: "EINTR"), Fault(call: "execve", error: "ENOMEM"),
    Fault(call: "sendto", error: "ENOBUFS"), Fault(call: "unshare", error: "ENOMEM"),
    Fault(call: "memfd_create", error: "ENOMEM"), Fault(call: "wait4", error: "EINTR"),
  ]

  private static let before = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"
  private static let after = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 2222 -j ACCEPT\nCOMMIT\n"

  /// A host with two releases behind it, that can be brought back to where it was.
  private final class Prepared {
    let host: RealHost
    let paths: AgentPaths
    let restorable: [String: [UInt8]]
    let now: [String]

    init(_ host: RealHost) throws {
      self.host = host
      paths = AgentPaths(root: host.root)
      try LinuxDisk.makePath(paths.state)
      try LinuxDisk.makePath(paths.run)
      let agent = try HostAgent(
        state: LinuxDisk(paths.state), trust: LinuxDisk(paths.trust), firewall: host.firewall(),
        settings: LinuxSettings(),
        facts: LinuxFacts(root: host.root), clock: RealHost.FixedClock(), bootClock: LinuxBootClock(),
        deadMan: NoDeadMan())
      try agent.recover()
      try #require(try agent.apply(1, InjectedFaultTests.before, InjectedFaultTests.before).result == .committed)
      try #require(try agent.apply(2, InjectedFaultTests.after, InjectedFaultTests.after).result == .committed)
      _ = try SignedBundles.run("/usr/bin/cp", ["-a", paths.state, "\(host.root)/kept"])
      var restorable: [String: [UInt8]] = [:]
      for program in ["iptables", "ip6tables"] { restorable[program] = Array(try host.run("\(program)-save").utf8) }
      self.restorable = restorable
      now = try Self.rules(host)
    }

    static func rules(_ host: RealHost) throws -> [String] {
      try ["iptables", "ip6tables"].map { try host.run($0, "-S") }
    }

    func reset() throws {
      _ = try SignedBundles.run("/usr/bin/rm", ["-rf", paths.state])
      _ = try SignedBundles.run("/usr/bin/cp", ["-a", "\(host.root)/kept", paths.state])
      for (program, text) in restorable {
        _ = try SignedBundles.run("\(host.programs)/\(program)-restore", [], input: text)
      }
    }

    var command: [String] { [agentExecutable!, "rollback", "--local", "--reason", "test", "--root", host.root] }
  }

  @Test(arguments: faults) func `a system call that fails leaves the old rules or the new, of both families`(
    fault: Fault
  ) throws {
    // Every position where figures are asked for; else a few, the first ones among them.
    let isWhole = ProcessInfo.processInfo.environment["PORTCULLIS_FIGURES"] != nil
    try onRealHost(.nft) { host in
      let prepared = try Prepared(host)
      try prepared.reset()
      _ = try SignedBundles.run(prepared.command[0], Array(prepared.command.dropFirst()))
      let rolledBack = try Prepared.rules(host)
      try #require(rolledBack != prepared.now && rolledBack.allSatisfy { $0.contains("--dport 22 ") })
      let good = [prepared.now, rolledBack]

      var (position, trials, struck) = (1, 0, 0)
      while trials < 5_000 {
        try prepared.reset()
        let log = "\(host.root)/injected"
        let result = try ProgramRunner().run(
          ProgramRequest(
            "/usr/bin/strace",
            [
              "-f", "-qq", "-o", log, "-e", "trace=\(fault.call)", "-e",
              "inject=\(fault.call):error=\(fault.error):when=\(position)",
            ] + prepared.command, milliseconds: 60_000))
        let place: Comment = "\(fault) at \(position): \(result.end) \(String(decoding: result.errors, as: UTF8.self))"
        trials += 1
        guard String(decoding: SmallFile.read(log, atMost: 16 << 20) ?? [], as: UTF8.self).contains("(INJECTED)") else {
          #expect(result.end == .exited(0), place)
          break
        }
        struck += 1
        try HostAgent.liveGuard(root: host.root).recover()
        let rules = try Prepared.rules(host)
        #expect(good.contains(rules), place)
        let ledger = try Journal.read(from: LinuxDisk(prepared.paths.state))
        #expect(ledger.open == nil && ledger.floor?.serial == Serial(2), place)
        // Whoever was told that it was done finds it done.
        if result.end == .exited(0) { #expect(rules == rolledBack, place) }
        position += isWhole || position < 4 ? 1 : position
      }
      #expect(struck > 0, "\(fault) never struck")
      print("\(fault): \(struck) positions, the last tried \(position)")
    }
  }
}
