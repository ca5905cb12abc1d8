import Core
import Ruleset
import Testing

@Suite("Which foreign accepts bypass a policy")
struct OwnedJudgementTests {
  private func change(
    _ rules: [String], chains: [String] = [], allowed: [String] = [], takesOver: Bool = false,
    givingBack: [TakenRule] = [], wanted: OwnedRules? = nil
  ) throws -> OwnedChange {
    OwnedChange(
      .init(
        wanted: try wanted ?? sshOnly(), saved: try saved(rules, chains: chains), allowed: allowed,
        takesOver: takesOver, givingBack: givingBack))
  }

  @Test("A policy that drops nothing is bypassed by nothing")
  func open() throws {
    let wanted = OwnedRules(
      try policy("*filter\n:INPUT ACCEPT\n-A INPUT -p tcp -j LOG\nCOMMIT\n"), forwardsForeign: false)
    let rules = ["INPUT -p tcp -j ACCEPT", "INPUT -j PCL-INPUT", "PCL-INPUT -p tcp -j LOG"]
    #expect(try change(rules, chains: ["PCL-INPUT"], wanted: wanted).text.isEmpty)
  }

  @Test("An accept like one of ours is none of ours once something of ours may drop before it")
  func afterDrop() throws {
    let rules = ["INPUT -p tcp -m tcp --dport 22 -j ACCEPT", "INPUT -s 192.0.2.1/32 -j DROP"]
    #expect(try change(rules).found.isEmpty)
    let wanted = OwnedRules(
      try policy(
        "*filter\n:INPUT DROP\n-A INPUT -s 10.0.0.0/8 -j DROP\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"),
      forwardsForeign: false)
    #expect(try change(rules, wanted: wanted).found == ["-A \(rules[0])"])
  }

  @Test("What the policy accepted before the change allows nothing after it")
  func otherPolicy() throws {
    let held = [
      "INPUT -p udp -j ACCEPT", "INPUT -j PCL-INPUT", "PCL-INPUT -p udp -j ACCEPT", "PCL-INPUT -j DROP",
    ]
    let lines = try change(held, chains: ["PCL-INPUT"]).foreignLines.filter { $0.contains(" INPUT ") }
    #expect(lines == ["-D INPUT -j PCL-INPUT", "-I INPUT 1 -j PCL-INPUT"])
  }

  @Test(
    "An accept of ours is known in the save program's words",
    arguments: [
      ("-p tcp --dport 22 -i eth0", "-i eth0 -p tcp -m tcp --dport 22"),
      ("-m conntrack --ctstate ESTABLISHED,RELATED", "-m conntrack --ctstate RELATED,ESTABLISHED"),
      ("-s 192.0.2.7", "-s 192.0.2.7/32"),
      // As Debian 13 and Debian 12 print it.
      ("-p gre", "-p 47"), ("-p 112", "-p vrrp"),
    ])
  func wording(written: String, printed: String) throws {
    let wanted = OwnedRules(
      try policy("*filter\n:INPUT DROP\n-A INPUT \(written) -j ACCEPT\nCOMMIT\n"), forwardsForeign: false)
    let ban = "INPUT -s 192.0.2.1/32 -j DROP"
    #expect(try change(["INPUT \(printed) -j ACCEPT", ban], wanted: wanted).found.isEmpty)
    #expect(try change(["INPUT ! \(printed) -j ACCEPT", ban], wanted: wanted).found.count == 1)
  }

  @Test("With leave to take over, a repair moves the accept rather than the hook above a ban")
  func repairTakingOver() throws {
    let rules = ["INPUT -p udp -j ACCEPT", "INPUT -s 192.0.2.1/32 -j DROP", "INPUT -j PCL-INPUT"]
    let change = try change(rules, chains: ["PCL-INPUT"], takesOver: true)
    #expect(
      change.foreignLines.filter { $0.contains(" INPUT ") } == [
        "-D INPUT -p udp -j ACCEPT", "-I INPUT 3 -p udp -j ACCEPT",
      ])
    #expect(change.taken.map(\.position) == [1])
  }

  @Test("A rule given back while we stay goes above the hook once it is allowed")
  func giveBackHooked() throws {
    let rule = "-A INPUT -p udp -j ACCEPT"
    let taken = TakenRule(table: "filter", chain: "INPUT", rule: Array(rule.utf8), position: 1)
    let rules = ["INPUT -s 192.0.2.1/32 -j DROP", "INPUT -j PCL-INPUT", "INPUT -p udp -j ACCEPT"]
    let change = try change(rules, chains: ["PCL-INPUT"], allowed: [rule], givingBack: [taken])
    #expect(
      change.foreignLines.filter { $0.contains(" INPUT ") } == [
        "-D INPUT -p udp -j ACCEPT", "-I INPUT 1 -p udp -j ACCEPT",
      ])
  }
}
