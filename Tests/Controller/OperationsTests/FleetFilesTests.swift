import Core
import Foundation
import Inventory
import Operations
import Policy
import Testing

@Suite("What init writes")
struct FleetFilesTests {
  private let examples =
    URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
    .appending(path: "../../../policies").standardized.path
  private let folder = FileManager.default.temporaryDirectory.appending(path: "portcullis-\(UUID().uuidString)").path

  private func make(only chosen: Set<String>?) throws -> [String] {
    let files = try FleetFiles(folder: folder, fleet: FleetID("example")!).make(policies: examples, only: chosen)
    return files.map { String($0.dropFirst(folder.count + 1)) }
  }

  @Test("The policies a newcomer begins with fit the inventory beside them, empty and filled in as its comments say")
  func starters() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let files = try make(only: FleetFiles.starters)
    #expect(Set(files.filter { $0.hasPrefix("policies/") }) == Set(FleetFiles.starters.map { "policies/\($0)" }))
    let policies = try PolicySet.load(directory: folder + "/policies")
    #expect(policies.names == ["base", "database", "gateway", "web"])
    for (name, schema) in [("policies/web", FileSchema.policy), ("policies/common", .common)] {
      let text = try String(contentsOfFile: "\(folder)/\(name).yaml", encoding: .utf8)
      #expect(text.hasPrefix("# yaml-language-server: $schema=../schemas/\(schema.rawValue).json\n"))
      #expect(files.contains(schema.fileName))
    }

    let hosts = folder + "/inventory/hosts.yaml"
    let empty = try HostInventory.load(hosts)
    _ = try PolicyCompiler(policies, inventory: empty)
    #expect(empty.hosts.isEmpty)

    let text = try String(contentsOfFile: hosts, encoding: .utf8)
    let filled = text.replacingOccurrences(of: "hosts: {}\n        # ", with: "hosts:\n        ")
    try Data(filled.utf8).write(to: URL(filePath: hosts))
    let inventory = try HostInventory.load(hosts)
    #expect(inventory.hosts.count == 2)
    let compiler = try PolicyCompiler(policies, inventory: inventory)
    for host in inventory.hosts {
      #expect(compiler.policies(of: host).count == 2)
      _ = try compiler.compile(for: host, controllers: PolicySet.placeholderControllers)
    }
  }

  @Test("Of a folder of one's own every policy is copied, rules files and pinned names too")
  func everything() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let files = try make(only: nil)
    for name in ["web.yaml", "dns.lock", "common.yaml", "legacy-app/policy.yaml", "legacy-app/rules.v6"] {
      #expect(files.contains("policies/\(name)"))
    }
    #expect(try PolicySet.load(directory: folder + "/policies").names == PolicySet.load(directory: examples).names)
  }
}
