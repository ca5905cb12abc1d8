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

  @Test("Controllers reach the port of every host's own sshd, the host reaches itself, and answers come back")
  func managed() throws {
    for host in fleet.hosts {
      let policy = try compiled(host)
      for family in Family.allCases {
        let rules = lines(policy, family)
        let controller = family == .ipv4 ? "203.0.113.9/32" : "2001:db8:ff::9/128"
        let door = "-A INPUT -s \(controller) -p tcp -m tcp --dport \(host.port ?? 22) -j ACCEPT"
        let index = rules.firstIndex(of: door)
        #expect(index != nil, "\(host.id) \(family)")
        // Nothing before it takes packets whatever they are.
        let takesAll = rules.firstIndex { $0.hasPrefix("-A INPUT -j ") }
        #expect(index ?? 0 < takesAll ?? .max, "\(host.id) \(family)")
        #expect(rules.contains("-A INPUT -i lo -j ACCEPT"), "\(host.id) \(family)")
        #expect(rules.contains(":INPUT DROP [0:0]") && rules.contains(":FORWARD DROP [0:0]"), "\(host.id) \(family)")
        for chain in ["INPUT", "FORWARD", "OUTPUT"] where rules.contains(":\(chain) DROP [0:0]") {
          let answers = "-A \(chain) -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
          #expect(rules.contains(answers) || !rules.contains { $0.hasPrefix("-A \(chain) ") }, "\(host.id) \(family)")
        }
      }
    }
  }

  @Test("What IPv6 cannot live without passes in, and where output is closed also out")
  func neighbours() throws {
    var closed = 0
    for host in fleet.hosts {
      let rules = lines(try compiled(host), .ipv6)
      let isClosed = rules.contains(":OUTPUT DROP [0:0]")
      closed += isClosed ? 1 : 0
      for type in [133, 134, 135, 136, 1, 2, 3, 4, 128, 129] {
        for chain in ["INPUT"] + (isClosed ? ["OUTPUT"] : []) {
          #expect(
            rules.contains {
              $0.hasPrefix("-A \(chain) -p ipv6-icmp -m icmp6 --icmpv6-type \(type) ") && $0.hasSuffix(" ACCEPT")
            },
            "\(host.id) \(chain) \(type)")
        }
      }
      if isClosed {
        #expect(rules.contains("-A OUTPUT -o lo -j ACCEPT"))
        #expect(rules.contains { $0.hasPrefix("-A OUTPUT ") && $0.contains("--sport 546 --dport 547") })
      }
    }
    #expect(closed == 3)
  }

  @Test("Every log is limited, and what is logged is what the default then drops")
  func logs() throws {
    for host in fleet.hosts {
      let policy = try compiled(host)
      for family in Family.allCases {
        let rules = lines(policy, family)
        let logs = rules.filter { $0.contains(" -j LOG") }
        #expect(!logs.isEmpty && logs.allSatisfy { $0.contains("-m limit --limit ") }, "\(host.id)")
        let input = rules.filter { $0.hasPrefix("-A INPUT ") }
        #expect(input.last?.contains(" -j LOG") == true, "\(host.id)")
      }
    }
  }
}
