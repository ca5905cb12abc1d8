import Core
import Foundation
import TestSupport
import Testing

@testable import Inventory

/// Our reading of inventories against Ansible's own: same hosts, same variables, same order.
@Suite(
  "Inventories as Ansible reads them", .serialized,
  .enabled(
    if: AnsibleOracle.isPresent || AnsibleOracle.isNeeded,
    "Ansible is not in \(AnsibleOracle.directory); 'make ansible' installs it"))
struct AnsibleDifferenceTests {
  /// Programs are run by Foundation here; the controller has its own way (InventoryProgramsTests).
  static let programs = InventoryPrograms { path, arguments in
    do {
      return .success([UInt8](try AnsibleOracle.run(path, arguments)))
    } catch {
      return .failure(Reason("\(error)"))
    }
  }

  static var count: Int { ProcessInfo.processInfo.environment["PORTCULLIS_INVENTORIES"].flatMap { Int($0) } ?? 240 }

  @Test("Generated inventories and patterns mean the same to us and to Ansible")
  func generated() throws {
    let seed = Random.seed(for: "generated inventories")
    var random = Random(seed: seed)
    let folder = try TemporaryFolder()
    var inventories: [GeneratedInventory] = []
    for number in 0..<Self.count { inventories.append(try GeneratedInventory(number, in: folder, &random)) }
    let answers = try AnsibleOracle.answers(
      to: inventories.map { .init(sources: $0.sources, patterns: $0.patterns) }, in: folder)
    try #require(answers.count == inventories.count)
    var patterns = 0
    var reordered = 0
    var variables = 0
    for (number, (inventory, answer)) in zip(inventories, answers).enumerated() {
      let place = Comment(rawValue: "seed \(seed), inventory \(number): \(inventory.sources.joined(separator: " "))")
      guard answer.error == nil, answer.parsed == true else {
        Issue.record("\(place): Ansible: \(answer.error ?? ""), \(answer.warnings ?? [])")
        continue
      }
      let ours: HostInventory
      do throws(Diagnostics) {
        ours = try HostInventory.load(sources: inventory.sources, running: Self.programs)
      } catch {
        Issue.record("\(place): \(error.all)")
        continue
      }
      #expect(ours.hosts.map(\.id.description) == answer.order, place)
      expectEqual(AnsibleJSON.text(ours.listing(of: ours.hosts)), answer.list ?? "", place)
      expectEqual(
        ours.graph(from: try #require(ours.group(named: "all"))).joined(separator: "\n"), answer.graph ?? "", place)
      variables += ours.hosts.reduce(0) { $0 + $1.variables.count }
      for (pattern, theirs) in zip(inventory.patterns, answer.patterns ?? []) {
        guard let theirs else { continue }
        patterns += 1
        let limited = Result { try ours.hosts(matching: pattern).map(\.id.description) }
        #expect((try? limited.get()) == theirs.limited, "\(place): -l \(pattern)")
        let named = Result { try ours.hosts(named: pattern).map(\.id.description) }
        #expect((try? named.get()) == theirs.named, "\(place): \(pattern)")
        if theirs.named != theirs.limited { reordered += 1 }
      }
    }
    print("compared with Ansible: \(inventories.count) inventories, \(variables) variables, \(patterns) patterns")
    print("of these patterns \(reordered) name hosts in another order than the inventory")
    #expect(patterns >= Self.count * 2 && reordered >= Self.count / 10)
  }

  @Test("What the commands ansible-inventory and ansible print is what our own print")
  func commands() throws {
    let seed = Random.seed(for: "inventories for Ansible's commands")
    var random = Random(seed: seed)
    let folder = try TemporaryFolder()
    try folder.write("home/x", "")
    func command(_ name: String, _ arguments: [String]) throws -> String {
      let data = try AnsibleOracle.run(
        AnsibleOracle.directory + "/bin/" + name, arguments, in: folder.path + "/home")
      return String(decoding: data, as: UTF8.self)
    }
    for number in 0..<4 {
      let generated = try GeneratedInventory(number, in: folder, &random)
      let place = Comment(rawValue: "seed \(seed), inventory \(number): \(generated.sources.joined(separator: " "))")
      let ours = try HostInventory.load(sources: generated.sources, running: Self.programs)
      let sources = generated.sources.flatMap { ["-i", $0] }
      expectEqual(
        AnsibleJSON.text(ours.listing(of: ours.hosts)) + "\n", try command("ansible-inventory", sources + ["--list"]),
        place)
      let all = try #require(ours.group(named: "all"))
      expectEqual(
        ours.graph(from: all).joined(separator: "\n") + "\n", try command("ansible-inventory", sources + ["--graph"]),
        place)
      guard let host = ours.hosts.first, let last = ours.hosts.last else { continue }
      expectEqual(
        AnsibleJSON.text(ours.listing(of: host)) + "\n",
        try command("ansible-inventory", sources + ["--host", host.id.description]), place)
      func listed(_ arguments: [String]) throws -> [String] {
        try command("ansible", sources + arguments + ["--list-hosts"]).split(separator: "\n")
          .filter { $0.hasPrefix("    ") }.map { String($0.dropFirst(4)) }
      }
      func expectSame(_ ours: [InventoryHost]?, _ theirs: [String], _ isOrderCertain: Bool) {
        let found = (ours ?? []).map(\.id.description)
        if isOrderCertain { #expect(found == theirs, place) }
        #expect(found.sorted() == theirs.sorted(), place)
      }
      // Where a level has several groups with groups below them, Ansible's order is that of memory addresses.
      let isCertain = Self.isOrderCertain(ours)
      let without = "all:!\(host.id)"
      expectSame(try? ours.hosts(matching: without), try listed(["all", "-l", without]), isCertain)
      let lastFirst = "\(last.id),all"
      expectSame(try? ours.hosts(named: lastFirst), try listed([lastFirst]), isCertain)
      let both = "\(last.id),\(host.id)"
      expectSame(try? ours.hosts(named: both), try listed([both]), true)
    }
  }

  @Test("Texts that are unsafe are told as such by --list, and are plain for --host")
  func unsafe() throws {
    let folder = try TemporaryFolder()
    try folder.write("home/x", "")
    let source = try folder.write(
      "hosts.yaml", "all: {hosts: {h1: {a: !unsafe '{{ x }}', b: [!unsafe y], c: {k: !unsafe z}}}}\n")
    let ours = try HostInventory.load(source)
    func theirs(_ arguments: [String]) throws -> String {
      let data = try AnsibleOracle.run(
        AnsibleOracle.directory + "/bin/ansible-inventory", ["-i", source] + arguments, in: folder.path + "/home")
      return String(decoding: data, as: UTF8.self)
    }
    #expect(AnsibleJSON.text(ours.listing(of: ours.hosts)) + "\n" == (try theirs(["--list"])))
    #expect(AnsibleJSON.text(ours.listing(of: ours.hosts[0])) + "\n" == (try theirs(["--host", "h1"])))
  }

  private static func isOrderCertain(_ inventory: HostInventory) -> Bool {
    var level = ["all"]
    var seen: Set<String> = ["all"]
    while !level.isEmpty {
      let parents = level.compactMap(inventory.group(named:)).filter { !$0.children.isEmpty }
      guard parents.count <= 1 else { return false }
      level = parents.flatMap(\.children).filter { seen.insert($0).inserted }
    }
    return true
  }

  /// The first line that differs says more than two long texts.
  private func expectEqual(_ ours: String, _ theirs: String, _ place: Comment) {
    guard ours != theirs else { return }
    let (a, b) = (ours.split(separator: "\n"), theirs.split(separator: "\n"))
    let index = zip(a, b).enumerated().first { $1.0 != $1.1 }?.offset ?? min(a.count, b.count)
    let (mine, its) = (index < a.count ? a[index] : "", index < b.count ? b[index] : "")
    let above = a[..<min(index, a.count)].suffix(3).joined(separator: "\n")
    Issue.record("\(place)\nafter:\n\(above)\nours:   \(mine)\ntheirs: \(its)")
  }
}
