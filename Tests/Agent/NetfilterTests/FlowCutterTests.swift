import AgentTestSupport
import Apply
import Core
import Glibc
import Ruleset
import Testing
import Wire

@testable import Netfilter

/// Bytes as nfnetlink_conntrack.h defines them, on a little-endian machine.
@Suite struct ConntrackMessagesTests {
  private static let original: [UInt8] = [
    20, 0, 1, 0x80, 8, 0, 1, 0, 192, 0, 2, 7, 8, 0, 2, 0, 192, 0, 2, 1,  // addresses
    28, 0, 2, 0x80, 5, 0, 1, 0, 6, 0, 0, 0,  // TCP
    6, 0, 2, 0, 0x9c, 0x40, 0, 0, 6, 0, 3, 0, 0, 22, 0, 0,  // 40000, 22
  ]
  private static let reply: [UInt8] = [
    20, 0, 1, 0x80, 8, 0, 1, 0, 10, 0, 0, 5, 8, 0, 2, 0, 192, 0, 2, 7,
    28, 0, 2, 0x80, 5, 0, 1, 0, 6, 0, 0, 0, 6, 0, 2, 0, 0x08, 0xae, 0, 0, 6, 0, 3, 0, 0x9c, 0x40, 0, 0,
  ]

  private static func entry(_ original: [UInt8] = original, zone: [UInt8] = []) -> [UInt8] {
    let content =
      [2, 0, 0, 0] + NetlinkMessage.attribute(0x8001, original) + NetlinkMessage.attribute(0x8002, reply)
      + NetlinkMessage.attribute(12, [1, 2, 3, 4]) + zone
    return NetlinkMessage(0x100, flags: 2, fixed: content, attributes: []).encode(sequence: 1)
  }

  private func read(_ bytes: [UInt8]) -> TrackedFlow? { NetlinkReply.all(in: bytes).first.flatMap(TrackedFlow.init) }

