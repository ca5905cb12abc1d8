import Core
import Testing

@testable import Ruleset

/// Which rules are the same, whichever version of the programs printed them.
@Suite struct RuleMeaningTests {
  private func rule(_ words: String) -> Rule { Rule(text: Array("-A INPUT \(words)".utf8)) }

  private static func plain(_ rule: Rule) -> String { String(decoding: rule.inPlainWords.bytes, as: UTF8.self) }

  @Test(arguments: [
    // As Debian 11 or 12 print it, and as Debian 13 does.
    ("-p vrrp -j ACCEPT", "-p 112 -j ACCEPT"),
    ("-d 224.0.0.18/32 ! -p ospf -j DROP", "-d 224.0.0.18/32 ! -p 89 -j DROP"),
    ("-p ipencap -j ACCEPT", "-p 4 -j ACCEPT"), ("-i eth0 -p gre", "-i eth0 -p 47"),
    (#"-m string --string "x y" --algo bm --to 65535 -j DROP"#, #"-m string --string "x y" --algo bm -j DROP"#),
    (
      #"-m string --string "foo" --algo bm --to 65535 --icase -j DROP"#,
      #"-m string --string "foo" --algo bm --icase -j DROP"#
    ),
    ("-j NFLOG --nflog-prefix  p --nflog-group 1", "-j NFLOG --nflog-prefix p --nflog-group 1"),
    (#"-p vrrp -m string --string "a" --algo bm --to 65535"#, #"-p 112 -m string --string "a" --algo bm"#),
  ]) func `what versions word differently is the same rule`(old: String, new: String) {
    #expect(Self.plain(rule(old)) == "-A INPUT \(new)")
    #expect(rule(new).inPlainWords == rule(new))
    #expect(RuleMeaning(rule(old)) == RuleMeaning(rule(new)))
    #expect(PlacedMeaning(rule(old)) == PlacedMeaning(rule(new)))
    #expect(PlacedMeaning(rule(old)) != PlacedMeaning(Rule(text: Array("-A OUTPUT \(new)".utf8))))
  }

  @Test(arguments: [
    "-p tcp -m tcp --dport 22 -j ACCEPT", "-p esp -j ACCEPT", "-p mobility-header", "-p dccp -m dccp --dport 5",
    #"-m comment --comment "two  spaces -p vrrp""#, "-m comment --comment -p -j vrrp",
    #"-m string --string "--to 65535" --algo bm --to 100"#, "-p tcp -j NETMAP --to 65535", "-j DNAT --to 65535",
    #"-m string --string "a" --algo bm -m other --to 65535"#, #"-m comment --comment "unclosed"#,
  ]) func `what no version words otherwise stays as it is`(words: String) {
    #expect(Self.plain(rule(words)) == "-A INPUT \(words)")
  }

  @Test(arguments: [
    ("-p vrrp -j ACCEPT", "-p 113 -j ACCEPT"), ("-p vrrp -j ACCEPT", "! -p vrrp -j ACCEPT"),
    ("-p vrrp -j ACCEPT", "-p vrrp -j DROP"), ("-p vrrp -j ACCEPT", "-s 192.0.2.1/32 -p 112 -j ACCEPT"),
    (#"-m string --string "a" --algo bm --to 65535"#, #"-m string --string "a" --algo bm --to 65534"#),
    (#"-m string --string "a" --algo bm --to 65535"#, #"-m string --string "b" --algo bm"#),
    // Options that are called the same belong to the match that they stand behind.
    ("-m mark --mark 0x1 -m connmark --mark 0x2", "-m mark --mark 0x2 -m connmark --mark 0x1"),
    (
      "-m policy --dir in --pol ipsec --strict --reqid 1 --next --reqid 2",
      "-m policy --dir in --pol ipsec --strict --reqid 2 --next --reqid 1"
    ),
  ]) func `another rule stays another`(one: String, other: String) {
    #expect(Self.plain(rule(one)) != Self.plain(rule(other)))
    #expect(RuleMeaning(rule(one)) != RuleMeaning(rule(other)))
  }

  @Test func `what others have is known by what it means, and by the words of its time`() throws {
    func part(_ rule: String) throws -> ForeignPart {
      try #require(try saved([rule, "INPUT -p esp -j ACCEPT"]).foreignParts().first)
    }
    let (old, new) = try (part("INPUT -p vrrp -j ACCEPT"), part("INPUT -p 112 -j ACCEPT"))
    #expect(old.digest == new.digest && old.asPrinted != new.asPrinted)
    #expect(new.digest == new.asPrinted)
    #expect(try part("INPUT -p 113 -j ACCEPT").digest != new.digest)
  }

  @Test("An accept that the policy allows is allowed in every version's words", arguments: [true, false])
  func allowed(isWrittenByName: Bool) throws {
    let words = ["-p vrrp -j ACCEPT", "-p 112 -j ACCEPT"]
    let (written, printed) = isWrittenByName ? (words[0], words[1]) : (words[1], words[0])
    func found(_ rule: String) throws -> [String] {
      OwnedChange(
        .init(
          wanted: try sshOnly(), saved: try saved([rule, "INPUT -s 192.0.2.1/32 -j DROP"]),
          allowed: ["-A INPUT \(written)"])
      ).found
    }
    #expect(try found("INPUT \(printed)").isEmpty)
    #expect(try found("INPUT -s 192.0.2.9/32 \(printed)").count == 1)
    #expect(try found("INPUT -p 113 -j ACCEPT").count == 1)
  }

  @Test func `what was taken over is known in the words of later programs, and given back in them`() throws {
    let ban = "INPUT -s 192.0.2.1/32 -j DROP"
    let hook = "INPUT -j PCL-INPUT"
    let taken = [
      TakenRule(table: "filter", chain: "INPUT", rule: Array("-A INPUT -p vrrp -j ACCEPT".utf8), position: 1)
    ]
    func change(_ rules: [String], before: [TakenRule] = [], back: [TakenRule] = [], _ wanted: OwnedRules) throws
      -> OwnedChange
    {
      OwnedChange(
        .init(wanted: wanted, saved: try saved(rules, chains: ["PCL-INPUT"]), takenBefore: before, givingBack: back))
    }
    let again = try change(["INPUT -p 112 -j ACCEPT", ban], before: taken, sshOnly())
    #expect(again.findings.isEmpty && again.taken.count == 1)
    #expect(again.taken[0].isSame(as: taken[0]))
    #expect(try change(["INPUT -p 113 -j ACCEPT", ban], before: taken, sshOnly()).found.count == 1)
    let back = try change([ban, hook, "INPUT -p 112 -j ACCEPT"], back: taken, .none)
    #expect(back.foreignLines == ["-D \(hook)", "-D INPUT -p 112 -j ACCEPT", "-I INPUT 1 -p 112 -j ACCEPT"])
  }
}
