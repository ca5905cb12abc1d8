import Apply
import Core
import Ruleset
import Testing
import Wire

@testable import Netfilter

/// Bytes as rtnetlink(7) and libnftnl's headers define them, on a little-endian machine.
@Suite struct NetlinkTests {
  private static let source = IPAddress("192.0.2.7")!

  static let messages: [(String, NetlinkMessage, [UInt8])] = [
    (
      "set link 1001 up", RouteMessages.up(index: 1001),
      [
        32, 0, 0, 0, 19, 0, 5, 0, 9, 0, 0, 0, 0, 0, 0, 0,  // length, RTM_SETLINK, REQUEST|ACK, sequence, port
        0, 0, 0, 0, 0xe9, 3, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,  // family, type, index, IFF_UP, change
      ]
    ),
    (
      "address", RouteMessages.address(source, length: 24, index: 2),
      [
        40, 0, 0, 0, 20, 0, 5, 6, 9, 0, 0, 0, 0, 0, 0, 0,  // RTM_NEWADDR, REQUEST|ACK|EXCL|CREATE
        2, 24, 2, 0, 2, 0, 0, 0,  // AF_INET, prefix, IFA_F_NODAD, scope, index
        8, 0, 2, 0, 192, 0, 2, 7,  // IFA_LOCAL
        8, 0, 1, 0, 192, 0, 2, 7,  // IFA_ADDRESS
      ]
    ),
    (
      "route", RouteMessages.route(to: source, length: 32, index: 3, metric: 5),
      [
        52, 0, 0, 0, 24, 0, 5, 6, 9, 0, 0, 0, 0, 0, 0, 0,  // RTM_NEWROUTE
        2, 32, 0, 0, 254, 4, 253, 1, 0, 0, 0, 0,  // to /32, table main, static, link scope, unicast
        8, 0, 1, 0, 192, 0, 2, 7,  // RTA_DST
        8, 0, 4, 0, 3, 0, 0, 0,  // RTA_OIF
        8, 0, 6, 0, 5, 0, 0, 0,  // RTA_PRIORITY
      ]
    ),
    (
      "neighbour", RouteMessages.neighbour(source, at: [2, 0x50, 0x43, 0, 0, 1], index: 3),
      [
        48, 0, 0, 0, 28, 0, 5, 6, 9, 0, 0, 0, 0, 0, 0, 0,  // RTM_NEWNEIGH
        2, 0, 0, 0, 3, 0, 0, 0, 0x80, 0, 0, 0,  // family, index, NUD_PERMANENT
        8, 0, 1, 0, 192, 0, 2, 7,  // NDA_DST
        10, 0, 2, 0, 2, 0x50, 0x43, 0, 0, 1, 0, 0,  // NDA_LLADDR and its padding
      ]
    ),
    (
      "veth pair",
      RouteMessages.pair(
        name: "eth0", index: 5, address: [2, 0, 0, 0, 0, 1],
        peer: RouteMessages.Peer(name: "out0", index: 6, address: [2, 0, 0, 0, 0, 2], namespace: 9)),
      [
        128, 0, 0, 0, 16, 0, 5, 6, 9, 0, 0, 0, 0, 0, 0, 0,  // RTM_NEWLINK
        0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        9, 0, 3, 0, 0x65, 0x74, 0x68, 0x30, 0, 0, 0, 0,  // IFLA_IFNAME eth0
        10, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 0,  // IFLA_ADDRESS
        72, 0, 18, 0x80,  // IFLA_LINKINFO
        9, 0, 1, 0, 0x76, 0x65, 0x74, 0x68, 0, 0, 0, 0,  // IFLA_INFO_KIND veth
        56, 0, 2, 0x80, 52, 0, 1, 0,  // IFLA_INFO_DATA, VETH_INFO_PEER
        0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        9, 0, 3, 0, 0x6f, 0x75, 0x74, 0x30, 0, 0, 0, 0,  // out0
        10, 0, 1, 0, 2, 0, 0, 0, 0, 2, 0, 0,
        8, 0, 28, 0, 9, 0, 0, 0,  // IFLA_NET_NS_FD
      ]
    ),
    (
      "question for a route", RouteMessages.lookup(source, from: nil),
      [
        36, 0, 0, 0, 26, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1, 0, 192, 0,
        2, 7,
      ]
    ),
  ]

  @Test(arguments: messages.indices) func `messages are laid out as the kernel reads them`(index: Int) {
    let (name, message, bytes) = Self.messages[index]
    #expect(message.encode(sequence: 9) == bytes, "\(name)")
  }

