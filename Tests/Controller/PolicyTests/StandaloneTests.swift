import Core
import Inventory
import TestSupport
import Testing

@testable import Policy

/// Rules without an agent: a restore program must take them as they are printed.
@Suite("Rules that stand alone")
struct StandaloneTests {
  private static func policy(_ rest: String) -> String { "policy: p\napplies_to: all\n\(rest)\n" }

  private static func addresses(_ count: Int) -> [String] {
    (0..<count).flatMap { ["10.\($0 / 250).\($0 % 250).1", "\"2001:db8::\(String($0, radix: 16)):1\""] }
  }

  private func standalone(_ rest: String) throws -> PolicySet {
    let folder = try PolicyFolder()
    try folder.write("p.yaml", Self.policy(rest))
    return try folder.load()
  }

  @Test(
    "Lists that an agent would make ipsets of are spelled out, and load", .enabled(if: Programs.areUsable),
    arguments: Programs.Backend.allCases)
  func sets(_ backend: Programs.Backend) throws {
    let many = Self.addresses(100)
    let set = try standalone(
      """
      sets: {many: [\(many.joined(separator: ", "))]}
      input: [{accept: {tcp: 80, from: many}}]
      output: [{drop: {to: [\(many.joined(separator: ", "))]}}]
      """)
    let compiled = try PolicyCompiler.standalone(set, named: [], controllers: [])
    #expect(compiled.addressSets.isEmpty)
    for family in Family.allCases {
      let output = try Programs.run("$P-restore <$IN && $P-save", family, backend, input: compiled.rules[family])
      #expect(output.status == 0, "\(output.errors)")
      let saved = String(decoding: output.text, as: UTF8.self).split(separator: "\n")
      #expect(saved.count { $0.hasPrefix("-A INPUT -s ") } == 100)
      #expect(saved.count { $0.hasPrefix("-A OUTPUT -d ") } == 100)
    }
    // An agent makes them, also of a draft.
    #expect(try PolicyCompiler.drafted(set).addressSets.count == 2)
  }

  @Test("What would be too many rules is refused with another way")
  func limit() throws {
    let set = try standalone("input: [{accept: {from: [\(Self.addresses(4097).joined(separator: ", "))]}}]")
    let problem = #expect(throws: Diagnostics.self) {
      try PolicyCompiler.standalone(set, named: [], controllers: [])
    }?.all.first
    #expect(problem?.message == "the item would become 4097 ipv4 rules, more than the 4096 allowed")
    #expect(problem?.hint?.contains("let the agent apply") == true)
    #expect(try PolicyCompiler.drafted(set).addressSets.count == 2)
  }

  @Test("Observing takes an agent")
  func observing() throws {
    let set = try standalone("defaults: {input: drop}\nobserve: true\ninput: [{accept: {in: lo}}]")
    #expect(
      messages { () throws(Diagnostics) in try PolicyCompiler.standalone(set, named: [], controllers: []) } == [
        "p.yaml:4:10 observe has no meaning in rules that stand alone: only an agent makes the sets that it counts in"
      ])
    #expect(try PolicyCompiler.drafted(set).observes)
  }
}
