import Core
import Ruleset
import Testing

@testable import Inventory
@testable import Policy

@Suite("The section `containers` of a policy")
struct ContainerRulesTests {
  private func compiled(
    _ containers: String, controllers: [String] = ["192.0.2.1", "2001:db8::1"], v4: String = plainRules,
    ipv6: String = "ipv6: drop-all\n"
  ) throws -> CompiledPolicy {
    let folder = try PolicyFolder()
    try folder.write(
      "p/policy.yaml", "policy: p\napplies_to: all\n\(ipv6)rules: {ipv4: rules.v4}\ncontainers:\n\(containers)\n")
    try folder.write("p/rules.v4", v4)
    return try folder.compiled(controllers: controllers)
  }

  /// The rules of the chain, without its name.
  private func rules(_ policy: CompiledPolicy, _ family: Family) throws -> [String] {
    let ruleset = try Ruleset.parse(policy: policy.rules[family], file: "bundle", family: family)
    let chain = try #require(ruleset[table: "filter"]?[chain: "CONTAINERS"])
    #expect(chain.policy == nil)
    return chain.rules.map { String(decoding: $0.bytes.dropFirst("-A CONTAINERS ".utf8.count), as: UTF8.self) }
  }

  private let answers = "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"

  @Test(
    "A port is matched as the client asked for it, an accept returns to Docker, a drop spares containers' own traffic")
  func verdicts() throws {
    let policy = try compiled(
      """
      - accept: {tcp: 8080, from: 10.0.0.0/8}
      - reject: {tcp: "9000:9010"}
      - drop: {}
      """)
    #expect(
      try rules(policy, .ipv4) == [
        answers,
        "-s 10.0.0.0/8 -p tcp -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL -j RETURN",
        "! -i docker0 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 9000:9010 --ctdir ORIGINAL"
          + " -j REJECT --reject-with tcp-reset",
        "! -i docker0 -o docker0 -p tcp -m conntrack --ctorigdstport 9000:9010 --ctdir ORIGINAL"
          + " -j REJECT --reject-with tcp-reset",
        "! -i docker0 -m conntrack --ctstate DNAT -j DROP", "! -i docker0 -o docker0 -j DROP",
      ])
    // The accept is of the other family alone.
    #expect(try rules(policy, .ipv6).count == 5)
    #expect(try !rules(policy, .ipv6).contains { $0.contains("8080") })
  }

  @Test("Lists of ports and sources, both transports, the controllers and an interface")
  func lists() throws {
    let policy = try compiled(
      """
      - accept: {tcp: [80, 443], udp: 443, in: eth0}
      - accept: {from: [controllers, 2001:db8:1::/48]}
      - reject: {udp: 53, in: eth0}
      """, controllers: ["192.0.2.9", "192.0.2.1", "2001:db8::1"])
    func port(_ transport: String, _ port: Int) -> String {
      "-i eth0 -p \(transport) -m conntrack --ctorigdstport \(port) --ctdir ORIGINAL -j RETURN"
    }
    func refusal(_ with: String) -> [String] {
      [
        "-i eth0 -p udp -m conntrack --ctstate DNAT --ctorigdstport 53 --ctdir ORIGINAL -j REJECT --reject-with \(with)",
        "-i eth0 -o docker0 -p udp -m conntrack --ctorigdstport 53 --ctdir ORIGINAL -j REJECT --reject-with \(with)",
      ]
    }
    let ports = [answers, port("tcp", 80), port("tcp", 443), port("udp", 443)]
    #expect(
      try rules(policy, .ipv4) == ports + ["-s 192.0.2.1/32 -j RETURN", "-s 192.0.2.9/32 -j RETURN"]
        + refusal("icmp-port-unreachable"))
    #expect(
      try rules(policy, .ipv6) == ports + ["-s 2001:db8::1/128 -j RETURN", "-s 2001:db8:1::/48 -j RETURN"]
        + refusal("icmp6-port-unreachable"))
  }

  @Test("Every rule leads back to its item, and the policy's other rules to theirs")
  func places() throws {
    let policy = try compiled("- accept: {tcp: 80}\n- drop: {}")
    let text = String(decoding: policy.rules.ipv4, as: UTF8.self).split(separator: "\n")
    let places = text.indices.map { policy.source(of: .ipv4, line: $0 + 1)!.description.split(separator: "/").last! }
    #expect(text[4] == ":CONTAINERS - [0:0]" && places[4] == "policy.yaml:5:1")
    #expect(places[5] == "rules.v4:3:1" && text[5] == "-A INPUT -i lo -j ACCEPT")
    #expect(Array(places[6...9]) == ["policy.yaml:5:1", "policy.yaml:6:3", "policy.yaml:7:3", "policy.yaml:7:3"])
    #expect(text.last == "COMMIT")
  }

  @Test("Controllers in an item let nobody into the host, and need a source as those in a rules file do")
  func controllers() throws {
    let item = "- accept: {from: controllers}\n- drop: {}"
    #expect(throws: Diagnostics.self) { try compiled(item, controllers: []) }
    // Only IPv4 lets the controllers in, and only IPv6 addresses are known.
    let way = "*filter\n:INPUT DROP\n-A INPUT -s controllers -j ACCEPT\nCOMMIT\n"
    #expect(throws: Diagnostics.self) { try compiled(item, controllers: ["2001:db8::1"], v4: way) }
    _ = try compiled(item, controllers: ["192.0.2.1"], v4: way)
  }

  @Test(
    "Mistakes are named at their place",
    arguments: [
      ("[]", "5:13 the list is empty"), ("{}", "5:13 expected a list, found a mapping"),
      ("[{acept: {}}]", "5:15 unknown key \"acept\""),
      ("[{accept: {}, drop: {}}]", "5:14 an item is one of accept, drop, reject"),
      ("[{accept: }]", "5:23 expected a mapping, found nothing"),
      ("[{accept: {port: 80}}]", "5:24 unknown key \"port\""),
      ("[{accept: {tcp: 0}}]", "5:29 \"0\" is no port"), ("[{accept: {tcp: 65536}}]", "5:29 \"65536\" is no port"),
      ("[{accept: {tcp: \"80,443\"}}]", "5:29 \"80,443\" is no port"),
      ("[{accept: {tcp: []}}]", "5:29 the list names no port"),
      ("[{accept: {tcp: \"20:10\"}}]", "5:29 \"20:10\" is no port"),
      ("[{accept: {tcp: http}}]", "5:29 \"http\" is no port"),
      (
        "[{accept: {from: \"192.0.2.1 -j ACCEPT\"}}]",
        "5:30 \"192.0.2.1 -j ACCEPT\" is neither an address nor a name of one"
      ),
      ("[{accept: {in: \"eth0 -j ACCEPT\"}}]", "5:28 \"eth0 -j ACCEPT\" is no interface"),
      ("[{accept: {in: \"+\"}}]", "5:28 \"+\" is no interface"),
      ("[{drop: {}}, {accept: {tcp: 80}}]", "5:26 this item is never reached: the one before it takes everything"),
    ])
  func mistakes(list: String, message: String) throws {
    let folder = try PolicyFolder()
    try folder.write(
      "p/policy.yaml", "policy: p\napplies_to: all\nipv6: drop-all\nrules: {ipv4: rules.v4}\ncontainers: \(list)\n")
    try folder.write("p/rules.v4", plainRules)
    #expect(messages { () throws(Diagnostics) in try folder.load() }.first == "policy.yaml:\(message)")
  }

  @Test("An address or prefix out of range is refused in the words of rules files")
  func addresses() throws {
    for address in ["10.0.0.0/33", "300.1.1.1", "2001:db8::1/129", "1:2:3"] {
      #expect(throws: Diagnostics.self, "\(address)") { try compiled("- drop: {from: \"\(address)\"}") }
    }
  }

  @Test("A section that would make thousands of rules is refused")
  func bounds() throws {
    let ports = (1...64).map(String.init).joined(separator: ", ")
    let sources = (1...64).map { "10.0.0.\($0)" }.joined(separator: ", ")
    #expect(throws: Diagnostics.self) { try compiled("- drop: {tcp: [\(ports)], from: [\(sources)]}") }
  }
}
