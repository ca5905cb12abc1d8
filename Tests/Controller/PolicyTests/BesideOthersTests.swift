import Core
import Testing

@testable import Inventory
@testable import Policy

@Suite("How a policy lives with rules that are not ours")
struct BesideOthersTests {
  private func load(_ lines: String, v4: String = plainRules) throws -> PolicyFolder {
    let folder = try PolicyFolder()
    try folder.add("p", to: "all", v4: v4)
    try folder.write(
      "p/policy.yaml", "policy: p\napplies_to: all\nrules: {ipv4: rules.v4, ipv6: rules.v6}\n" + lines)
    return folder
  }

  private func compiled(_ lines: String, v4: String = plainRules) throws -> CompiledPolicy {
    let folder = try load(lines, v4: v4)
    return try folder.compiled()
  }

  @Test("Owned is the default; exclusive is said")
  func modes() throws {
    #expect(try compiled("").beside == BesideOthers())
    #expect(try compiled("").beside.mode == .owned)
    #expect(try compiled("mode: owned\n").beside.mode == .owned)
    #expect(try compiled("mode: exclusive\n").beside.mode == .exclusive)
  }

  @Test("Foreign forwarding and foreign rules are taken as written")
  func foreign() throws {
    let beside = try compiled(
      "forward: foreign\nforeign: {allow: [\"-A INPUT -s 192.0.2.1/32 -j ACCEPT\", \"-A DOCKER-USER -j RETURN\"]}\n"
    ).beside
    #expect(beside.forwardsForeign)
    #expect(beside.foreignAllowed == ["-A INPUT -s 192.0.2.1/32 -j ACCEPT", "-A DOCKER-USER -j RETURN"])
    #expect(try compiled("foreign: {allow: \"*\"}\n").beside.foreignAllowed == ["*"])
    #expect(try compiled("foreign: deny\n").beside.deniesForeign)
    #expect(try !compiled("foreign: allow\n").beside.deniesForeign && !compiled("").beside.deniesForeign)
  }

  @Test(
    "Mistakes are named at their place",
    arguments: [
      ("mode: ownd\n", "4:7 unknown mode \"ownd\""),
      (
        "forward: ours\n", "4:10 expected foreign or a list of items, found \"ours\""
      ),
      ("mode: exclusive\nforward: foreign\n", "5:10 forward: foreign and mode: exclusive exclude each other"),
      ("mode: exclusive\nforeign: {allow: \"*\"}\n", "5:1 foreign and mode: exclusive exclude each other"),
      ("mode: exclusive\ncontainers: [{drop: {}}]\n", "5:1 containers and mode: exclusive exclude each other"),
      ("foreign: [\"*\"]\n", "4:10 expected a mapping, found a list"),
      ("foreign: {}\n", "4:10 the key \"allow\" is missing"),
      ("foreign: {alow: \"*\"}\n", "4:10 the key \"allow\" is missing"),
      ("foreign: {allow: all}\n", "4:18 expected a list of rules or \"*\", found the text \"all\""),
      ("foreign: {allow: [\"*\"]}\n", "4:19 foreign rule \"*\" is no rule"),
      ("foreign: {allow: [\"INPUT -j ACCEPT\"]}\n", "4:19 foreign rule \"INPUT -j ACCEPT\" is no rule"),
      (
        "foreign: {allow: [\"-A INPTU -j ACCEPT\"]}\n",
        "4:19 foreign rule \"-A INPTU -j ACCEPT\" is in no chain that our rules are hooked from"
      ),
      (
        "foreign: {allow: [\"-A INPUT -j ACCEPT \"]}\n",
        "4:19 foreign rule \"-A INPUT -j ACCEPT \" holds more than printable ASCII, or ends in a space"
      ),
    ])
  func mistakes(lines: String, message: String) throws {
    let folder = try load(lines)
    #expect(messages { () throws(Diagnostics) in try folder.load() }.first == "policy.yaml:\(message)")
  }

