import Core
import Lint
import Policy
import Ruleset
import Testing

@testable import Import

struct AdoptionTests {
  private static let naming = Adoption.Naming(
    name: "adopted", appliesTo: "web", description: "As found on web1", directory: nil)

  private func diffs(_ expected: String, _ observed: String, ipv6: (String, String)? = nil) throws -> PerFamily<
    RulesetDiff
  > {
    func parse(_ text: String) throws -> Ruleset { try Ruleset.parse(save: Array(text.utf8), file: "save") }
    let sixth = ipv6 ?? ("*filter\nCOMMIT\n", "*filter\nCOMMIT\n")
    return PerFamily(
      ipv4: RulesetDiff.unified(from: try parse(expected), to: try parse(observed)),
      ipv6: RulesetDiff.unified(from: try parse(sixth.0), to: try parse(sixth.1)))
  }

  private func filter(_ lines: String...) -> String {
    "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n" + lines.map { $0 + "\n" }.joined() + "COMMIT\n"
  }

  @Test func `a port opened in both families is one item of the language, and nothing else is said`() throws {
    let pair = (
      filter("-A INPUT -i lo -j ACCEPT"),
      filter(
        "-A INPUT -i lo -j ACCEPT", "-A INPUT -p tcp -m tcp --dport 8081 -j ACCEPT")
    )
    let adoption = try #require(
      try Adoption.make(of: try AddedRules(try diffs(pair.0, pair.1, ipv6: pair)), Self.naming))
    #expect(
      adoption.yaml == """
        policy: adopted
        description: "As found on web1"
        applies_to: web
        input:
          - accept: { tcp: "8081" }

        """, "\(adoption.yaml)")
    #expect(adoption.typedRules == 2 && adoption.rawRules == 0)
  }

  @Test func `what the language cannot say is raw, chains and other tables too`() throws {
    let observed = """
      *filter
      :INPUT DROP [0:0]
      :FORWARD DROP [0:0]
      :EVIL - [0:0]
      -A INPUT -m ttl --ttl-lt 2 -j DROP
      -A INPUT -p tcp -m tcp --dport 81 -j EVIL
      -A EVIL -j ACCEPT
      COMMIT
      *mangle
      :PREROUTING ACCEPT [0:0]
      -A PREROUTING -p tcp -j MARK --set-xmark 0x1/0xffffffff
      COMMIT

      """
    let added = try AddedRules(try diffs(filter() + "*mangle\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n", observed))
    let adoption = try #require(try Adoption.make(of: added, Self.naming))
    #expect(adoption.rawRules == 4 && adoption.typedRules == 0, "\(adoption.yaml)")
    #expect(adoption.yaml.contains("    :EVIL -\n    -A EVIL -j ACCEPT\n"), "\(adoption.yaml)")
    #expect(adoption.yaml.contains("    *mangle\n    :PREROUTING ACCEPT\n    -A PREROUTING -p tcp -j MARK"))
    #expect(added.leftOut.isEmpty)
  }

  @Test func `rules in our chains are said as those of the policy's chain`() throws {
    let expected = """
      *filter
      :INPUT DROP [0:0]
      :PCL-INPUT - [0:0]
      -A INPUT -j PCL-INPUT
      -A PCL-INPUT -j DROP
      COMMIT

      """
    let observed = expected.replacing(
      "-A PCL-INPUT -j DROP", with: "-A PCL-INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A PCL-INPUT -j DROP"
    )
    .replacing("-A INPUT -j PCL-INPUT", with: "-A INPUT -p udp -m udp --dport 99 -j ACCEPT\n-A INPUT -j PCL-INPUT")
    let adoption = try #require(try Adoption.make(of: try AddedRules(try diffs(expected, observed)), Self.naming))
    #expect(adoption.yaml.contains("tcp: \"22\""), "\(adoption.yaml)")
    #expect(adoption.yaml.contains("udp: \"99\""), "\(adoption.yaml)")
    #expect(adoption.typedRules == 2)
  }

  @Test func `what no policy of its own can say is named, and alone makes no policy`() throws {
    let set = "PCL-2f06c1d2a0b94e1d7c55"
    let expected = """
      *filter
      :INPUT DROP [0:0]
      :PCL-INPUT - [0:0]
      :web - [0:0]
      -A INPUT -p gre -j DROP
      -A INPUT -j PCL-INPUT
      COMMIT
      *sysctl
      :net.ipv4.ip_forward - [0:0]
      -A net.ipv4.ip_forward 1
      COMMIT

      """
    let observed = """
      *filter
      :INPUT ACCEPT [0:0]
      :PCL-INPUT - [0:0]
      :web - [0:0]
      -A INPUT -j PCL-INPUT
      -A INPUT -p gre -j DROP
      -A INPUT -m set --match-set \(set) src -j ACCEPT
      -A INPUT -m comment --comment "a\u{1b}[2J" -j ACCEPT
      -A web -j ACCEPT
      COMMIT
      *sysctl
      :net.ipv4.ip_forward - [0:0]
      -A net.ipv4.ip_forward 0
      COMMIT

      """
    let added = try AddedRules(try diffs(expected, observed))
    let words = added.leftOut.joined(separator: "\n")
    for part in [
      ":INPUT ACCEPT", "an ipset of ours", "plain ASCII", "another policy's", "net.ipv4.ip_forward",
    ] {
      #expect(words.contains(part), "\(part) in \(words)")
    }
    #expect(!words.contains("\u{1b}"))
    let hooked = try AddedRules(
      try diffs(expected, expected.replacing("-A INPUT -j PCL", with: "-A INPUT -i lo -j PCL-INPUT\n-A INPUT -j PCL")))
    #expect(hooked.isEmpty && hooked.leftOut.count == 1)
    #expect(hooked.leftOut.first?.contains("our own hook") == true, "\(hooked.leftOut)")
    let onlySettings = try AddedRules(
      try diffs(filter() + "*sysctl\n:x - [0:0]\n-A x 1\nCOMMIT\n", filter() + "*sysctl\n:x - [0:0]\n-A x 0\nCOMMIT\n"))
    #expect(try Adoption.make(of: onlySettings, Self.naming) == nil)
  }

  @Test func `more than anybody puts in by hand is refused at once`() throws {
    func added(_ count: Int) throws -> AddedRules {
      let lines = (0..<count).map { "-A INPUT -p tcp -m tcp --dport \($0 + 1) -j ACCEPT\n" }.joined()
      return try AddedRules(
        try diffs(filter(), "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n\(lines)COMMIT\n"))
    }
    #expect(try added(1000).count == 1000)
    let error = #expect(throws: Failure.self) { try added(1001) }
    #expect(error?.kind == .refused)
  }
}
