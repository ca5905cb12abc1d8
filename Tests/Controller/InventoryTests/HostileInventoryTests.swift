import Core
import Foundation
import TestSupport
import Testing

@testable import Inventory

/// Inventories made to exhaust a reader: each is refused, or read, in little time.
@Suite("Inventories made to exhaust a reader")
struct HostileInventoryTests {
  private func problems(_ text: String, as read: ([UInt8], inout InventoryDraft) throws -> Void) -> [String] {
    let start = ProcessorTime.now
    defer { #expect(ProcessorTime.now - start < .seconds(20)) }
    var draft = InventoryDraft()
    do {
      try read(Array(text.utf8), &draft)
      _ = try InventoryBuilder(draft).build()
      return []
    } catch {
      return (error as? Diagnostics)?.all.map(\.message) ?? ["\(error)"]
    }
  }

  private func yaml(_ text: String) -> [String] {
    problems(text) { bytes, draft in try InventorySources.readYAML(bytes, "f", into: &draft) }
  }

  private func ini(_ text: String) -> [String] {
    problems(text) { bytes, draft in try INIReader.read(bytes, file: "f", into: &draft) }
  }

  @Test(
    "Aliases within aliases are expanded up to a limit, and never as keys",
    arguments: ["all: {vars: {x: *l29}}\n", "? *l29\n: 1\n", "[*l29]: 1\n", "{a: *l29}: 1\n", "*l29 : 1\n"])
  func aliasBombs(use: String) {
    var text = "l0: &l0 {hosts: {}}\n"
    for level in 1..<30 { text += "l\(level): &l\(level) {a: *l\(level - 1), b: *l\(level - 1)}\n" }
    let found = yaml(text + use).first
    #expect(
      found == "a key must be plain text" || found?.contains("aliases make more than") == true, "\(found ?? "nothing")")
  }

  @Test("Merges of merges are bounded as aliases are")
  func mergeBombs() {
    var text = "b0: &b0 {" + (0..<1000).map { "k\($0): 1" }.joined(separator: ", ") + "}\n"
    for level in 1..<2000 { text += "b\(level): &b\(level) {<<: *b\((level - 1) % 50), x\(level): 1}\n" }
    #expect(yaml(text).contains { $0.contains("aliases make more than") })
  }

  @Test("A file of one long line is read in time, and places in it are right", arguments: ["e", "é"])
  func longLine(letter: String) {
    let text =
      "all: {vars: {" + (0..<20_000).map { "k\($0): \(letter)" }.joined(separator: ", ") + ", portcullis_x: 1}}"
    let found = messages { () throws(Diagnostics) in
      try HostInventory.parse(Array((text + "\n").utf8), file: "f")
    }
    #expect(found == ["1:\(text.utf8.count - 16) unknown variable \"portcullis_x\""])
    #expect(problems(text) { bytes, draft in try InventorySources.readYAML(bytes, "f", into: &draft) }.count == 1)
  }

  @Test("Anchors, aliases and merge keys of ordinary size are what Ansible makes of them")
  func anchors() throws {
    let text = """
      all:
        vars:
          base: &base {a: 1, b: {c: no}}
          list: &list [x, 0644]
          merged: {<<: *base, a: 2}
          several: {<<: [{z: 1}, *base, {a: 9}], l: *list}
        hosts: {h: }
      """
    let variables = try #require(try inventory(text).host(named: "h")).variables
    #expect(variables["merged"] == ["b": ["c": false], "a": 2])
    #expect(variables["several"] == ["z": 1, "a": 1, "b": ["c": false], "l": ["x", 420]])
  }

  @Test("Many brackets, deep brackets and long chains of groups cost no stack")
  func deep() {
    let many = String(repeating: "[1:1]", count: 100_000)
    #expect(yaml("all: {hosts: {\"\(many)\": }}").count == 1)
    #expect(ini(many + "x\n").count == 1)
    let nested = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
    #expect(ini("h x=\(nested)\n").isEmpty)
    #expect(throws: Diagnostic.self) { try JSONText.parse(Array(nested.utf8), file: "f") }
    var chain = ""
    for level in 0..<3000 { chain += "[g\(level)]\n[g\(level):children]\ng\(level + 1)\n" }
    #expect(ini(chain + "[g3000]\nh\n").isEmpty)
    #expect(ini(chain + "[g3000]\nh\n[g3000:children]\ng0\n").first?.contains("contains itself") == true)
  }

  @Test("Groups within groups that hold too much together are refused before they fill the memory")
  func memberships() {
    var text = "h[1:20000]\n"
    for level in 0..<1000 { text += "[g\(level):children]\ng\(level + 1)\n[g\(level)]\n" }
    #expect(ini(text + "[g1000]\nh[1:20000]\n").first?.contains("groups within groups hold more than") == true)
  }

  @Test("A jump host that nobody knows is looked for once, however many hosts have it")
  func unknownJump() {
    #expect(
      ini("[web]\nh[1:20000]\n[web:vars]\nportcullis_jump=bastion\n") == [
        "jump host \"bastion\" is not in the inventory"
      ])
  }

  @Test("Numbers beyond what an integer holds are numbers all the same, and patterns with them are errors")
  func largeNumbers() throws {
    let fleet = try inventory(
      "all: {vars: {x: 123456789012345678901234567890, y: 0xffffffffffffffffffff}, hosts: {h: }}")
    #expect(fleet.hosts[0].variables["x"] == .real("123456789012345678901234567890"))
    #expect(fleet.hosts[0].variables["y"] == "0xffffffffffffffffffff")
    for pattern in ["all[-9223372036854775808]", "all[99999999999999999999]", "all[0:99999999999]", "h[1:999999999]"] {
      #expect(throws: Failure.self) { try fleet.hosts(matching: pattern) }
    }
  }

  @Test("Ten thousand hosts of fifty groups with files of variables are read in little time")
  func large() throws {
    let folder = try TemporaryFolder()
    var text = ""
    for group in 0..<50 {
      text += "[g\(group)]\n"
      for host in 0..<200 { text += "h\(group * 200 + host) ansible_host=10.0.\(group).\(host) rack=\(host % 7)\n" }
      try folder.write("group_vars/g\(group).yml", (0..<20).map { "v\($0): [\($0), no]" }.joined(separator: "\n"))
    }
    let path = try folder.write("hosts", text)
    let start = ProcessorTime.now
    let inventory = try HostInventory.load(path)
    let took = ProcessorTime.now - start
    print("10,000 hosts in 50 groups: \(took)")
    #expect(inventory.hosts.count == 10_000 && inventory.hosts[9_999].variables.count == 22)
    #expect(took < .seconds(20))
  }
}
