import Core
import Foundation
import Glibc
import Import
import Ruleset
import TestSupport
import Testing

/// What the host's own programs print, imported. Each runs in a network namespace of its own, with its own lock file.
@Suite(
  "Imports of what the real programs print",
  .enabled(if: Programs.areUsable, "needs root, unshare, and the iptables programs of both backends"))
struct RealProgramTests {
  private static let common = """
    -A INPUT -i lo -j ACCEPT
    -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    -A INPUT -m conntrack --ctstate INVALID -j DROP
    -A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -m comment --comment "for us" -j ACCEPT
    -A INPUT -p tcp -m multiport --dports 80,443,8000:8010 -m comment --comment web -j ACCEPT
    -A INPUT -p udp --dport 60000:61000 -j ACCEPT
    -A INPUT -p esp -j ACCEPT
    -A INPUT -p tcp --dport 25 -j REJECT --reject-with tcp-reset
    -A INPUT -m limit --limit 5/minute --limit-burst 10 -j LOG --log-prefix "in-drop: " --log-level info
    -A INPUT -j REJECT
    -A FORWARD -i eth1 -o wg+ -j ACCEPT
    -A FORWARD -m mark --mark 1 -j knock
    -A knock -p tcp --dport 2222 -m recent --name knock --rcheck --seconds 30 -j ACCEPT

    """
  private static let own = PerFamily(
    ipv4: "-A INPUT -s 192.0.2.7 -p tcp --dport 9100 -j ACCEPT\n-A INPUT -p icmp -j ACCEPT\n",
    ipv6: "-A INPUT -s 2001:db8:0::/64 -p tcp --dport 9100 -j ACCEPT\n-A INPUT -p ipv6-icmp -j ACCEPT\n")
  private static let nat =
    "*nat\n:POSTROUTING ACCEPT\n:PREROUTING ACCEPT\n-A POSTROUTING -o eth0 -j MASQUERADE\n"
    + "-A PREROUTING -i eth0 -p tcp --dport 8080 -j REDIRECT --to-ports 80\nCOMMIT\n"

  private static func text(_ family: Family) -> String {
    "*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT ACCEPT\n:knock -\n" + own[family] + common + "COMMIT\n" + nat
  }

  @Test("Their rules come back as they print them, and most are typed", arguments: Programs.Backend.allCases)
  func real(backend: Programs.Backend) throws {
    let saved = try PerFamily<[UInt8]> { family in
      let output = try Programs.run("$P-restore <$IN && $P-save", family, backend, input: Array(Self.text(family).utf8))
      try #require(output.status == 0, "\(output.errors)")
      return output.text
    }
    let policy = try Importer.run(saved.map { $1 }, options)
    try expectSame(policy)
    for family in Family.allCases {
      let read = try Ruleset.parse(save: saved[family], file: "save")
      #expect(canonical(policy.rulesets[family]) == canonical(read))
      // The compiled text loads, and is printed as it was.
      let compiled = try compiled(policy.yaml)[family].declaringAllBuiltInChains().canonical()
      let again = try Programs.run("$P-restore <$IN && $P-save", family, backend, input: compiled)
      try #require(again.status == 0, "\(again.errors)")
      #expect(try Ruleset.parse(save: again.text, file: "again").digest == read.digest)
    }
    #expect(policy.rawRules == 4 && policy.typedRules == 30, "\(policy.yaml)")
  }

  /// As people write them by hand: the programs print some of it as it was written.
  @Test("The kernel takes a rule and its other spelling for the same", arguments: Programs.Backend.allCases)
  func spelling(backend: Programs.Backend) throws {
    var random = Random.fresh()
    var rules = [
      "-A INPUT -m state --state NEW -p tcp --dport 22 -j ACCEPT", "-A INPUT -s 10.1.2.3/8 -p udp --dport 53 -j ACCEPT",
      "-A INPUT -p icmp --icmp-type echo-request -j ACCEPT", "-A INPUT -p tcp --dport 113 -j REJECT",
      "-A INPUT -p icmp --icmp-type time-exceeded -j ACCEPT",
      "-A INPUT --protocol tcp --match tcp --dport 80 --jump DROP",
      "-A INPUT -m limit --limit 5/minute -j LOG --log-level info --log-prefix \"a b\"",
      "-A INPUT -j LOG --log-level 4",
      "-A INPUT -m comment --comment late -i lo -j ACCEPT", "-A INPUT -p tcp -m multiport --dports 80 -j ACCEPT",
    ]
    for _ in 0..<300 { rules.append(TypedRuleTests.rule(&random, .ipv4)) }
    rules = rules.filter { TypedRule(Rule(text: Array($0.utf8)), table: "filter", chain: Self.chain($0), .ipv4) != nil }
    try #require(rules.count > 50)
    func loaded(_ rules: [String]) throws -> Ruleset {
      let output = try Programs.run(
        "$P-restore <$IN && $P-save", .ipv4, backend, input: Array(filter(rules.joined(separator: "\n")).utf8))
      try #require(output.status == 0, "\(output.errors)")
      return try Ruleset.parse(save: output.text, file: "save")
    }
    let written = try loaded(rules)
    let normal = RuleSpelling.normal(
      try Ruleset.parse(save: Array(filter(rules.joined(separator: "\n")).utf8), file: "rules"), .ipv4)
    let texts = normal.tables[0].chains.flatMap(\.rules).map { String(decoding: $0.bytes, as: UTF8.self) }
    // The language's spelling is what the kernel gives back, and so is that of what was written otherwise.
    #expect(try loaded(texts).digest == normal.digest)
    #expect(RuleSpelling.normal(written, .ipv4).digest == normal.digest)
  }

  private static func chain(_ rule: String) -> String { String(rule.split(separator: " ")[1]) }

  @Test("A host that the agent keeps gives its policy back", arguments: Programs.Backend.allCases)
  func owned(backend: Programs.Backend) throws {
    let saved = try PerFamily<[UInt8]> { family in
      let plain = try Programs.run("$P-restore <$IN && $P-save", family, backend, input: Array(Self.text(family).utf8))
      let wanted = OwnedRules(try Ruleset.parse(save: plain.text, file: "save"), forwardsForeign: false)
      let output = try Programs.run(
        "$P-restore --noflush <$IN && $P-save", family, backend, input: wanted.standaloneText())
      try #require(output.status == 0, "\(output.errors)")
      #expect(output.text.split(separator: 10).contains { $0.starts(with: ":PCL-INPUT".utf8) })
      return output.text
    }
    let policy = try Importer.run(saved.map { $1 }, options)
    try expectSame(policy)
    for family in Family.allCases {
      let plain = try Programs.run("$P-restore <$IN && $P-save", family, backend, input: Array(Self.text(family).utf8))
      #expect(canonical(policy.rulesets[family]) == canonical(try Ruleset.parse(save: plain.text, file: "save")))
    }
  }
}
