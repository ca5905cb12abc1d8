import AgentTestSupport
import Apply
import Core
import Glibc
import Testing

@testable import Netfilter

/// What the kernel says of nf_tables, against what nft(8) was told to load.
@Suite(.enabled(if: isRoot)) struct NftablesReaderTests {
  private static func nft(_ script: String) throws {
    _ = try SignedBundles.run("/usr/sbin/nft", ["-f", "-"], input: Array(script.utf8))
  }

  private static func iptables(_ words: String) throws -> String {
    let arguments = words.split(separator: " ").map(String.init)
    return String(decoding: try SignedBundles.run("/usr/sbin/xtables-nft-multi", arguments), as: UTF8.self)
  }

  private static let table = """
    table inet guard {
      set banned { type ipv4_addr; flags timeout; elements = { 192.0.2.1 timeout 1h } }
      map ports { type inet_service : verdict; elements = { 25 : drop } }
      chain inner { counter drop; }
      chain in {
        type filter hook input priority -10; policy accept;
        ip saddr @banned counter drop
        tcp dport { 22, 80 } counter accept
        tcp dport vmap @ports
        limit rate 5/second log prefix "in: " comment "noise"
        jump inner
      }
      chain out { type filter hook output priority 5; policy drop; }
    }
    """

  private func digest(_ script: String, then: @escaping () throws -> Void = {}) throws -> Digest {
    try inNamespace {
      try Self.nft(script)
      try then()
      return try #require(try NftablesReader().read()).tables[0].digest
    }
  }

  @Test func tablesChainsAndHooksAreRead() throws {
    try inNamespace {
      try Self.nft(Self.table)
      let state = try #require(try NftablesReader().read())
      let table = try #require(state.tables.first)
      #expect(state.tables.count == 1)
      #expect((table.family, table.name) == (.inet, "guard"))
      #expect(table.chains.map(\.name) == ["in", "inner", "out"])
      #expect(table.chains.map(\.rules) == [5, 1, 0])
      #expect(table.chains.map(\.drops) == [true, true, true])
      #expect(table.chains[0].hook == .init(number: 1, priority: -10, dropsByDefault: false, type: "filter"))
      #expect(table.chains[1].hook == nil)
      #expect(table.chains[2].hook == .init(number: 3, priority: 5, dropsByDefault: true, type: "filter"))
      #expect(table.isHooked && !table.isDormant)
      try Self.nft("add table inet guard { flags dormant; }")
      let switchedOff = try #require(try NftablesReader().read()?.tables.first)
      #expect(switchedOff.isDormant && !switchedOff.isHooked)
      #expect(state.generation > 0)
    }
  }

  @Test func anEmptyNamespaceHasNoTables() throws {
    try inNamespace {
      let state = try NftablesReader().read()
      #expect(state?.tables == [])
    }
  }

  @Test func theSameRulesHaveTheSameDigestWhateverTheirHandlesAndCounters() throws {
    let fresh = try digest(Self.table)
    let reloaded = try digest(Self.table) {
      try Self.nft("delete table inet guard")
      try Self.nft(Self.table)
    }
    let counted = try digest(Self.table) {
      try Self.nft("flush chain inet guard inner; add rule inet guard inner counter packets 7 bytes 9 drop")
    }
    let banned = try digest(Self.table) { try Self.nft("add element inet guard banned { 192.0.2.9 timeout 1m }") }
    #expect(reloaded == fresh)
    #expect(counted == fresh)
    #expect(banned == fresh)
  }

  @Test(arguments: [
    "insert rule inet guard in accept", "add rule inet guard in tcp dport { 22, 80 } counter accept",
    "add chain inet guard later", "flush chain inet guard inner",
    "add chain inet guard in { policy drop; }", "add set inet guard more { type ipv4_addr; }",
    "delete chain inet guard out", "add counter inet guard named", "add table inet guard { flags dormant; }",
  ])
  func everyChangeOfStructureShows(change: String) throws {
    let fresh = try digest(Self.table)
    let changed = try digest(Self.table) { try Self.nft(change) }
    #expect(changed != fresh)
  }

  @Test func theMembersOfASetWithoutANameCount() throws {
    let other = Self.table.replacing("{ 22, 80 }", with: "{ 22, 81 }")
    let digests = try (digest(Self.table), digest(other))
    #expect(digests.0 != digests.1)
  }

  @Test func aRuleThatTheSaveProgramMisprintsIsSeen() throws {
    try inNamespace {
      _ = try Self.iptables("iptables -A INPUT -j ACCEPT")
      let plain = try #require(try NftablesReader().read()).tables[0]
      let printed = try Self.iptables("iptables-save")
      _ = try Self.iptables("iptables -F INPUT")
      try Self.nft("add set ip filter s { type ipv4_addr; }; add rule ip filter INPUT ip saddr @s counter accept")
      // This is why the kernel is asked: iptables 1.8 prints the same text for a rule that matches a set.
      let misprinted = try Self.iptables("iptables-save")
      #expect(printed.contains("-A INPUT -j ACCEPT") && misprinted.contains("-A INPUT -j ACCEPT"))
      let native = try #require(try NftablesReader().read()).tables[0]
      let chains = [plain, native].map { table in table.chains.first { $0.name == "INPUT" }?.digest }
      #expect(chains[0] != chains[1])
    }
  }

  private static func rules(_ table: String, _ ports: [Int]) -> String {
    let rules = ports.map { "add rule \(table) c tcp dport { 22, \($0) } accept" }
    return (["add table \(table)", "add chain \(table) c"] + rules).joined(separator: "\n")
  }

  private func digests(_ scope: SetScope, _ script: String) throws -> [String: Digest] {
    try inNamespace {
      try Self.nft(script)
      let tables = try #require(try NftablesReader(scope).read()).tables
      return Dictionary(uniqueKeysWithValues: tables.map { ($0.name, $0.digest) })
    }
  }

  /// Each set costs a question, and kube-proxy, Docker and Calico may have thousands.
  @Test func setsWithoutNamesInTablesOfKnownSoftwareAreLookedIntoOnlyWhereTheyAreJudged() throws {
    let scripts = [80, 81].map { Self.rules("inet docker-bridges", [$0]) + "\n" + Self.rules("inet guard", [$0]) }
    let known = try scripts.map { try digests(.ofNobodyKnown, $0) }
    #expect(known[0]["docker-bridges"] == known[1]["docker-bridges"] && known[0]["guard"] != known[1]["guard"])
    let all = try scripts.map { try digests(.ofAll, $0) }
    #expect(all[0]["docker-bridges"] != all[1]["docker-bridges"] && all[0]["guard"] == known[0]["guard"])
    try inNamespace {
      try Self.nft(Self.rules("inet docker-bridges", [1, 2, 3]))
      #expect(try NftablesReader(.ofNobodyKnown, atMost: 0).read()?.tables.map(\.unreadSets) == [0])
      #expect(try NftablesReader(.ofAll, atMost: 0).read()?.tables.map(\.unreadSets) == [3])
    }
  }

  @Test func aTableWithTooManySetsIsNotLookedIntoAndSaysSo() throws {
    try inNamespace {
      try Self.nft([Self.rules("inet crowd", Array(1...5)), Self.rules("inet few", [1, 2])].joined(separator: "\n"))
      func tables() throws -> [NftablesTable] { try #require(try NftablesReader(atMost: 5).read()).tables }
      let before = try tables()
      #expect(before.map(\.unreadSets) == [5, 0])
      #expect(try tables() == before)
      try Self.nft("flush chain inet crowd c")
      try Self.nft("flush chain inet few c; add rule inet few c tcp dport { 22, 1 } accept")
      try Self.nft("add rule inet few c tcp dport { 22, 3 } accept\n" + Self.rules("inet crowd", Array(2...6)))
      let after = try tables()
      // What it says besides the members of its sets is compared all the same.
      #expect(after[0].digest == before[0].digest && after[1].digest != before[1].digest)
      // Those of iptables' own tables are looked into first, whatever others call theirs.
      try Self.nft(Self.rules("ip filter", Array(1...4)) + "\n" + Self.rules("inet filter", [1, 2]))
      let shown = try tables().map { "\($0.family.word) \($0.name) \($0.unreadSets)" }
      #expect(shown == ["inet crowd 5", "inet few 2", "inet filter 2", "ip filter 0"])
    }
  }

  @Test func aSetWithTooManyMembersIsNotLookedIntoAndSaysSo() throws {
    try inNamespace {
      func rule(_ ports: ClosedRange<Int>) -> String {
        "add rule inet guard c tcp dport { \(ports.map { "\($0 * 2)" }.joined(separator: ", ")) } accept"
      }
      func table(_ ports: ClosedRange<Int>) throws -> NftablesTable {
        try Self.nft("add table inet guard; add chain inet guard c; flush chain inet guard c")
        try Self.nft("\(rule(ports))\n\(rule(1...3))")
        return try #require(try NftablesReader(members: 500).read()).tables[0]
      }
      let (few, large, larger) = try (table(1...500), table(1...501), table(2...900))
      #expect([few, large, larger].map(\.largeSets) == [0, 1, 1])
      #expect(few.digest != large.digest && large.digest == larger.digest)
      // What comes after it is read.
      try Self.nft("add rule inet guard c tcp dport { 1, 3 } accept")
      let more = try #require(try NftablesReader(members: 500).read()).tables[0]
      #expect(more.digest != larger.digest && more.largeSets == 1)
    }
  }

  @Test func membersThatGoByThemselvesAreNoChange() throws {
    let script = """
      table inet guard {
        map ports { type inet_service : verdict; flags timeout; elements = { 25 : drop, 26 timeout 1h : drop } }
        chain in { type filter hook input priority -10; tcp dport vmap @ports; }
      }
      """
    let fresh = try digest(script)
    let fewer = try digest(script) { try Self.nft("delete element inet guard ports { 26 }") }
    let more = try digest(script) { try Self.nft("add element inet guard ports { 27 timeout 1h : accept }") }
    let lasting = try digest(script) { try Self.nft("add element inet guard ports { 27 : accept }") }
    #expect(fewer == fresh && more == fresh)
    #expect(lasting != fresh)
  }

  @Test func tenThousandRulesAreReadWholeAndQuickly() throws {
    try inNamespace {
      let rules = (0..<10_000).map { "add rule ip t c ip saddr 10.\($0 / 256 % 256).\($0 % 256).1 counter accept" }
      try Self.nft((["add table ip t", "add chain ip t c"] + rules).joined(separator: "\n"))
      let table = try #require(try NftablesReader().read()).tables[0]
      #expect(table.chains.map(\.rules) == [10_000])
    }
  }

  @Test func readingEndsInTime() throws {
    try inNamespace {
      try Self.nft(Self.table)
      let error = #expect(throws: SystemCallError.self) { try NftablesReader().read(within: 0) }
      #expect(error?.errno == ETIMEDOUT)
    }
  }

  /// What iptables' programs put into expressions of nf_tables' own, and some of the extensions.
  private static let written = [
    "-t raw -A PREROUTING -j TRACE", "-t raw -A PREROUTING -j CT --notrack",
    "-t mangle -A PREROUTING -j MARK --set-mark 5", "-t nat -A POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE",
    "-t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80",
    "-A FORWARD ! -i eth0 -o eth+ -s 10.0.0.0/255.0.255.0 ! -d 192.0.2.0/25 -f -j RETURN",
    "-A INPUT -i lo -p udp --sport 1:5 ! --dport 6 -j ACCEPT", "-A INPUT -p tcp ! --sport :9 --dport 3: --syn",
    "-A INPUT -p tcp ! --dport 1:5 -j DROP", "-A INPUT -m mark --mark 1/3 -m mark ! --mark 5 -j ACCEPT",
    "-A INPUT -m limit --limit 5/sec -j LOG --log-prefix x", "-A INPUT -j NFLOG --nflog-group 3 --nflog-prefix y",
    "-A INPUT -p icmp --icmp-type 8 -j ACCEPT", "-A INPUT -m conntrack --ctstate NEW -m comment --comment c -g mine",
    "-A INPUT -m mac --mac-source 00:11:22:33:44:55 -m pkttype --pkt-type multicast -j REJECT",
    "-A INPUT -m ttl --ttl-lt 5 -m length --length 3:9 -m addrtype --dst-type LOCAL -j NFQUEUE --queue-num 3",
  ]

  @Test func whatTheProgramsWriteThemselvesIsNotNative() throws {
    try inNamespace {
      _ = try Self.iptables("iptables -N mine")
      for rule in Self.written { _ = try Self.iptables("iptables \(rule)") }
      _ = try Self.iptables("ip6tables -A INPUT -s 2001:db8::/33 -d fd00::1 -p tcp --dport 22 -j ACCEPT")
      let chains = try #require(try NftablesReader().read()).tables.flatMap(\.chains)
      #expect(chains.map(\.rules).reduce(0, +) == Self.written.count + 1)
      for chain in chains { #expect(chain.notable.isEmpty, "\(chain.name): \(chain.notable)") }
    }
  }

  @Test(arguments: [
    "ip saddr @s accept", "tcp dport vmap @m", "meta skuid 0 accept", "ip dscp 3 accept", "ip length 40 accept",
    "meta mark set 5", "ip daddr set 192.0.2.1", "tcp sequence 5 accept", "fib saddr type local accept",
    "icmp code 3 accept", "ct state new accept", "log prefix \"x\" accept", "meta time \"2026-01-01\" accept",
  ]) func whatOnlyNftSaysIsNative(words: String) throws {
    try inNamespace {
      try Self.nft(
        """
        table ip filter {
          set s { type ipv4_addr; }
          map m { type inet_service : verdict; }
          chain INPUT { type filter hook input priority 0; counter; \(words); jump PCL-X; }
          chain PCL-X { ip saddr 192.0.2.1 drop; }
        }
        """)
      let chain = try #require(try NftablesReader().read()?.tables[0].chains.first { $0.name == "INPUT" })
      #expect(chain.notable.map(\.position) == [1, 2])
      #expect(chain.notable[0].isNative && !chain.notable[1].isNative)
      #expect(chain.notable[0].mayPass == (words.hasSuffix("accept") || words.contains("vmap")))
      #expect(chain.notable[0].looksUpVerdict == words.contains("vmap"))
      #expect(chain.notable[1].calls == "PCL-X" && chain.notable[1].isUnconditional)
    }
  }
}
