import Core
import Inventory
import Operations
import Testing

@Suite("Groups made for imports") struct ImportNamesTests {
  private static let inventory = Array(
    "all: {children: {db: {children: {replicas: {hosts: {db2: }}}, hosts: {db1: }}}}\n".utf8)

  @Test(
    "One that the inventory has already would bring the rules to its hosts",
    arguments: ["db", "replicas", "db1", "all", "ungrouped"]) func taken(name: String) throws
  {
    let inventory = try HostInventory.parse(Self.inventory, file: "hosts.yaml")
    let refusal = #expect(throws: Failure.self) { try ImportNames.check(newGroups: ["web", name], in: inventory) }
    #expect(refusal?.kind == .refused && refusal?.hint != nil && refusal?.operation.hasSuffix(" " + name) == true)
  }

  @Test("Any other is made") func free() throws {
    let inventory = try HostInventory.parse(Self.inventory, file: "hosts.yaml")
    try ImportNames.check(newGroups: ["imported-1", "DB"], in: inventory)
  }
}
