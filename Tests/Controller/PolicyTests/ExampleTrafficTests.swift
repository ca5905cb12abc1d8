import Core
import Foundation
import Glibc
import Testing

@testable import Inventory
@testable import Policy

@Suite(
  "The repository's own policies, with real connections",
  .enabled(if: geteuid() == 0, "needs root, for network namespaces"))
struct ExampleTrafficTests {
  private let fleet: HostInventory
  private let compiler: PolicyCompiler
  private let controller = PerFamily(ipv4: "203.0.113.9", ipv6: "2001:db8:ff::9")
  private let stranger = PerFamily(ipv4: "198.18.0.7", ipv6: "2001:db8:dead::7")

  init() throws {
    fleet = try HostInventory.load(repository + "/inventory/example.yaml")
    compiler = try PolicyCompiler(PolicySet.load(directory: repository + "/policies"), inventory: fleet)
  }

  private func compiled(_ name: String) throws -> CompiledPolicy {
    let host = try #require(fleet.host(named: name))
    return try compiler.compile(for: host, controllers: ExamplePolicyTests.controllers)
  }

  @Test(
    "A database: controllers manage it, web servers ask it, others of ours are told, the world hears nothing; and it sends nothing away",
    arguments: ["nft", "legacy"])
  func database(backend: String) throws {
    let here = PerFamily(ipv4: "10.30.0.11", ipv6: "2001:db8:30::11")
    let web = PerFamily(ipv4: "10.20.0.1", ipv6: "2001:db8:20::1")
    let colleague = PerFamily(ipv4: "10.77.0.7", ipv6: "2001:db8:77::7")
    let mirror = PerFamily(ipv4: "198.51.100.80", ipv6: "2001:db8:80::80")
    let others = [controller, stranger, web, colleague, mirror]
    let scene = try RouterScene(host: [here.ipv4, here.ipv6], outside: others.map(\.ipv4) + others.map(\.ipv6))
    try scene.load(compiled("db-a"), backend: backend)
    for family in Family.allCases {
      func connect(_ source: PerFamily<String>, _ port: Int) throws -> String {
        try scene.connect(.outside, from: source[family], to: here[family], port)
      }
      #expect(try connect(controller, 22).hasPrefix(here[family]))
      #expect(try connect(stranger, 22) == "silence")
      #expect(try connect(web, 5432).hasPrefix(here[family]))
      #expect(try connect(colleague, 5432) == "refused")
      #expect(try connect(stranger, 5432) == "silence")
      let itself = family == .ipv4 ? "127.0.0.1" : "::1"
      #expect(try scene.connect(.host, to: itself, 80).hasPrefix(itself))
      #expect(try scene.connect(.host, to: mirror[family], 443).hasPrefix(mirror[family]))
      // In IPv6 a program hears of it only when it asks again, after a second.
      let away = try scene.connect(.host, to: stranger[family], 443, patience: 2.5)
      #expect(away.hasPrefix("failed"), "\(away)")
    }
  }

  @Test(
    "A gateway: the inside goes out, behind one address in IPv4; the outside reaches what is published and nothing else",
    arguments: ["nft", "legacy"])
  func gateway(backend: String) throws {
    let here = PerFamily(ipv4: "198.51.100.1", ipv6: "2001:db8:100::1")
    let server = PerFamily(ipv4: "10.20.0.80", ipv6: "2001:db8:20::80")
    let forged = PerFamily(ipv4: "10.66.0.1", ipv6: "2001:db8:66::1")
    let scene = try RouterScene(
      host: [here.ipv4, here.ipv6], outside: [stranger.ipv4, stranger.ipv6],
      inside: [server.ipv4, server.ipv6, forged.ipv4, forged.ipv6],
      insideNetworks: ["10.20.0.0/16", "2001:db8:20::/56", "10.66.0.0/16", "2001:db8:66::/48"])
    try scene.load(compiled("gw1"), backend: backend)
    let out = try scene.connect(.inside, from: server.ipv4, to: stranger.ipv4, 443)
    #expect(out == "\(stranger.ipv4) \(here.ipv4)")
    let out6 = try scene.connect(.inside, from: server.ipv6, to: stranger.ipv6, 443)
    #expect(out6 == "\(stranger.ipv6) \(server.ipv6)")
    #expect(try scene.connect(.outside, to: here.ipv4, 443) == "\(server.ipv4) \(stranger.ipv4)")
    #expect(try scene.connect(.outside, to: server.ipv6, 443) == "\(server.ipv6) \(stranger.ipv6)")
    #expect(try scene.connect(.outside, to: server.ipv6, 22) == "silence")
    #expect(try scene.connect(.outside, to: here.ipv4, 22) == "silence")
    // What was not translated is not let in by the published port.
    #expect(try scene.connect(.outside, to: server.ipv4, 443) == "silence")
    for family in Family.allCases {
      #expect(try scene.connect(.inside, from: forged[family], to: stranger[family], 443) == "silence")
    }
  }

  @Test("A balancer sends connections to its servers in turn, of each family to those of that family")
  func balancer() throws {
    let here = PerFamily(ipv4: "198.51.100.21", ipv6: "2001:db8:1::21")
    let servers = PerFamily(
      ipv4: ["10.20.0.1", "10.20.0.2", "10.20.0.3"], ipv6: ["2001:db8:20::1", "2001:db8:20::2"])
    let scene = try RouterScene(
      host: [here.ipv4, here.ipv6], outside: [stranger.ipv4, stranger.ipv6], inside: servers.ipv4 + servers.ipv6,
      insideNetworks: ["10.20.0.0/16", "2001:db8:20::/56"])
    try scene.load(compiled("lb1"), backend: "nft")
    for family in Family.allCases {
      var answers: [String: Int] = [:]
      for _ in 0..<servers[family].count * 2 {
        let answer = try scene.connect(.outside, to: here[family], 443)
        answers[answer.split(separator: " ").first.map(String.init) ?? "", default: 0] += 1
      }
      #expect(answers == Dictionary(uniqueKeysWithValues: servers[family].map { ($0, 2) }), "\(answers)")
    }
    let drawn = try scene.connect(.outside, to: here.ipv4, 80)
    #expect(servers.ipv4.contains(drawn.split(separator: " ").first.map(String.init) ?? ""), "\(drawn)")
    #expect(try scene.connect(.outside, to: here.ipv4, 5432) == "silence")
  }
}
