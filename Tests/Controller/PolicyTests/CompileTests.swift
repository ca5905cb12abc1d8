import Core
import Ruleset
import TestSupport
import Testing

@testable import Inventory
@testable import Policy

@Suite("Compiling a policy for a host")
struct CompileTests {
  private let rules = """
    # Comment.
    *filter
    :INPUT DROP
    :MINE -
    -A INPUT -i lo -j ACCEPT
    -A INPUT -s controllers -p tcp -m tcp --dport 22 -j ACCEPT
    -A MINE -d controllers -j RETURN
    -A INPUT -j MINE
    COMMIT

    """

  private func compiled(
    v4: String? = nil, v6: String? = nil, host: String = "h: ", controllers: [String]
  ) throws -> CompiledPolicy {
    let folder = try PolicyFolder()
    try folder.add("p", to: "all", v4: v4 ?? rules, v6: v6 ?? rules)
    return try folder.compiled(for: "all: {hosts: {\(host)}}", controllers: controllers)
  }

  private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  @Test("`controllers` becomes a rule for each source of the family, and every built-in chain is there")
  func expansion() throws {
    let policy = try compiled(controllers: ["192.0.2.9", "::ffff:192.0.2.1", "2001:DB8::1", "192.0.2.9"])
    #expect(
      text(policy.rules.ipv4) == """
        *filter
        :INPUT DROP [0:0]
        :FORWARD ACCEPT [0:0]
        :OUTPUT ACCEPT [0:0]
        :MINE - [0:0]
        -A INPUT -i lo -j ACCEPT
        -A INPUT -s 192.0.2.1/32 -p tcp -m tcp --dport 22 -j ACCEPT
        -A INPUT -s 192.0.2.9/32 -p tcp -m tcp --dport 22 -j ACCEPT
        -A INPUT -j MINE
        -A MINE -d 192.0.2.1/32 -j RETURN
        -A MINE -d 192.0.2.9/32 -j RETURN
        COMMIT

        """)
    #expect(text(policy.rules.ipv6).contains("-A INPUT -s 2001:db8::1/128 -p tcp -m tcp --dport 22 -j ACCEPT\n"))
    #expect(policy.policies == ["p"])
  }

  @Test("Every line leads back to the policy's own file and line")
  func sourceMap() throws {
    let policy = try compiled(controllers: ["192.0.2.9", "192.0.2.1", "2001:db8::1"])
    let lines = (1...13).map { policy.source(of: .ipv4, line: $0)?.line }
    #expect(lines == [2, 3, 2, 2, 4, 5, 6, 6, 8, 7, 7, 2, nil])
    #expect(policy.source(of: .ipv6, line: 8)?.line == 8)
    #expect(policy.source(of: .ipv4, line: 7)?.file.hasSuffix("/p/rules.v4") == true)
    #expect(policy.source(of: .ipv4, line: 0) == nil)
  }

  @Test("A family without sources leaves the rule out; a host without any is an error that says how to get one")
  func noSources() throws {
    #expect(try !text(compiled(controllers: ["192.0.2.1"]).rules.ipv6).contains("--dport 22"))
    for (v6, controllers) in [(rules, []), (plainRules, ["2001:db8::1"])] as [(String, [String])] {
      do {
        _ = try compiled(v6: v6, controllers: controllers)
        Issue.record("compiled without a way in")
      } catch let error as Diagnostics {
        #expect(error.all[0].location.line == 6 && error.all[0].location.column == 13)
        #expect(error.all[0].message.hasPrefix("host \"h\" has no management source"))
        #expect(error.all[0].hint?.contains("portcullis enroll h") == true)
      }
    }
    let own = try compiled(host: "h: {portcullis_controllers: 192.0.2.7}", controllers: [])
    #expect(text(own.rules.ipv4).contains("192.0.2.7/32"))
    #expect(try compiled(v4: plainRules, v6: plainRules, controllers: []).rules.ipv4.isEmpty == false)
    #expect(throws: Diagnostics.self) { try compiled(controllers: ["controller.example"]) }
    _ = try compiled(controllers: PolicySet.placeholderControllers)
  }

  @Test(
    "`controllers` anywhere but alone after -s or -d is an error",
    arguments: [
      ("-A INPUT ! -s controllers -j DROP", 15), ("-A INPUT -s controllers,10.0.0.1 -j DROP", 13),
      ("-A INPUT -s controllers/24 -j DROP", 13), ("-A INPUT -j controllers", 13),
      ("-A INPUT -m comment --comment controllers -j DROP", 31),
      ("-A INPUT -s controllers -d controllers -j ACCEPT", 28), ("-A INPUT -i controllers -j ACCEPT", 13),
    ])
  func misplaced(rule: String, column: Int) throws {
    let folder = try PolicyFolder()
    try folder.add("p", to: "all", v4: "*filter\n:INPUT DROP\n\(rule)\nCOMMIT\n")
    do {
      _ = try folder.load()
      Issue.record("accepted: \(rule)")
    } catch {
      #expect(error.all.contains { $0.location.line == 3 && $0.location.column == column }, "\(error.all)")
    }
  }

  @Test("A quoted comment may say controllers, and a rule too long for an address is refused")
  func edges() throws {
    let quoted = "*filter\n:INPUT DROP\n-A INPUT -m comment --comment \"controllers\" -j DROP\nCOMMIT\n"
    #expect(try text(compiled(v4: quoted, controllers: ["2001:db8::1"]).rules.ipv4).contains("\"controllers\""))
    let comments = (0..<4).map { _ in "-m comment --comment \(String(repeating: "x", count: 225))" }
    let long = "*filter\n:INPUT DROP\n-A INPUT -s controllers \(comments.joined(separator: " ")) -j DROP\nCOMMIT\n"
    #expect(throws: Diagnostics.self) { try compiled(v4: long, controllers: ["192.0.2.1"]) }
  }

  @Test("ipv6: drop-all closes IPv6 but for the host itself, and leads back to those words")
  func dropAll() throws {
    let folder = try PolicyFolder()
    try folder.write("p/policy.yaml", "policy: p\napplies_to: all\nipv6: drop-all\nrules: {ipv4: rules.v4}\n")
    try folder.write("p/rules.v4", plainRules)
    let policy = try folder.compiled()
    #expect(
      text(policy.rules.ipv6) == """
        *filter
        :INPUT DROP [0:0]
        :FORWARD DROP [0:0]
        :OUTPUT DROP [0:0]
        -A INPUT -i lo -j ACCEPT
        -A OUTPUT -o lo -j ACCEPT
        COMMIT

        """)
    #expect(policy.source(of: .ipv6, line: 5)?.description.hasSuffix("/p/policy.yaml:3:7") == true)
  }

  @Test("The same policy and sources give the same bytes, in whatever order the sources come")
  func determinism() throws {
    let sources = ["192.0.2.9", "2001:db8::2", "192.0.2.10", "2001:db8::1", "10.0.0.1"]
    let first = try compiled(controllers: sources).rules
    for _ in 0..<5 { #expect(try compiled(controllers: sources.shuffled()).rules == first) }
    for family in Family.allCases {
      let again = try Ruleset.parse(policy: first[family], file: "bundle", family: family)
      #expect(again.canonical().allSatisfy { $0 == 0x0a || (0x20...0x7e).contains($0) })
    }
  }

  @Test("Ten thousand hosts compile in little time, with the same sources or each with its own")
  func large() throws {
    let folder = try PolicyFolder()
    try folder.add("p", to: "all", v4: rules, v6: rules)
    let fleet = try inventory("all: {hosts: {\"h[1:10000]\": }}")
    let policies = try PolicyCompiler(folder.load(), inventory: fleet)
    let start = ProcessorTime.now
    for host in fleet.hosts { _ = try policies.compile(for: host, controllers: ["192.0.2.1"]) }
    let shared = ProcessorTime.now - start
    for (index, host) in fleet.hosts.enumerated() {
      _ = try policies.compile(for: host, controllers: ["10.1.\(index / 256).\(index % 256)"])
    }
    print("10,000 hosts: \(shared) with the same sources, \(ProcessorTime.now - start - shared) each with its own")
    #expect(ProcessorTime.now - start < .seconds(30))
  }
}
