import Core
import Ruleset
import Testing

@testable import Inventory
@testable import Policy

@Suite("Items of nat and containers, sets, defaults")
struct LanguageTranslationTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let item: String
    let chain: String
    let ipv4: [String]
    let ipv6: [String]
    var testDescription: String { item }

    init(_ item: String, _ chain: String, _ ipv4: [String], _ ipv6: [String]) {
      self.item = item
      self.chain = chain
      self.ipv4 = ipv4
      self.ipv6 = ipv6
    }
  }

  private static let local = "-m addrtype --dst-type LOCAL"

  static let cases = [
    Case("masquerade: {from: 10.8.0.0/24, out: eth0}", "POSTROUTING", ["-s 10.8.0.0/24 -o eth0 -j MASQUERADE"], []),
    Case("masquerade: {out: eth0}", "POSTROUTING", ["-o eth0 -j MASQUERADE"], ["-o eth0 -j MASQUERADE"]),
    Case("masquerade: {out: eth0, family: ipv4}", "POSTROUTING", ["-o eth0 -j MASQUERADE"], []),
    Case(
      "masquerade: {from: mixed, comment: out}", "POSTROUTING",
      ["-s 192.0.2.0/24 -m comment --comment out -j MASQUERADE"],
      ["-s 2001:db8:1::/64 -m comment --comment out -j MASQUERADE"]),
    Case("snat: {from: mixed, to: 192.0.2.80}", "POSTROUTING", ["-s 192.0.2.0/24 -j SNAT --to-source 192.0.2.80"], []),
    Case(
      "snat: {out: eth0, to: \"2001:db8::80\"}", "POSTROUTING", [], ["-o eth0 -j SNAT --to-source 2001:db8::80"]),
    Case("snat: {out: eth0, to: \"${six}\"}", "POSTROUTING", [], ["-o eth0 -j SNAT --to-source 2001:db8:5::1"]),
    Case(
      "exempt: {from: mixed, to: outer}", "POSTROUTING",
      ["-s 192.0.2.0/24 -d 192.0.2.0/24 -j ACCEPT", "-s 192.0.2.0/24 -d 198.51.100.0/24 -j ACCEPT"],
      ["-s 2001:db8:1::/64 -d 2001:db8:1::/64 -j ACCEPT"]),
    Case(
      "redirect: {in: eth0, tcp: 80, to: 8080}", "PREROUTING",
      ["-i eth0 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080"],
      ["-i eth0 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080"]),
    Case(
      "redirect: {tcp: 80, to: 8080, family: ipv6}", "PREROUTING", [],
      ["-p tcp -m tcp --dport 80 \(local) -j REDIRECT --to-ports 8080"]),
    Case(
      "forward-port: {in: eth0, tcp: 8080, to: \"10.8.0.5:80\"}", "PREROUTING",
      ["-i eth0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.8.0.5:80"], []),
    Case(
      "forward-port: {udp: [53, 54], to: 10.8.0.5}", "PREROUTING",
      ["-p udp -m multiport --dports 53,54 \(local) -j DNAT --to-destination 10.8.0.5"], []),
    Case(
      "forward-port: {in: eth0, tcp: 8080, to: \"[2001:db8::5]:80\"}", "PREROUTING", [],
      ["-i eth0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination [2001:db8::5]:80"]),
    Case(
      "forward-port: {in: eth0, tcp: 8080, to: \"[2001:db8::5]\"}", "PREROUTING", [],
      ["-i eth0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 2001:db8::5"]),
    Case(
      "forward-port: {in: eth0, tcp: 8000-8010, to: \"10.8.0.5:9000\", from: outer}", "PREROUTING",
      [
        "-s 192.0.2.0/24 -i eth0 -p tcp -m tcp --dport 8000:8010 -j DNAT --to-destination 10.8.0.5:9000",
        "-s 198.51.100.0/24 -i eth0 -p tcp -m tcp --dport 8000:8010 -j DNAT --to-destination 10.8.0.5:9000",
      ], []),
    Case(
      "balance: {in: eth0, tcp: 80, to: [10.0.0.1, 10.0.0.2]}", "PREROUTING",
      [
        "-i eth0 -p tcp -m tcp --dport 80 -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.0.0.1",
        "-i eth0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.2",
      ], []),
    Case(
      "balance: {in: eth0, tcp: 80, to: [\"10.0.0.1:81\", \"2001:db8::1\", \"[2001:db8::2]:81\"]}", "PREROUTING",
      ["-i eth0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:81"],
      [
        "-i eth0 -p tcp -m tcp --dport 80 -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 2001:db8::1",
        "-i eth0 -p tcp -m tcp --dport 80 -j DNAT --to-destination [2001:db8::2]:81",
      ]),
  ]

  @Test("Each becomes these rules of table nat, and none elsewhere", arguments: cases)
  func translations(test: Case) throws {
    let policy = try language("nat:\n  - \(test.item)")
    for chain in ["PREROUTING", "POSTROUTING", "INPUT", "OUTPUT"] {
      #expect(policy.lines(.ipv4, chain, table: "nat") == (chain == test.chain ? test.ipv4 : []))
      #expect(policy.lines(.ipv6, chain, table: "nat") == (chain == test.chain ? test.ipv6 : []))
    }
    #expect(policy.lines(.ipv4, "INPUT").isEmpty)
  }

  @Test("forward-port and balance let through what they translated, and nothing that was sent there directly")
  func forwards() throws {
    let dnat = "-m conntrack --ctstate DNAT"
    let one = try language("nat:\n  - forward-port: {in: eth0, tcp: 8080, to: \"10.8.0.5:80\", comment: x}")
    #expect(
      one.lines(.ipv4, "FORWARD") == [
        "-d 10.8.0.5/32 -i eth0 -p tcp -m tcp --dport 80 \(dnat) -m comment --comment x -j ACCEPT"
      ])
    #expect(one.lines(.ipv6, "FORWARD").isEmpty)
    let kept = try language("nat:\n  - forward-port: {udp: [53, 54], to: \"2001:db8::5\", from: mixed}")
    #expect(
      kept.lines(.ipv6, "FORWARD") == [
        "-s 2001:db8:1::/64 -d 2001:db8::5/128 -p udp -m multiport --dports 53,54 \(dnat) -j ACCEPT"
      ])
    let two = try language("nat:\n  - balance: {in: eth0, tcp: 80, to: [\"10.0.0.1:81\", 10.0.0.2]}")
    #expect(
      two.lines(.ipv4, "FORWARD") == [
        "-d 10.0.0.1/32 -i eth0 -p tcp -m tcp --dport 81 \(dnat) -j ACCEPT",
        "-d 10.0.0.2/32 -i eth0 -p tcp -m tcp --dport 80 \(dnat) -j ACCEPT",
      ])
    #expect(try language("nat:\n  - redirect: {tcp: 80, to: 8080}").lines(.ipv4, "FORWARD").isEmpty)
  }

  @Test("Of k targets each gets one k-th, in turn or by chance", arguments: 2...5)
  func shares(count: Int) throws {
    let targets = (1...count).map { "10.0.0.\($0)" }.joined(separator: ", ")
    let turns = try language("nat:\n  - balance: {in: eth0, tcp: 80, to: [\(targets)], mode: round-robin}")
    let every = turns.lines(.ipv4, "PREROUTING", table: "nat").map { $0.firstMatch(of: #/--every (\d+)/#)?.1 }
    #expect(every == (0..<count).map { count - $0 > 1 ? "\(count - $0)" : nil })
    let chances = try language("nat:\n  - balance: {in: eth0, tcp: 80, to: [\(targets)], mode: random}")
    var left = 1.0
    for (index, line) in chances.lines(.ipv4, "PREROUTING", table: "nat").enumerated() {
      let match = line.firstMatch(of: #/--mode random --probability (0\.\d{11}) /#)
      #expect((match == nil) == (index == count - 1))
      let share = left * (match.flatMap { Double($0.1) } ?? 1)
      #expect(abs(share - 1 / Double(count)) < 1e-8)
      left -= share
    }
    #expect(abs(left) < 1e-8)
  }

  @Test("More than 64 addresses of a family become an ipset, each list its own")
  func bigSets() throws {
    func set(_ count: Int) -> String { (0..<count).map { "10.\($0 / 250).\($0 % 250).0/24" }.joined(separator: ", ") }
    func policy(_ count: Int, _ item: String) throws -> CompiledPolicy {
      let folder = try PolicyFolder()
      let sets = "sets: {big: [\(set(count)), \"2001:db8::/64\"], bigger: [big, 192.0.2.0/24]}"
      try folder.write("p.yaml", "policy: p\napplies_to: all\nestablished: explicit\n\(sets)\ninput: [\(item)]\n")
      return try folder.compiled()
    }
    let small = try policy(64, "accept: {from: big}")
    #expect(small.addressSets.isEmpty && small.lines(.ipv4, "INPUT").count == 64)
    let big = try policy(65, "{accept: {from: big}}, {drop: {to: big}}")
    let name = try #require(big.addressSets.first?.name)
    #expect(big.addressSets.count == 1 && big.addressSets[0].family == .ipv4 && big.addressSets[0].elements.count == 65)
    #expect(
      big.lines(.ipv4, "INPUT") == [
        "-m set --match-set \(name) src -j ACCEPT", "-m set --match-set \(name) dst -j DROP",
      ])
    #expect(big.lines(.ipv6, "INPUT") == ["-s 2001:db8::/64 -j ACCEPT", "-d 2001:db8::/64 -j DROP"])
    let nested = try policy(65, "accept: {from: bigger}")
    #expect(
      nested.addressSets.count == 1 && nested.addressSets[0].elements.count == 66 && nested.addressSets[0].name != name)
    #expect(nested.addressSets[0].name.utf8.count <= 31)
    #expect(try policy(65, "accept: {from: [big, 192.0.2.1]}").lines(.ipv4, "INPUT").count == 2)
    // Spelled out without a name they are a list as well.
    let spelled = try policy(1, "accept: {from: [\(set(71)), \"2001:db8:1::/64\"]}")
    #expect(spelled.addressSets.map(\.elements.count) == [71] && spelled.lines(.ipv4, "INPUT").count == 1)
    #expect(spelled.lines(.ipv6, "INPUT") == ["-s 2001:db8:1::/64 -j ACCEPT"])
    #expect(try policy(1, "accept: {from: [\(set(64))]}").addressSets.isEmpty)
    // What is within another is not counted.
    #expect(try policy(65, "accept: {from: [big, 10.0.0.0/8]}").lines(.ipv4, "INPUT").count == 2)
  }

  @Test("Containers are judged by the port the client asked for, in both families")
  func containers() throws {
    let chain = "CONTAINERS"
    let answers = "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
    func lines(_ item: String, _ family: Family) throws -> [String] {
      Array(try language("containers:\n  - \(item)").lines(family, chain).dropFirst())
    }
    #expect(try language("containers: [{drop: {}}]").lines(.ipv6, chain).first == answers)
    #expect(
      try lines("accept: {tcp: [80, 8000-8010], from: mixed, comment: c}", .ipv6) == [
        "-s 2001:db8:1::/64 -p tcp -m conntrack --ctorigdstport 80 --ctdir ORIGINAL -m comment --comment c -j RETURN",
        "-s 2001:db8:1::/64 -p tcp -m conntrack --ctorigdstport 8000:8010 --ctdir ORIGINAL -m comment --comment c -j RETURN",
      ])
    #expect(
      try lines("reject: {tcp: 25}", .ipv4) == [
        "! -i docker0 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 25 --ctdir ORIGINAL -j REJECT --reject-with tcp-reset",
        "! -i docker0 -o docker0 -p tcp -m conntrack --ctorigdstport 25 --ctdir ORIGINAL -j REJECT --reject-with tcp-reset",
      ])
    #expect(try lines("drop: {from: four}", .ipv6).isEmpty)
  }

  @Test("Defaults are policies; answers come first by themselves, also where nothing but the default is said")
  func defaults() throws {
    func compiled(_ text: String) throws -> CompiledPolicy {
      let folder = try PolicyFolder()
      try folder.write("p.yaml", "policy: p\napplies_to: all\n\(text)\n")
      return try folder.compiled()
    }
    let answers = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    let policy = try compiled("defaults: {input: drop, output: drop, forward: drop}\ninput: [{drop: invalid}]")
    for family in Family.allCases {
      let text = String(decoding: policy.rules[family], as: UTF8.self)
      #expect(text.hasPrefix("*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\n"))
      #expect(policy.lines(family, "INPUT").first == answers)
      // Or a client of this host would never hear from it.
      #expect(policy.lines(family, "OUTPUT") == [answers])
      #expect(policy.lines(family, "FORWARD").isEmpty)
    }
    #expect(policy.dropsForward == Family.allCases)
    let explicit = try compiled(
      "established: explicit\ndefaults: {input: drop}\ninput: [{drop: invalid}, {accept: established}]")
    #expect(explicit.lines(.ipv4, "INPUT").last == answers && explicit.lines(.ipv4, "INPUT").count == 2)
    let accepting = try compiled("defaults: {input: accept}")
    #expect(accepting.lines(.ipv4, "INPUT").isEmpty)
    let said = try compiled("input: [{accept: {in: lo}}, {accept: established}]\ninput_last: [{accept: established}]")
    #expect(said.lines(.ipv4, "INPUT") == [answers, "-i lo -j ACCEPT"])
  }
}
