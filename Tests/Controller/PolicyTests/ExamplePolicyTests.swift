import Core
import Foundation
import Glibc
import Ruleset
import Testing

@testable import Inventory
@testable import Policy

@Suite("The repository's own policies")
struct ExamplePolicyTests {
  private let policies: PolicySet
  private let fleet: HostInventory

  init() throws {
    policies = try PolicySet.load(directory: repository + "/policies")
    fleet = try HostInventory.load(repository + "/inventory/example.yaml")
  }

  private func host(of policy: HostPolicy) throws -> InventoryHost {
    try #require(fleet.hosts.first { (try? policies.policy(for: $0).name) == policy.name })
  }

  @Test("They fit the example fleet: every host has exactly one policy")
  func fit() throws {
    try policies.check(against: fleet)
    #expect(policies.uncovered(in: fleet).isEmpty)
    #expect(
      policies.policies.map { "\($0.name) \($0.appliesTo)" } == [
        "base all", "database db", "nat-gateway gateways", "web web",
      ])
    #expect(try policies.policy(for: fleet.host(named: "bastion1")!).name == "base")
    #expect(try policies.policy(for: fleet.host(named: "db-a")!).name == "database")
    #expect(try policies.policy(for: fleet.host(named: "gw1")!).name == "nat-gateway")
    #expect(try policies.policy(for: fleet.host(named: "web05.dc1.example.net")!).name == "web")
  }

  @Test("Both halves are complete: what IPv6 needs is accepted, the controllers get in, the rest is dropped")
  func complete() throws {
    for policy in policies.policies {
      let host = try host(of: policy)
      let rules = try policies.compile(for: host, controllers: PolicySet.placeholderControllers).rules
      for family in Family.allCases {
        let text = String(decoding: rules[family], as: UTF8.self)
        let source = family == .ipv4 ? "192.0.2.1/32" : "2001:db8::1/128"
        #expect(text.contains("-A INPUT -s \(source) -p tcp -m multiport --dports 22,2222 "))
        #expect(text.contains(":INPUT DROP [0:0]") && text.contains(":FORWARD DROP [0:0]"))
        #expect(text.contains("-j LOG "))
      }
      let ipv6 = String(decoding: rules.ipv6, as: UTF8.self)
      for type in [1, 2, 3, 4, 128, 129, 130, 131, 132, 133, 134, 135, 136, 143] {
        #expect(ipv6.contains("-A INPUT ") && ipv6.contains("--icmpv6-type \(type) "), "\(policy.name): type \(type)")
      }
    }
  }

  @Test(
    "They load on both backends, and every rule is there afterwards",
    .enabled(if: geteuid() == 0, "needs root, for network namespaces"), arguments: ["nft", "legacy"])
  func load(backend: String) throws {
    for example in policies.policies {
      let policy = try policies.compile(for: host(of: example), controllers: PolicySet.placeholderControllers)
      for family in Family.allCases {
        let namespace = try ScratchNamespace()
        let program = "/usr/sbin/\(family == .ipv4 ? "iptables" : "ip6tables")-\(backend)"
        let restore = try namespace.run(inside: program + "-restore", input: policy.rules[family])
        #expect(restore.status == 0, "\(policy.policy) \(family) \(backend): \(restore.errors)")
        let save = try namespace.run(inside: program + "-save")
        let loaded = try Ruleset.parse(save: Array(save.output.utf8), file: "save")
        let wanted = try Ruleset.parse(policy: policy.rules[family], file: "bundle", family: family)
        #expect(loaded.ruleCount == wanted.ruleCount, "\(policy.policy) \(family) \(backend)")
        // They are written the way iptables-save prints them, so that drift is read without translation.
        let difference = RulesetDiff.unified(from: wanted, to: loaded, context: 0)
        #expect(loaded.digest == wanted.digest, "\(policy.policy) \(family) \(backend): \(difference.lines)")
      }
    }
  }
}
