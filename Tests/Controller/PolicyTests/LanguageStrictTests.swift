import Core
import Lint
import Testing

@testable import Inventory
@testable import Policy

@Suite("What strict leaves alone")
struct LanguageStrictTests {
  private static let item = "{accept: {tcp: 22, from: 203.0.113.0/24, when: weekend, strict: true}}"
  private static let cut = "-s 203.0.113.0/24 -p tcp -m tcp --dport 22"
  private static let answers = "-m conntrack --ctstate RELATED,ESTABLISHED"

  private func policy(_ rest: String, controllers: [String] = ["203.0.113.9", "203.0.113.10"]) throws -> CompiledPolicy
  {
    let folder = try PolicyFolder()
    try folder.write("p.yaml", "policy: p\napplies_to: all\nschedule: {weekend: {days: [sat, sun]}}\n\(rest)\n")
    return try folder.compiled(controllers: controllers)
  }

  private func raw(_ rules: String..., chains: [String] = []) -> String {
    let lines = ["*filter"] + chains.map { ":\($0) -" } + rules.map { "-A \($0)" } + ["COMMIT"]
    return "raw:\n  ipv4: |\n" + lines.map { "    \($0)" }.joined(separator: "\n")
  }

  /// What stands before the cut, without the answers of the window.
  private func lasting(_ rest: String, _ family: Family = .ipv4, _ chain: String = "INPUT") throws -> [String] {
    let lines = try policy(rest).lines(family, chain)
    let cut = try #require(lines.firstIndex { $0.contains("--ctdir ORIGINAL") })
    return lines[..<cut].filter { !$0.contains("-m time") && $0 != "\(Self.answers) -j ACCEPT" }
  }

  private func problems(_ rest: String) throws -> [String] {
    do {
      _ = try policy(rest)
      return []
    } catch let error as Diagnostics {
      return error.all.map {
        "\($0.location.line):\($0.location.column) \($0.message.replacing(#/\S*p.yaml/#, with: "p.yaml"))"
      }
    }
  }

  @Test(
    "Answers to what raw rules let in go on",
    arguments: [
      (["INPUT -s 203.0.113.7/32 -p tcp -m tcp --dport 22 -j ACCEPT"], ["-s 203.0.113.7/32 -p tcp -m tcp --dport 22"]),
      (
        ["INPUT -s controllers -p tcp -m tcp --dport 22 -j ACCEPT"],
        [
          "-s 203.0.113.9/32 -p tcp -m tcp --dport 22", "-s 203.0.113.10/32 -p tcp -m tcp --dport 22",
        ]
      ),
      (
        ["INPUT -p tcp -m tcp --dport 22 --syn -m state --state NEW -m comment --comment \"a b\" -j ACCEPT"],
        [
          "-p tcp -m tcp --dport 22"
        ]
      ),
      (["INPUT -p tcp -m tcp --dport 22 --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT"], ["-p tcp -m tcp --dport 22"]),
      (
        ["INPUT ! -s 10.0.0.0/8 -p tcp -m conntrack ! --ctstate INVALID -m tcp --dport 22 -j ACCEPT"],
        [
          "! -s 10.0.0.0/8 -p tcp -m tcp --dport 22"
        ]
      ),
      (
        ["INPUT -p tcp -m mark ! --mark 0x1 -m conntrack --ctstate DNAT -j ACCEPT"],
        [
          "-p tcp -m mark ! --mark 0x1 -m conntrack --ctstate DNAT"
        ]
      ),
      (["INPUT -i lo -j ACCEPT"], ["-i lo"]),
      // These are about other packets, or open nothing.
      (["INPUT -p udp -m udp --dport 22 -j ACCEPT", "INPUT -p tcp -m tcp --dport 23 -j ACCEPT"], []),
      (["INPUT -s 198.51.100.1/32 -m recent --rcheck --name knock -j ACCEPT"], []),
      (["INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "INPUT -p tcp -j DROP", "INPUT -j LOG"], []),
      (["INPUT -p tcp -m conntrack ! --ctstate NEW -j ACCEPT", "INPUT -p tcp -j RETURN"], []),
    ])
  func rawText(rules: [String], wanted: [String]) throws {
    let lines = rules.map { "    -A \($0)" }.joined(separator: "\n")
    let text = "input: [\(Self.item)]\nraw:\n  ipv4: |\n    *filter\n\(lines)\n    COMMIT"
    #expect(try lasting(text) == wanted.map { "\($0) \(Self.answers) -j ACCEPT" })
    let drops = try policy(text).lines(.ipv4, "INPUT").filter { $0.contains("ORIGINAL") }
    #expect(drops == ["\(Self.cut) \(Self.answers) --ctdir ORIGINAL -j DROP"])
  }

  @Test("So do those of raw items, in either family and of other policies")
  func rawItems() throws {
    #expect(
      try lasting("input: [\(Self.item), {raw: \"-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\"}]") == [
        "-p tcp -m tcp --dport 22 \(Self.answers) -j ACCEPT"
      ])
    let folder = try PolicyFolder()
    try folder.write(
      "a.yaml", "policy: a\napplies_to: all\nschedule: {weekend: {days: [sat]}}\ninput: [\(Self.item)]\n")
    try folder.write(
      "b.yaml",
      "policy: b\napplies_to: all\ninput_last: [{raw: {ipv4: \"-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\"}}]\n")
    let lines = try folder.compiled().lines(.ipv4, "INPUT")
    #expect(lines.prefix { !$0.contains("ORIGINAL") }.contains { $0.hasPrefix("-p tcp") && !$0.contains("-m time") })
  }

  @Test("Where nobody can tell which answers a raw rule lets in, both places are named")
  func unclear() throws {
    for rule in [
      "INPUT -p tcp -m recent --rcheck --name knock -j ACCEPT", "INPUT -p tcp -m limit --limit 5/min -j ACCEPT",
      "INPUT -p tcp -m conntrack --ctstate NEW,DNAT -j ACCEPT", "INPUT -p tcp -m tcp --tcp-flags ALL ACK -j ACCEPT",
      "INPUT -p tcp -j NFQUEUE --queue-num 1", "INPUT -p tcp -j outer", "INPUT -g inner",
    ] {
      let text =
        "input: [\(Self.item)]\n"
        + raw(
          rule, "outer -p tcp -j inner", "inner -s 203.0.113.7/32 -j ACCEPT", chains: ["inner", "outer"])
      let found = try problems(text)
      #expect(
        found == [
          "4:9 strict would cut what the raw rule at p.yaml:10:5 lets in: which packets those are cannot be told from it"
        ], "\(rule)")
    }
    // Chains that let nothing in, or only others.
    for rule in [
      "INPUT -p udp -j inner", "INPUT -p tcp -j closed", "INPUT -s 198.51.100.0/24 -j inner", "INPUT -j other",
    ] {
      let text =
        "input: [\(Self.item)]\n"
        + raw(
          rule, "inner -j ACCEPT", "closed -s 10.0.0.1/32 -j RETURN", "closed -j DROP", "other -p udp -j ACCEPT",
          "other -p tcp -j closed", chains: ["inner", "closed", "other"])
      #expect(try problems(text) == [])
      #expect(try lasting(text) == [])
    }
  }