  @Test func `an entry is read with its ends, as they came and as rules see them`() throws {
    let flow = try #require(read(Self.entry()))
    let outside = try #require(AddressPrefix("192.0.2.7"))
    #expect(
      flow.original
        == FlowTuple(
          source: outside, sourcePort: 40000, destination: AddressPrefix("192.0.2.1")!, destinationPort: 22))
    #expect(
      flow.translated
        == FlowTuple(
          source: outside, sourcePort: 40000, destination: AddressPrefix("10.0.0.5")!, destinationPort: 2222))
  }

  @Test func `other protocols and broken entries are no flow, and crash nothing`() throws {
    var udp = Self.original
    udp[28] = 17
    #expect(read(Self.entry(udp)) == nil)
    let whole = Self.entry()
    for count in 0..<whole.count { #expect(read(Array(whole.prefix(count))) == nil) }
    for position in whole.indices {
      for value in [UInt8(0), 3, 255] {
        var broken = whole
        broken[position] = value
        _ = read(broken)
      }
    }
  }

  @Test func `a deletion names the ends, the entry's number, and its zone`() throws {
    let zone: [UInt8] = [6, 0, 18, 0, 0, 5, 0, 0]
    let flow = try #require(read(Self.entry(zone: zone)))
    #expect(
      ConntrackMessages.deletion(of: flow).encode(sequence: 9)
        == [88, 0, 0, 0, 2, 1, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]  // IPCTNL_MSG_CT_DELETE, REQUEST
        + [2, 0, 0, 0] + [52, 0, 1, 0x80] + Self.original + [8, 0, 12, 0, 1, 2, 3, 4] + zone)
    #expect(
      ConntrackMessages.all.encode(sequence: 1)
        == [20, 0, 0, 0, 1, 1, 1, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test(arguments: [
    (EINVAL, FirewallProblem.Kind.unavailable), (EPROTONOSUPPORT, .unavailable), (EPERM, .unavailable),
    (ETIMEDOUT, .timedOut), (EBUSY, .refused),
  ]) func `what the kernel says becomes a kind of problem`(errno: Int32, kind: FirewallProblem.Kind) {
    #expect(FlowCutter.kind(errno) == kind)
  }
}

@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct FlowCutterTests {
  /// Entries as if connections had been there.
  private struct Table {
    let socket: NetlinkSocket

    init() throws {
      socket = try NetlinkSocket(NetlinkSocket.netfilter)
    }

    /// - Parameter server: who answers, where the destination was translated.
    static func entry(
      _ source: String, _ sourcePort: UInt16, _ destination: String, _ destinationPort: UInt16,
      from server: (address: String, port: UInt16)? = nil, protocolNumber: UInt8 = 6, zone: UInt8? = nil
    ) throws -> NetlinkMessage {
      let server = server ?? (destination, destinationPort)
      let family: UInt8 = source.contains(":") ? 10 : 2
      let tcp = NetlinkMessage.nested(4, NetlinkMessage.nested(1, NetlinkMessage.attribute(1, [3])))
      return NetlinkMessage(
        ConntrackMessages.entry,
        flags: NetlinkMessage.Flag.request | NetlinkMessage.Flag.create | NetlinkMessage.Flag.exclusive,
        fixed: ConntrackMessages.header(family),
        attributes: [
          try tuple(1, source, sourcePort, destination, destinationPort, protocolNumber),
          try tuple(2, server.address, server.port, source, sourcePort, protocolNumber),
          NetlinkMessage.attribute(7, [0, 0, 2, 88]), NetlinkMessage.attribute(3, [0, 0, 0, 0xe]),
        ] + (protocolNumber == 6 ? [tcp] : []) + (zone.map { [NetlinkMessage.attribute(18, [0, $0])] } ?? []))
    }

    private static func tuple(
      _ type: UInt16, _ source: String, _ sourcePort: UInt16, _ destination: String, _ destinationPort: UInt16,
      _ protocolNumber: UInt8
    ) throws -> [UInt8] {
      let ends = [try #require(IPAddress(source)), try #require(IPAddress(destination))]
      let first: UInt16 = ends[0].bytes.count == 4 ? 1 : 3
      func port(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 255)] }
      return NetlinkMessage.nested(
        type,
        NetlinkMessage.nested(
          1, NetlinkMessage.attribute(first, ends[0].bytes), NetlinkMessage.attribute(first + 1, ends[1].bytes)),
        NetlinkMessage.nested(
          2, NetlinkMessage.attribute(1, [protocolNumber]), NetlinkMessage.attribute(2, port(sourcePort)),
          NetlinkMessage.attribute(3, port(destinationPort))))
    }

    func fill(_ entries: [NetlinkMessage]) throws {
      for start in stride(from: 0, to: entries.count, by: 100) {
        let part = Array(entries[start..<min(start + 100, entries.count)])
        let refused = try socket.tryAll(part, "create", until: monotonicMilliseconds() + 5000)
        try #require(refused.isEmpty, "\(refused)")
      }
    }

    func flows() throws -> [TrackedFlow] {
      var flows: [TrackedFlow] = []
      _ = try socket.dump(ConntrackMessages.all, "list", of: ConntrackMessages.entry) { reply in
        if let flow = TrackedFlow(reply) { flows.append(flow) }
        return true
      }
      return flows
    }

    /// Who began each, sorted.
    func left() throws -> [String] {
      try flows().map { "\($0.original.source) \($0.original.sourcePort)" }.sorted()
    }

    /// Of every protocol.
    static func count() -> String? { SmallFile.line("/proc/sys/net/netfilter/nf_conntrack_count") }
  }

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

  @Test func `TCP that is not kept is cut in both families, and nothing of other protocols`() throws {
    try inNamespace {
      let table = try Table()
      try table.fill([
        Table.entry("192.0.2.7", 40000, "192.0.2.1", 22), Table.entry("198.51.100.7", 40000, "192.0.2.1", 22),
        Table.entry("192.0.2.1", 40001, "192.0.2.7", 22), Table.entry("192.0.2.7", 40002, "192.0.2.1", 80),
        // A port of the host's that leads to where management is.
        Table.entry("192.0.2.7", 40003, "192.0.2.1", 2222, from: ("192.0.2.2", 22)),
        Table.entry("198.51.100.7", 40004, "192.0.2.1", 80, zone: 5),
        Table.entry("127.0.0.1", 40005, "127.0.0.1", 80), Table.entry("2001:db8::7", 40006, "2001:db8::1", 22),
        Table.entry("2001:db8::8", 40007, "2001:db8::1", 22),
        Table.entry("198.51.100.7", 40008, "192.0.2.1", 53, protocolNumber: 17),
        Table.entry("2001:db8::8", 40009, "2001:db8::1", 53, protocolNumber: 17),
      ])
      #expect(Table.count() == "11")
      let patterns = try patterns(
        ipv4: ["-i lo -j RETURN", "-s 192.0.2.7/32 -p tcp -m tcp --dport 22 -j RETURN"],
        ipv6: ["-s 2001:db8::7/128 -p tcp -m tcp --dport 22 -j RETURN"])
      #expect(try FlowCutter.cut(sparing: patterns, within: .seconds(5)) == 5)
      #expect(
        try table.left() == [
          "127.0.0.1 40005", "192.0.2.7 40000", "192.0.2.7 40003", "2001:db8::7 40006",
        ])
      #expect(Table.count() == "6")
      #expect(try FlowCutter.cut(sparing: patterns, within: .seconds(5)) == 0)
      #expect(try FlowCutter.cut(sparing: [], within: .seconds(5)) == 4)
      #expect(Table.count() == "2")
    }
  }

  @Test func `an entry that took the place of another one stays`() throws {
    try inNamespace {
      let table = try Table()
      let entry = try Table.entry("192.0.2.7", 40000, "192.0.2.1", 22)
      try table.fill([entry])
      let old = ConntrackMessages.deletion(of: try #require(try table.flows().first))
      #expect(try table.socket.tryAll([old], "delete", until: monotonicMilliseconds() + 5000) == [])
      var refused: [Int32] = []
      // The kernel may give the new entry the old one's memory, by which it numbers them.
      for port in UInt16(50000)..<50020 where refused.isEmpty {
        try table.fill([Table.entry("192.0.2.7", port, "192.0.2.1", 22), entry])
        refused = try table.socket.tryAll([old], "delete", until: monotonicMilliseconds() + 5000)
      }
      #expect(refused == [ENOENT])
      #expect(try table.left().contains("192.0.2.7 40000"))
    }
  }

  @Test func `a long table is cut while it is listed, and a refusal among many is told`() throws {
    try inNamespace {
      let table = try Table()
      let entries = try (0..<2000).map { number in
        try Table.entry("10.0.\(number >> 8).\(number & 255)", 40000, "192.0.2.1", number % 4 == 0 ? 22 : 80)
      }
      try table.fill(entries)
      let keep = try patterns(ipv4: ["-p tcp -m tcp --dport 22 -j RETURN"])
      #expect(try FlowCutter.cut(sparing: keep, within: .seconds(5)) == 1500)
      #expect(try table.left().count == 500)
      let known = entries[0]
      let refused = try table.socket.tryAll(
        [known, Table.entry("10.9.9.9", 1, "192.0.2.1", 22), known], "create", until: monotonicMilliseconds() + 5000)
      #expect(refused == [EEXIST, EEXIST])
      #expect(try table.left().count == 501)
    }
  }

  @Test func `a connection that ended by itself is no error, one that the kernel does not give up is, after the rest`()
    throws
  {
    try inNamespace {
      let table = try Table()
      try table.fill([Table.entry("192.0.2.7", 40000, "192.0.2.1", 22)])
      let gone = ConntrackMessages.deletion(of: try #require(try table.flows().first))
      #expect(try FlowCutter.cut(sparing: [], within: .seconds(5)) == 1)
      try table.fill([Table.entry("192.0.2.7", 40001, "192.0.2.1", 22)])
      var cutter = try FlowCutter(sparing: [], within: .seconds(5))
      cutter.batch = [gone]
      try cutter.run()
      #expect(cutter.cut == 1 && cutter.failure == nil)

      try table.fill([Table.entry("192.0.2.7", 40002, "192.0.2.1", 22)])
      var broken = gone
      broken.payload[0] = 255
      cutter = try FlowCutter(sparing: [], within: .seconds(5))
      cutter.batch = [broken]
      try cutter.run()
      #expect(cutter.cut == 1 && cutter.failure?.kind == .refused)
      #expect(cutter.failure?.words.hasPrefix("delete 1 of 2 tracked connections") == true)
      #expect(try table.left().isEmpty)
    }
  }

  @Test func `when time is over it says so`() throws {
    try inNamespace {
      let table = try Table()
      try table.fill([Table.entry("192.0.2.7", 40000, "192.0.2.1", 22)])
      let problem = #expect(throws: FirewallProblem.self) { try FlowCutter.cut(sparing: [], within: .zero) }
      #expect(problem?.kind == .timedOut)
      #expect(problem?.program == "ctnetlink")
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
      #expect(try Table().flows().count == 1)
    }
  }
}
