import AgentTestSupport
import Apply
import Core
import Glibc
import Ruleset
import Testing
import Wire

@testable import Netfilter

@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct FlowCutterTests {
  static func layer(_ family: Family, input: [String], output: [String] = [], last: [String] = ["-j DROP"]) throws
    -> LockLayer
  {
    let nonSYN =
      "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP"
    let chains = [("INPUT", input), ("FORWARD", []), ("OUTPUT", output)]
    let rules = chains.flatMap { name, rules in (rules + [nonSYN] + last).map { "-A \(name) \($0)\n" } }
    let declarations = chains.map { ":\($0.0) ACCEPT [0:0]\n" }
    let text = "*mangle\n" + declarations.joined() + rules.joined() + "COMMIT\n"
    return try LockLayer(try Ruleset.parse(policy: Array(text.utf8), file: "profile", family: family), family)
  }

  private func patterns(ipv4: [String], ipv6: [String] = []) throws -> [FlowPattern] {
    FlowPattern.patterns(try Self.layer(.ipv4, input: ipv4)) + FlowPattern.patterns(try Self.layer(.ipv6, input: ipv6))
  }

  /// No interface of the namespace has them.
  private static let own = Set(["192.0.2.1", "192.0.2.2", "2001:db8::1"].compactMap { AddressPrefix($0) })

  @Test func `TCP that is not kept is cut in both families, and nothing of other protocols`() throws {
    try inNamespace {
      let table = try ConntrackTable()
      try table.fill([
        ConntrackTable.entry("192.0.2.7", 40000, "192.0.2.1", 22),
        ConntrackTable.entry("198.51.100.7", 40000, "192.0.2.1", 22),
        ConntrackTable.entry("192.0.2.1", 40001, "192.0.2.7", 22),
        ConntrackTable.entry("192.0.2.7", 40002, "192.0.2.1", 80),
        // A port of the host's that leads to where management is.
        ConntrackTable.entry("192.0.2.7", 40003, "192.0.2.1", 2222, from: ("192.0.2.2", 22)),
        ConntrackTable.entry("198.51.100.7", 40004, "192.0.2.1", 80, zone: 5),
        ConntrackTable.entry("198.51.100.7", 40010, "192.0.2.1", 80, zoneOfOriginal: 7),
        ConntrackTable.entry("127.0.0.1", 40005, "127.0.0.1", 80),
        ConntrackTable.entry("2001:db8::7", 40006, "2001:db8::1", 22),
        ConntrackTable.entry("2001:db8::8", 40007, "2001:db8::1", 22),
        ConntrackTable.entry("198.51.100.7", 40008, "192.0.2.1", 53, protocolNumber: 17),
        ConntrackTable.entry("2001:db8::8", 40009, "2001:db8::1", 53, protocolNumber: 17),
      ])
      #expect(ConntrackTable.count() == "12")
      let patterns = try patterns(
        ipv4: ["-i lo -j RETURN", "-s 192.0.2.7/32 -p tcp -m tcp --dport 22 -j RETURN"],
        ipv6: ["-s 2001:db8::7/128 -p tcp -m tcp --dport 22 -j RETURN"])
      #expect(try FlowCutter.cut(sparing: patterns, on: Self.own, within: .seconds(5)) == 6)
      #expect(
        try table.left() == [
          "127.0.0.1 40005", "192.0.2.7 40000", "192.0.2.7 40003", "2001:db8::7 40006",
        ])
      #expect(ConntrackTable.count() == "6")
      #expect(try FlowCutter.cut(sparing: patterns, on: Self.own, within: .seconds(5)) == 0)
      #expect(try FlowCutter.cut(sparing: [], within: .seconds(5)) == 4)
      #expect(ConntrackTable.count() == "2")
    }
  }

  @Test func `what the host itself began to a port that it keeps for others is cut`() throws {
    try inNamespace {
      for (address, device) in [("192.0.2.1/24", "lo"), ("2001:db8::1/64", "lo")] {
        _ = try SignedBundles.run("/usr/sbin/ip", ["addr", "add", address, "dev", device])
      }
      let table = try ConntrackTable()
      try table.fill([
        ConntrackTable.entry("198.51.100.7", 40000, "192.0.2.1", 443),
        ConntrackTable.entry("192.0.2.1", 40001, "198.51.100.7", 443),
        ConntrackTable.entry("2001:db8:7::7", 40002, "2001:db8::1", 443),
        ConntrackTable.entry("2001:db8::1", 40003, "2001:db8:7::7", 443),
      ])
      let keep = ["-p tcp -m tcp --dport 443 -j RETURN"]
      #expect(try FlowCutter.cut(sparing: patterns(ipv4: keep, ipv6: keep), within: .seconds(5)) == 2)
      #expect(try table.left() == ["198.51.100.7 40000", "2001:db8:7::7 40002"])
    }
  }

  @Test func `an entry that took the place of another one stays`() throws {
    try inNamespace {
      let table = try ConntrackTable()
      let entry = try ConntrackTable.entry("192.0.2.7", 40000, "192.0.2.1", 22)
      try table.fill([entry])
      let old = ConntrackMessages.deletion(of: try #require(try table.flows().first))
      #expect(try table.socket.tryAll([old], "delete", until: monotonicMilliseconds() + 5000) == [])
      var refused: [Int32] = []
      // The kernel may give the new entry the old one's memory, by which it numbers them.
      for port in UInt16(50000)..<50020 where refused.isEmpty {
        try table.fill([ConntrackTable.entry("192.0.2.7", port, "192.0.2.1", 22), entry])
        refused = try table.socket.tryAll([old], "delete", until: monotonicMilliseconds() + 5000)
      }
      #expect(refused == [ENOENT])
      #expect(try table.left().contains("192.0.2.7 40000"))
    }
  }

  @Test func `a long table is cut while it is listed, and a refusal among many is told`() throws {
    try inNamespace {
      let table = try ConntrackTable()
      let entries = try (0..<2000).map { number in
        try ConntrackTable.entry("10.0.\(number >> 8).\(number & 255)", 40000, "192.0.2.1", number % 4 == 0 ? 22 : 80)
      }
      try table.fill(entries)
      let keep = try patterns(ipv4: ["-p tcp -m tcp --dport 22 -j RETURN"])
      #expect(try FlowCutter.cut(sparing: keep, on: Self.own, within: .seconds(5)) == 1500)
      #expect(try table.left().count == 500)
      let known = entries[0]
      let refused = try table.socket.tryAll(
        [known, ConntrackTable.entry("10.9.9.9", 1, "192.0.2.1", 22), known], "create",
        until: monotonicMilliseconds() + 5000)
      #expect(refused == [EEXIST, EEXIST])
      #expect(try table.left().count == 501)
    }
  }

  @Test func `a connection that ended by itself is no error, one that the kernel does not give up is, after the rest`()
    throws
  {
    try inNamespace {
      let table = try ConntrackTable()
      try table.fill([ConntrackTable.entry("192.0.2.7", 40000, "192.0.2.1", 22)])
      let gone = ConntrackMessages.deletion(of: try #require(try table.flows().first))
      #expect(try FlowCutter.cut(sparing: [], within: .seconds(5)) == 1)
      try table.fill([ConntrackTable.entry("192.0.2.7", 40001, "192.0.2.1", 22)])
      var cutter = try FlowCutter(sparing: KeptFlows([], on: []), within: .seconds(5))
      cutter.batch = [gone]
      try cutter.run()
      #expect(cutter.cut == 1 && cutter.failure == nil)

      try table.fill([ConntrackTable.entry("192.0.2.7", 40002, "192.0.2.1", 22)])
      var broken = gone
      broken.payload[0] = 255
      cutter = try FlowCutter(sparing: KeptFlows([], on: []), within: .seconds(5))
      cutter.batch = [broken]
      try cutter.run()
      #expect(cutter.cut == 1 && cutter.failure?.kind == .refused)
      #expect(cutter.failure?.words.hasPrefix("delete 1 of 2 tracked connections") == true)
      #expect(try table.left().isEmpty)
    }
  }

  @Test func `when time is over it says so`() throws {
    try inNamespace {
      let table = try ConntrackTable()
      try table.fill([ConntrackTable.entry("192.0.2.7", 40000, "192.0.2.1", 22)])
      let problem = #expect(throws: FirewallProblem.self) { try FlowCutter.cut(sparing: [], within: .zero) }
      #expect(problem?.kind == .timedOut)
      #expect(problem?.description.hasSuffix(", after 0 were cut") == true, "\(problem.debugDescription)")
      #expect(problem?.program == "ctnetlink")
      #expect(throws: FirewallProblem.self) { try FlowCutter.list(within: .zero) }
    }
  }

  @Test func `looking for connections cuts none`() throws {
    try inNamespace {
      let table = try ConntrackTable()
      try table.fill([ConntrackTable.entry("192.0.2.7", 40000, "192.0.2.1", 22)])
      try FlowCutter.list(within: .seconds(5))
      #expect(try table.left() == ["192.0.2.7 40000"])
    }
  }

  // MARK: Real connections

  private struct Connection {
    let near: Descriptor
    let far: Descriptor

    /// - Parameter port: that nobody else in the namespace has.
    init(_ host: IPAddress, _ port: UInt16) throws {
      let listener = Descriptor(takingOwnershipOf: socket(host.number, Int32(SOCK_STREAM.rawValue), 0))
      try #require(host.withSocketAddress(port: port) { bind(listener.raw, $0, $1) } == 0)
      try #require(listen(listener.raw, 5) == 0)
      let near = Descriptor(takingOwnershipOf: socket(host.number, Int32(SOCK_STREAM.rawValue), 0))
      try #require(host.withSocketAddress(port: port) { connect(near.raw, $0, $1) } == 0)
      self.near = near
      far = Descriptor(takingOwnershipOf: accept(listener.raw, nil, nil))
    }

    /// Whether a byte sent at one end comes out at the other, in both directions.
    func lives(within milliseconds: Int32) -> Bool {
      [(near, far), (far, near)].allSatisfy { sender, receiver in
        guard send(sender.raw, "x", 1, Int32(MSG_NOSIGNAL)) == 1 else { return false }
        var waiting = pollfd(fd: receiver.raw, events: Int16(POLLIN), revents: 0)
        var byte: UInt8 = 0
        return poll(&waiting, 1, milliseconds) == 1 && recv(receiver.raw, &byte, 1, 0) == 1
      }
    }
  }

  @Test(arguments: Backend.allCases, ["127.0.0.1", "::1"])
  func `a real connection ends with the cut although the profile follows connections, a kept one lives`(
    backend: Backend, host: String
  ) throws {
    try onRealHost(backend) { real in
      _ = try SignedBundles.run("/usr/sbin/ip", ["link", "set", "lo", "up"])
      let address = try #require(IPAddress(host))
      let program = address.family == .ipv4 ? "iptables" : "ip6tables"
      // The kernel tracks from the first rule that asks.
      _ = try real.run(program, "-A", "INPUT", "-m", "conntrack", "--ctstate", "NEW")
      let kept = try Connection(address, 22)
      let other = try Connection(address, 80)
      #expect(kept.lives(within: 2000) && other.lives(within: 2000))

      let mine = ["-p tcp -m tcp --dport 22 -j RETURN", "-p tcp -m tcp --sport 22 -j RETURN"]
      let layer = try Self.layer(
        address.family, input: mine, output: mine,
        last: ["-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN", "-j DROP"])
      _ = try SignedBundles.run("\(real.programs)/\(program)-restore", ["--noflush"], input: layer.first)
      #expect(kept.lives(within: 2000) && other.lives(within: 2000))

      #expect(try FlowCutter.cut(sparing: FlowPattern.patterns(layer), within: .seconds(5)) == 1)
      #expect(kept.lives(within: 2000))
      #expect(!other.lives(within: 300))
      // Nor does its own retransmission bring it back.
      #expect(try ConntrackTable().flows().count == 1)
    }
  }

  @Test(arguments: Backend.allCases)
  func `a kept connection lives where the kernel picks up none midway, as its entry is spared`(backend: Backend) throws
  {
    try onRealHost(backend) { real in
      _ = try SignedBundles.run("/usr/sbin/ip", ["link", "set", "lo", "up"])
      _ = try real.run("iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
      let loose = Descriptor(
        takingOwnershipOf: open("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", O_WRONLY | O_CLOEXEC))
      try #require(write(loose.raw, "0", 1) == 1)
      let kept = try Connection(try #require(IPAddress("127.0.0.1")), 22)
      let mine = ["-p tcp -m tcp --dport 22 -j RETURN", "-p tcp -m tcp --sport 22 -j RETURN"]
      let layer = try Self.layer(.ipv4, input: mine, output: mine)
      _ = try SignedBundles.run("\(real.programs)/iptables-restore", ["--noflush"], input: layer.first)
      #expect(try FlowCutter.cut(sparing: FlowPattern.patterns(layer), within: .seconds(5)) == 0)
      #expect(kept.lives(within: 2000))
      #expect(try FlowCutter.cut(sparing: [], within: .seconds(5)) == 1)
      #expect(!kept.lives(within: 300))
    }
  }
}
