import Core
import Ruleset
import Testing

@Suite("A policy as chains of our own")
struct OwnedRulesTests {
  private func owned(_ text: String, forwardsForeign: Bool = false) throws -> OwnedRules {
    OwnedRules(try policy(text), forwardsForeign: forwardsForeign)
  }

  private func lines(_ rules: OwnedRules) -> [String] {
    text(Ruleset(tables: rules.tables)).split(separator: "\n").map(String.init)
  }

  @Test("A built-in chain with policy DROP ends in its default, and user chains are renamed where they are named")
  func basic() throws {
    let rules = try owned(
      "*filter\n:INPUT DROP\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:web -\n-A INPUT -p tcp --dport 80 -j web\n-A OUTPUT -m comment --comment \"-j web\" -g web\n-A web -j ACCEPT\nCOMMIT\n"
    )
    #expect(
      lines(rules) == [
        "*filter", ":PCL-INPUT - [0:0]", ":PCL-OUTPUT - [0:0]", ":PCL:web - [0:0]",
        "-A PCL-INPUT -p tcp --dport 80 -j PCL:web", "-A PCL-INPUT -j DROP",
        "-A PCL-OUTPUT -m comment --comment \"-j web\" -g PCL:web", "-A PCL:web -j ACCEPT", "COMMIT",
      ])
    #expect(
      rules.hooks.map { "\($0.table) \($0.chain) \($0.target)" } == [
        "filter INPUT PCL-INPUT", "filter OUTPUT PCL-OUTPUT",
      ])
    #expect(rules.policies == ["filter": ["INPUT": "DROP", "FORWARD": "ACCEPT", "OUTPUT": "ACCEPT"]])
    #expect(rules.tables[0][chain: "PCL-INPUT"]?.rules.map(\.line) == [6, 0])
  }

  @Test("The text for a kernel nobody has looked at says every policy, and empties every chain of ours")
  func standalone() throws {
    let rules = try owned(
      "*filter\n:INPUT ACCEPT\n:FORWARD DROP\n:OUTPUT ACCEPT\n-A INPUT -s 192.0.2.1 -j DROP\nCOMMIT\n")
    let lines = String(decoding: rules.standaloneText(), as: UTF8.self).split(separator: "\n").map(String.init)
    for chain in ["INPUT ACCEPT", "FORWARD DROP", "OUTPUT ACCEPT", "PCL-INPUT -", "PCL-FORWARD -", "PCL-OUTPUT -"] {
      #expect(lines.contains(":\(chain) [0:0]"), "\(chain)")
    }
    #expect(lines.filter { $0.hasPrefix("-I") } == ["-I FORWARD 1 -j PCL-FORWARD", "-I INPUT 1 -j PCL-INPUT"])
    let none = try owned("*nat\n:PREROUTING ACCEPT\nCOMMIT\n")
    #expect(String(decoding: none.standaloneText(), as: UTF8.self).contains(":PCL-INPUT - [0:0]"))
  }

  @Test("What leaves a chain by RETURN or -g still meets its DROP", arguments: ["-j RETURN", "-g web"])
  func leaving(target: String) throws {
    let rules = try owned(
      "*filter\n:INPUT DROP\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:web -\n-A INPUT -p tcp \(target)\nCOMMIT\n")
    let renamed = target.replacing("web", with: "PCL:web")
    #expect(
      rules.tables[0][chain: "PCL-INPUT"]?.rules.map { String(decoding: $0.text, as: UTF8.self) } == [
        "-A PCL-INPUT -j PCL-INPUT-RULES", "-A PCL-INPUT -j DROP",
      ])
    #expect(
      rules.tables[0][chain: "PCL-INPUT-RULES"]?.rules.map { String(decoding: $0.text, as: UTF8.self) } == [
        "-A PCL-INPUT-RULES -p tcp \(renamed)"
      ])
  }

  @Test("Forwarding that is left to others has neither a final drop nor a policy")
  func forwards() throws {
    let text = "*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT ACCEPT\n-A FORWARD -i eth0 -j RETURN\nCOMMIT\n"
    let rules = try owned(text, forwardsForeign: true)
    #expect(rules.policies["filter"]?["FORWARD"] == nil)
    #expect(rules.tables[0][chain: "PCL-FORWARD"]?.rules.count == 1)
    #expect(try owned(text).policies["filter"]?["FORWARD"] == "DROP")
    let without = try owned("*filter\n:INPUT ACCEPT\n:FORWARD DROP\n:OUTPUT ACCEPT\nCOMMIT\n", forwardsForeign: true)
    #expect(without.hooks.isEmpty)
  }

  @Test("The chain CONTAINERS of the filter table is called from DOCKER-USER")
  func containers() throws {
    let rules = try owned("*filter\n:INPUT ACCEPT\n:CONTAINERS -\n:web -\n-A CONTAINERS -j web\nCOMMIT\n")
    #expect(
      rules.hooks == [
        OwnedRules.Hook(table: "filter", chain: "DOCKER-USER", target: "PCL-CONTAINERS", isForeign: true)
      ])
    #expect(lines(rules).contains("-A PCL-CONTAINERS -j PCL:web"))
    let other = try owned("*mangle\n:CONTAINERS -\nCOMMIT\n")
    #expect(other.hooks.isEmpty)
    #expect(other.tables[0].chains.map(\.name) == ["PCL:CONTAINERS"])
  }
}
