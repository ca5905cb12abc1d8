import Core
import Ruleset
import Testing

@Suite("What of a host's rules is ours")
struct OwnedViewTests {
  private let ours = [
    "PCL-FORWARD -j DROP", "PCL-INPUT -i lo -j ACCEPT", "PCL-INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
    "PCL-INPUT -j DROP",
  ]

  private func held(
    _ rules: [String] = ["INPUT -j PCL-INPUT", "FORWARD -j PCL-FORWARD"], chains: [String] = [], input: String = "DROP",
    forward: String = "DROP"
  ) throws -> Ruleset {
    try saved(rules + ours, chains: ["PCL-INPUT", "PCL-FORWARD"] + chains, input: input, forward: forward)
  }

  private func digests(_ ruleset: Ruleset, allowed: [String] = []) throws -> (own: Digest, observed: Digest) {
    let view = OwnedView(try sshOnly(), allowed: allowed)
    return (view.own(ruleset).digest, view.observed(ruleset).digest)
  }

  @Test(
    "Foreign rules change nothing",
    arguments: [
      ["INPUT -j PCL-INPUT", "INPUT -p tcp -j ACCEPT", "FORWARD -j PCL-FORWARD"],
      ["INPUT -s 192.0.2.1/32 -j DROP", "INPUT -j LOG", "INPUT -j PCL-INPUT", "FORWARD -j PCL-FORWARD"],
      ["INPUT -i lo -j ACCEPT", "INPUT -j PCL-INPUT", "FORWARD -j PCL-FORWARD"],
      ["INPUT -j mine", "INPUT -j PCL-INPUT", "FORWARD -j PCL-FORWARD", "mine -j DROP", "OUTPUT -j ACCEPT"],
      ["INPUT -p tcp -j RETURN", "INPUT -j PCL-INPUT", "FORWARD -j PCL-FORWARD"],
    ])
  func foreign(rules: [String]) throws {
    let plain = try digests(held())
    let other = try digests(held(rules, chains: ["mine"]))
    #expect(other.own == plain.own)
    #expect(other.observed == plain.observed)
  }

  @Test(
    "A missing, doubled or narrowed hook, a leftover of ours and a changed policy show in both",
    arguments: [
      (["FORWARD -j PCL-FORWARD"], [], "DROP"),
      (["INPUT -j PCL-INPUT", "INPUT -j PCL-INPUT", "FORWARD -j PCL-FORWARD"], [], "DROP"),
      (["INPUT -p tcp -j PCL-INPUT", "FORWARD -j PCL-FORWARD"], [], "DROP"),
      (["INPUT -j PCL-INPUT", "FORWARD -j PCL-FORWARD"], ["PCL:old"], "DROP"),
      (["INPUT -j PCL-INPUT", "FORWARD -j PCL-FORWARD", "OUTPUT -j PCL-INPUT"], [], "DROP"),
      (["INPUT -j PCL-INPUT", "FORWARD -j PCL-FORWARD", "mine -j PCL-INPUT"], ["mine"], "DROP"),
      (["INPUT -j PCL-INPUT", "FORWARD -j PCL-FORWARD"], [], "ACCEPT"),
    ] as [([String], [String], String)])
  func different(rules: [String], chains: [String], input: String) throws {
    let plain = try digests(held())
    let other = try digests(held(rules, chains: chains, input: input))
    #expect(other.own != plain.own)
    #expect(other.observed != plain.observed)
  }

  @Test("An accept above the hook shows in reports, in its place, until it is allowed")
  func bypass() throws {
    let rule = "-A INPUT -p udp -j ACCEPT"
    let ruleset = try held(["INPUT -p udp -j ACCEPT", "INPUT -j PCL-INPUT", "FORWARD -j PCL-FORWARD"])
    let plain = try digests(held())
    let other = try digests(ruleset)
    #expect(other.own == plain.own)
    #expect(other.observed != plain.observed)
    #expect(try digests(ruleset, allowed: [rule]).observed == plain.observed)
    #expect(try digests(ruleset, allowed: ["*"]).observed == plain.observed)
    let input = OwnedView(try sshOnly(), allowed: []).observed(ruleset)[table: "filter"]?[chain: "INPUT"]
    #expect(input?.rules.map { String(decoding: $0.text, as: UTF8.self) } == [rule, "-A INPUT -j PCL-INPUT"])
  }

  @Test("What a foreign accept calls shows with it, so that more let in there is another difference")
  func calledChains() throws {
    func observed(_ more: [String]) throws -> Ruleset {
      let ruleset = try held(
        [
          "INPUT -j mine", "INPUT -j PCL-INPUT", "FORWARD -j PCL-FORWARD", "mine -j deep",
          "deep -p tcp -m tcp --dport 8081 -j ACCEPT",
        ] + more, chains: ["mine", "deep", "other"])
      return OwnedView(try sshOnly(), allowed: []).observed(ruleset)
    }
    let one = try observed([])
    #expect(one[table: "filter"]?[chain: "deep"]?.rules.count == 1)
    #expect(one[table: "filter"]?[chain: "other"] == nil)
    #expect(try observed(["deep -j ACCEPT"]).digest != one.digest)
    #expect(try observed(["other -j ACCEPT"]).digest == one.digest)
    // Chains that call each other end.
    #expect(try observed(["deep -j mine"]).digest != one.digest)
  }

  @Test("A policy that is left to others is no difference")
  func leftPolicy() throws {
    let rules = OwnedRules(
      try policy("*filter\n:INPUT DROP\n:FORWARD DROP\n-A FORWARD -p tcp -j DROP\nCOMMIT\n"), forwardsForeign: true)
    let view = OwnedView(rules, allowed: [])
    let both = try ["ACCEPT", "DROP"].map { view.observed(try held(forward: $0)).digest }
    #expect(both[0] == both[1])
  }

  @Test("Nothing of ours is an empty text, and a leftover shows")
  func none() throws {
    let view = OwnedView(.none, allowed: [])
    #expect(view.observed(try saved(["INPUT -j ACCEPT"], input: "DROP")).canonical().isEmpty)
    #expect(!view.observed(try saved([], chains: ["PCL:x"])).canonical().isEmpty)
  }

  @Test("Chains that call each other, or very deep, are judged without being trusted or overflowing")
  func depth() throws {
    let names = (0..<2000).map { "c\($0)" }
    let deep = zip(names, names.dropFirst()).map { "\($0) -j \($1)" } + ["c1999 -j c0"]
    let ruleset = try held(["INPUT -j c0", "INPUT -j PCL-INPUT", "FORWARD -j PCL-FORWARD"] + deep, chains: names)
    #expect(try digests(ruleset).observed != digests(held()).observed)
  }
}