  /// An answer to RTM_GETROUTE: unicast, RTA_OIF 2, RTA_PREFSRC 192.0.2.1.
  static let answer: [UInt8] =
    [44, 0, 0, 0, 24, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 32, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0]
    + [8, 0, 4, 0, 2, 0, 0, 0, 8, 0, 7, 0, 192, 0, 2, 1]

  @Test func `answers are read, and any part of one without a crash`() throws {
    let reply = try #require(NetlinkReply.all(in: Self.answer).first)
    let route = RouteMessages.route(reply)
    #expect(route == RouteMessages.Route(isLocal: false, interface: 2, source: IPAddress("192.0.2.1")))
    #expect(NetlinkReply.all(in: Self.answer + Self.answer).count == 2)
    for count in 0..<Self.answer.count { #expect(NetlinkReply.all(in: Array(Self.answer.prefix(count))).isEmpty) }
    // Lengths that lie.
    for position in Self.answer.indices {
      for value in [UInt8(0), 3, 255] {
        var broken = Self.answer
        broken[position] = value
        for reply in NetlinkReply.all(in: broken) { _ = RouteMessages.route(reply) }
      }
    }
  }

  @Test func `who made a generation of the rules is read from its announcement`() throws {
    let message: [UInt8] =
      [52, 0, 0, 0, 15, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3] + [8, 0, 1, 0, 0, 0, 0, 9]
      + [8, 0, 2, 0, 0, 0, 3, 44] + [13, 0, 3, 0] + Array("fail2ban".utf8) + [0, 0, 0, 0]
    #expect(Writers.writer(try #require(NetlinkReply.all(in: message).first)) == "fail2ban (process 812)")
    #expect(Writers.writer(try #require(NetlinkReply.all(in: Self.answer).first)) == nil)
    let locks = """
      1: FLOCK  ADVISORY  WRITE 700 00:1a:5678 0 EOF
      2: POSIX  ADVISORY  WRITE 701 00:1a:5679 0 EOF
      3: FLOCK  ADVISORY  WRITE 812 00:1a:5679 0 EOF
      3: -> FLOCK  ADVISORY  WRITE 813 00:1a:5680 0 EOF
      """
    #expect(Writers.flockHolder(inode: 5679, in: Array(locks.utf8)) == 812)
    #expect(Writers.flockHolder(inode: 5680, in: Array(locks.utf8)) == nil)
  }

  @Test func `an address is found that stands for a prefix`() throws {
    let own = Set(["192.0.2.1", "192.0.2.2", "198.51.100.10", "2001:db8:1::1"].compactMap { IPAddress($0) })
    for (prefix, expected) in [
      ("192.0.2.7", "192.0.2.7"), ("192.0.2.0/24", "192.0.2.3"), ("0.0.0.0/0", "203.0.113.10"),
      ("::/0", "2001:db8::10"), ("2001:db8:1::/64", "2001:db8:1::2"), ("192.0.2.8/31", "192.0.2.8"),
      ("192.0.2.1", "192.0.2.1"), ("192.0.2.2/31", "192.0.2.3"), ("10.0.0.0/8", "10.0.0.1"), ("bad", nil),
      ("1.2.3.4/33", nil),
      ("192.0.2.0/x", nil), ("0.0.0.0/8", nil),
    ] as [(String, String?)] {
      #expect(IPPrefix(prefix)?.representative(notIn: own)?.description == expected, "\(prefix)")
    }
  }

  @Test func `sets that rules name are found, quoted or not, and nothing else`() {
    let text = """
      -A INPUT -m set --match-set banned src -j DROP
      -A INPUT -m set ! --match-set "odd name" dst -j SET --add-set seen src --exist
      -A INPUT -m set "--match-set" "seen" src -m comment --comment "was --match-set former src" -j LOG --log-prefix "--add-set lost "
      -A INPUT -m comment --comment --match-set -m comment --comment shown -m recent --name --del-set --set
      -A INPUT -m comment --comment "--set x" -m recent --set --name y -j SET --del-set gone src
      -A INPUT -m set --match-set
      """
    #expect(SetName.named(in: Array(text.utf8)) == ["banned", "odd name", "seen", "gone"])
    let saved = "create all list:set size 8\nadd all one\nadd all two\n"
    #expect(HostSets.members(of: Array(saved.utf8)) == ["one", "two"])
    #expect(HostSets.members(of: Array("create x hash:ip\nadd x 1.2.3.4\n".utf8)).isEmpty)
  }
}