  @Test("Answers to what forward-port and balance let through go on, and so do kinds of traffic with a name")
  func others() throws {
    let forwards = try lasting(
      """
      forward: [{accept: {proto: tcp, when: weekend, strict: true}}]
      nat:
        - forward-port: {in: eth0, tcp: 8080, to: "10.8.0.5:80"}
        - balance: {in: eth0, tcp: 443, to: [10.8.0.5, 10.8.0.6]}
        - forward-port: {in: eth0, udp: 53, to: 10.8.0.5}
      """, .ipv4, "FORWARD")
    let translated = "-m conntrack --ctstate DNAT \(Self.answers) -j ACCEPT"
    #expect(
      forwards == [
        "-d 10.8.0.5/32 -i eth0 -p tcp -m tcp --dport 80 \(translated)",
        "-d 10.8.0.5/32 -i eth0 -p tcp -m tcp --dport 443 \(translated)",
        "-d 10.8.0.6/32 -i eth0 -p tcp -m tcp --dport 443 \(translated)",
      ])
    let whole = "{accept: {from: 203.0.113.0/24, when: weekend, strict: true}}"
    let words = try lasting("input: [\(whole), {accept: dhcp-client}, {accept: invalid}, {drop: broadcast}]")
    #expect(words == ["-p udp -m udp --sport 67 --dport 68 \(Self.answers) -j ACCEPT"])
    #expect(try lasting("input: [\(whole), {accept: icmp-essential}]").count == 4)
  }

  @Test("A raw item that accepts answers has the cut before it")
  func explicit() throws {
    let lines = try policy(
      """
      established: explicit
      input:
        - drop: {from: 198.51.100.0/24}
        - raw: "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
        - accept: {tcp: 22, when: weekend, strict: true}
      """
    ).lines(.ipv4, "INPUT")
    let cut = try #require(lines.firstIndex { $0.contains("--ctdir ORIGINAL -j DROP") })
    #expect(lines[0].hasSuffix("-j DROP") && lines[cut + 1] == "\(Self.answers) -j ACCEPT")
  }
}
