import Core
import Foundation
import Glibc
import Testing

@testable import Inventory
@testable import Policy

@Suite("What policies do to connections", .enabled(if: geteuid() == 0, "needs root, for network namespaces"))
struct StrictTrafficTests {
  /// A day that is neither today nor next to it.
  private static var farDay: String {
    let days = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"]
    return days[(Int(Date().timeIntervalSince1970) / 86_400 + 3) % 7]
  }

  private func policy(_ text: String) throws -> CompiledPolicy {
    let folder = try PolicyFolder()
    try folder.write(
      "p.yaml",
      "policy: p\napplies_to: all\nschedule: {far: {days: \(Self.farDay)}}\ndefaults: {input: drop, forward: drop}\n\(text)\n"
    )
    return try folder.compiled(controllers: ["203.0.113.9", "2001:db8:ff::9"])
  }

  @Test(
    "Beside an item whose window is closed, strictly so, everything else that lets somebody in keeps what it let in",
    arguments: ["nft", "legacy"])
  func strict(backend: String) throws {
    let here = PerFamily(ipv4: "192.0.2.1", ipv6: "2001:db8::1")
    let peer = PerFamily(ipv4: "203.0.113.9", ipv6: "2001:db8:ff::9")
    let inner = PerFamily(ipv4: "10.8.0.5", ipv6: "2001:db8:8::5")
    let scene = try RouterScene(
      host: [here.ipv4, here.ipv6], outside: [peer.ipv4, peer.ipv6], inside: [inner.ipv4, inner.ipv6],
      insideNetworks: ["10.8.0.0/24", "2001:db8:8::/64"])
    func load(_ text: String) throws { try scene.load(policy(text), backend: backend) }
    func connect(_ family: Family, _ port: Int) throws -> String {
      try scene.connect(.outside, from: peer[family], to: here[family], port)
    }
    let closed = "{accept: {from: [203.0.113.0/24, \"2001:db8:ff::/48\"], when: far, strict: true}}"
    let neighbours = "{accept: icmp-essential}"

    try load("input: [\(neighbours), \(closed)]")
    for family in Family.allCases { #expect(try connect(family, 22) == "silence") }

    let ssh = "-A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT"
    try load("input: [\(neighbours), \(closed), {raw: \"\(ssh)\"}]")
    for family in Family.allCases { #expect(try connect(family, 22).hasPrefix(here[family])) }

    let text = "    *filter\n    -A INPUT -s controllers -p tcp -m tcp --dport 22 -j ACCEPT\n    COMMIT\n"
    try load("input: [\(neighbours), \(closed)]\nraw:\n  ipv4: |\n\(text)  ipv6: |\n\(text)")
    for family in Family.allCases { #expect(try connect(family, 22).hasPrefix(here[family])) }

    try load(
      """
      input: [\(neighbours)]
      forward: [\(closed)]
      nat:
        - forward-port: {in: eth0, tcp: 8080, to: "10.8.0.5:80"}
        - forward-port: {in: eth0, tcp: 8080, to: "[2001:db8:8::5]:80"}
        - balance: {in: eth0, tcp: 8443, to: ["10.8.0.5:443", "10.8.0.5:80"]}
      """)
    for family in Family.allCases { #expect(try connect(family, 8080).hasPrefix(inner[family])) }
    for _ in 0..<2 { #expect(try connect(.ipv4, 8443).hasPrefix(inner.ipv4)) }

    for (word, answers) in [("", 0), (", {accept: icmp-essential}", 3)] {
      try load("input: [\(closed)\(word)]")
      #expect(try scene.echoes(3, from: peer.ipv4, to: here.ipv4) == answers)
    }
  }

  @Test("What the host itself sends to many is told from the rest", arguments: ["nft", "legacy"])
  func toMany(backend: String) throws {
    let scene = try RouterScene(
      host: ["192.0.2.1", "2001:db8::1", "192.0.2.2/24"], outside: ["192.0.2.9", "2001:db8::9"])
    try scene.load(
      policy("output: [{drop: broadcast}, {drop: multicast}]"), backend: backend)
    for address in ["192.0.2.255", "255.255.255.255", "224.0.0.251", "ff02::fb%eth0"] {
      #expect(try scene.send(to: address) == "Operation not permitted", "\(address)")
    }
    for address in ["192.0.2.9", "2001:db8::9"] { #expect(try scene.send(to: address) == "sent") }
  }
}
