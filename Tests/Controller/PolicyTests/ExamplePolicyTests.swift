import Core
import Foundation
import Glibc
import Ruleset
import Testing

@testable import Inventory
@testable import Policy

@Suite("The repository's own policies")
struct ExamplePolicyTests {
  static let controllers = ["203.0.113.9", "2001:db8:ff::9"]
  private let policies: PolicySet
  private let fleet: HostInventory
  private let compiler: PolicyCompiler

  init() throws {
    policies = try PolicySet.load(directory: repository + "/policies")
    fleet = try HostInventory.load(repository + "/inventory/example.yaml")
    compiler = try PolicyCompiler(policies, inventory: fleet)
  }

  private func compiled(_ host: InventoryHost) throws -> CompiledPolicy {
    try compiler.compile(for: host, controllers: Self.controllers)
  }

  private func lines(_ policy: CompiledPolicy, _ family: Family) -> [String] {
    String(decoding: policy.rules[family], as: UTF8.self).split(separator: "\n").map(String.init)
  }

  /// One host for each mixture of policies.
  private func differentHosts() -> [InventoryHost] {
    var seen: Set<[String]> = []
    return fleet.hosts.filter { seen.insert(compiler.policies(of: $0)).inserted }
  }

  @Test("There is one for each common job, every one applies to hosts of the example fleet, and no host has none")
  func jobs() {
    let jobs: Set = [
      "base", "web", "database", "gateway", "bastion", "load-balancer", "mail", "dns", "office-hours", "docker-host",
      "egress-restricted", "legacy-app",
    ]
    #expect(Set(policies.names) == jobs)
    let used = fleet.hosts.map { compiler.policies(of: $0) }
    for name in policies.names { #expect(used.contains { $0.contains(name) }, "\(name) applies to no host") }
    #expect(compiler.uncovered(in: fleet).isEmpty)
    #expect(policies.policies.allSatisfy { $0.description != nil })
    #expect(used.allSatisfy { $0.first == "base" })
  }

  @Test(
    "As composed on every host, both backends load them in both families and print them back word for word",
    .enabled(if: geteuid() == 0, "needs root, for network namespaces"), arguments: ["nft", "legacy"])
  func kernel(backend: String) throws {
    for host in differentHosts() { try expectSameInKernel(compiled(host), backend, host.id.description) }
  }
}