  @Test("What one policy denies no other may allow on the same hosts")
  func contradiction() throws {
    func said(_ first: String, _ second: String) throws -> [String] {
      let folder = try PolicyFolder()
      for (name, foreign) in [("a", first), ("b", second)] {
        try folder.write(
          "\(name)/policy.yaml", "policy: \(name)\napplies_to: all\n\(foreign)rules: {ipv4: v4, ipv6: v6}\n")
        for file in ["v4", "v6"] { try folder.write("\(name)/\(file)", plainRules) }
      }
      do { _ = try folder.compiled() } catch let error as Diagnostics { return error.all.map(\.description) }
      return []
    }
    let words = try said("foreign: deny\n", "foreign: allow\n").map { $0.replacing(/^.*policy.yaml:/, with: "") }
    #expect(words == ["3:10: foreign: deny contradicts another policy's foreign: allow"])
    #expect(try said("foreign: deny\n", "").isEmpty)
  }

  @Test("Hints name the nearest word")
  func hints() throws {
    for (lines, hint) in [
      ("mode: ownd\n", "did you mean \"owned\"?"),
      ("foreign: {allow: [\"-A INPTU -j ACCEPT\"]}\n", "did you mean \"INPUT\"?"),
      ("containers: [{acept: {}}]\n", "did you mean \"accept\"?"),
    ] {
      let folder = try load(lines)
      do {
        _ = try folder.load()
        Issue.record("accepted: \(lines)")
      } catch {
        #expect(error.all.first?.hint == hint)
      }
    }
  }

  @Test("A foreign rule longer than a manifest takes is refused")
  func long() throws {
    let folder = try load("foreign: {allow: [\"-A INPUT \(String(repeating: "x", count: 1016))\"]}\n")
    #expect(messages { () throws(Diagnostics) in try folder.load() }.count == 1)
    _ = try load("foreign: {allow: [\"-A INPUT \(String(repeating: "x", count: 1015))\"]}\n").load()
  }

  @Test("The names of our own chains on hosts cannot be taken, nor CONTAINERS where the section makes it")
  func names() throws {
    func found(_ lines: String, _ chain: String) throws -> [String] {
      let folder = try load(lines, v4: "*filter\n:INPUT DROP\n:\(chain) -\n-A INPUT -j \(chain)\nCOMMIT\n")
      return messages { () throws(Diagnostics) in try folder.load() }
    }
    for mode in ["", "mode: exclusive\n"] {
      #expect(try found(mode, "PCL-mine").map { $0.prefix(29) } == ["rules.v4:3:1 chain \"PCL-mine\""])
      #expect(try found(mode, "MINE").isEmpty)
    }
    #expect(try found("", "CONTAINERS").count == 1)
    #expect(try found("mode: exclusive\n", "CONTAINERS").isEmpty)
  }

  @Test("Whether forwarded packets end here is told from the policy of FORWARD and its last rule, in each family")
  func forwards() throws {
    func table(_ policy: String, _ rules: String) -> String { "*filter\n:FORWARD \(policy)\n\(rules)COMMIT\n" }
    #expect(try compiled("", v4: table("DROP", "")).dropsForward == [.ipv4])
    #expect(try compiled("", v4: table("ACCEPT", "")).dropsForward.isEmpty)
    #expect(try compiled("", v4: table("ACCEPT", "-A FORWARD -i eth0 -j DROP\n")).dropsForward.isEmpty)
    #expect(
      try compiled("", v4: table("ACCEPT", "-A FORWARD -i lo -j ACCEPT\n-A FORWARD -j DROP\n")).dropsForward == [.ipv4])
    #expect(try compiled("", v4: table("ACCEPT", "-A FORWARD -j REJECT\n")).dropsForward == [.ipv4])
    let folder = try PolicyFolder()
    try folder.write("p/policy.yaml", "policy: p\napplies_to: all\nipv6: drop-all\nrules: {ipv4: rules.v4}\n")
    try folder.write("p/rules.v4", plainRules)
    let closed = try folder.compiled()
    #expect(closed.dropsForward == [.ipv6] && closed.closesIPv6)
  }
}
