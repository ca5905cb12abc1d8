import Core
import Inventory
import Testing

@testable import Console

@Suite struct InventoryDocumentTests {
  private let inventory: HostInventory

  init() throws {
    let text = """
      all:
        vars: {x: [1, no], "ansible_port": 22}
        hosts: {lone: {y: é}}
        children: {web: {hosts: {"web[01:12]": }}}
      """
    inventory = try HostInventory.parse(Array(text.utf8), file: "hosts.yaml")
  }

  private func render(_ document: some Document, _ format: OutputFormat) throws -> String {
    try DocumentPrinter.render(document, as: format, colour: false)
  }

  @Test func `a host's variables are printed as ansible-inventory prints them`() throws {
    let document = InventoryDocument(host: try #require(inventory.host(named: "lone")), of: inventory)
    #expect(
      try render(document, .text) == """
        {
            "ansible_port": 22,
            "x": [
                1,
                false
            ],
            "y": "é"
        }

        """)
    let json = try render(document, .json)
    #expect(json.contains("\"ansible_port\" : 22") && json.contains("\"kind\" : \"Inventory\""))
  }

  @Test func `the list holds the hosts asked for, and the graph all of them`() throws {
    let list = InventoryDocument(list: try inventory.hosts(matching: "web[0:1]"), of: inventory)
    let text = try render(list, .text)
    #expect(text.contains("\"web02\": {") && !text.contains("web03") && !text.contains("\"lone\""))
    let graph = InventoryDocument(graph: try #require(inventory.group(named: "web")), of: inventory)
    #expect(try render(graph, .text).hasPrefix("@web:\n  |--web01\n  |--web02\n"))
    #expect(try render(graph, .name).split(separator: "\n").count == 12)
  }

  @Test func `hosts of the same groups are one line, and one each when wide`() throws {
    let document = HostsDocument(inventory.hosts, enrolments: [:])
    let folded = try render(document, .text).split(separator: "\n")
    #expect(folded.count == 3)
    #expect(folded.last?.hasPrefix("web[01-12]") == true)
    #expect(try render(document, .wide).split(separator: "\n").count == 14)
  }
}
