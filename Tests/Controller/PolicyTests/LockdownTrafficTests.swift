import Core
import Glibc
import Testing

@testable import Policy

@Suite("Lockdown profiles, with real connections", .enabled(if: geteuid() == 0, "needs root, for network namespaces"))
struct LockdownTrafficTests {
  private static let here = PerFamily(ipv4: "192.0.2.1", ipv6: "2001:db8::1")
  private static let manager = PerFamily(ipv4: "203.0.113.1", ipv6: "2001:db8:ff::1")
  private static let client = PerFamily(ipv4: "203.0.113.20", ipv6: "2001:db8:ff::20")
  private static let other = PerFamily(ipv4: "203.0.113.21", ipv6: "2001:db8:ff::21")
  private static let inner = PerFamily(ipv4: "10.8.0.5", ipv6: "2001:db8:8::5")

  private func scene(
    _ profile: String, _ backend: String, hosts: String = "all: {hosts: {h: }}"
  ) throws -> RouterScene {
    let outside = [Self.manager, Self.client, Self.other].flatMap { [$0.ipv4, $0.ipv6] }
    let scene = try RouterScene(
      host: [Self.here.ipv4, Self.here.ipv6], outside: outside, inside: [Self.inner.ipv4, Self.inner.ipv6],
      insideNetworks: ["10.8.0.0/24", "2001:db8:8::/64"])
    try scene.lock(try Lockdown.compiled(["p": profile], for: hosts)[0], backend: backend)
    return scene
  }

  /// Who gets in at 80 and 443, and what the host gets from 80 of a client.
  private func expect(
    _ scene: RouterScene, web: String, https: [String], out: Bool,
    sourceLocation: Testing.SourceLocation = #_sourceLocation
  ) throws {
    for family in Family.allCases {
      let (here, client) = (Self.here[family], Self.client[family])
      func says(_ heard: String, _ wanted: String) {
        // Who serves says both addresses.
        let word = heard.hasPrefix(here) || heard.hasPrefix(client) ? "served" : heard
        #expect(word == wanted, "\(family)", sourceLocation: sourceLocation)
      }
      says(try scene.connect(.outside, from: Self.manager[family], to: here, 22), "served")
      says(try scene.connect(.outside, from: Self.manager[family], to: here, 80), web)
      says(try scene.connect(.outside, from: client, to: here, 80), web)
      says(try scene.connect(.outside, from: client, to: here, 443), https[0])
      says(try scene.connect(.outside, from: Self.other[family], to: here, 443), https[1])
      says(
        try scene.connect(.host, to: client, 80), out ? "served" : "silence")
      says(try scene.connect(.outside, from: client, to: Self.inner[family], 80), "silence")
      says(try scene.connect(.inside, to: client, 80), "silence")
    }
  }

  private static let all = "defaults: {input: drop, forward: drop, output: drop}"

  @Test("isolate: nobody but management, and only its SSH", arguments: ["nft", "legacy"])
  func isolate(backend: String) throws {
    let scene = try scene(Lockdown.profile(Self.all), backend)
    try expect(scene, web: "silence", https: ["silence", "silence"], out: false)
    #expect(try scene.echoes(2, from: Self.manager.ipv4, to: Self.here.ipv4) == 2)
    #expect(try scene.echoes(2, from: Self.client.ipv4, to: Self.here.ipv4) == 0)
  }

  @Test("no-ingress with an item: whom it names, and what the host begins", arguments: ["nft", "legacy"])
  func noIngress(backend: String) throws {
    let named = "input: [{accept: {tcp: 443, from: [203.0.113.20, \"2001:db8:ff::20\"]}}]"
    let scene = try scene(Lockdown.profile("defaults: {input: drop, forward: drop}\n\(named)"), backend)
    try expect(scene, web: "silence", https: ["served", "silence"], out: true)
  }

  @Test("no-egress: the host serves, and begins nothing", arguments: ["nft", "legacy"])
  func noEgress(backend: String) throws {
    let scene = try scene(Lockdown.profile("defaults: {forward: drop, output: drop}"), backend)
    try expect(scene, web: "served", https: ["served", "served"], out: false)
  }

  @Test("What is kept passes though everything is dropped, from whom it names alone", arguments: ["nft", "legacy"])
  func kept(backend: String) throws {
    let keep =
      "keep: {input: [{tcp: 443, from: [203.0.113.20, \"2001:db8:ff::20\"]}], output: [{tcp: 80, to: [203.0.113.20, \"2001:db8:ff::20\"]}]}"
    let scene = try scene(Lockdown.profile("\(Self.all)\n\(keep)"), backend)
    try expect(scene, web: "silence", https: ["served", "silence"], out: true)
  }

  @Test("isolate on a jump host: SSH of those behind it, and nothing more", arguments: ["nft", "legacy"])
  func jumpedThrough(backend: String) throws {
    let hosts = """
      all:
        hosts:
          bastion: {ansible_host: 192.0.2.1}
          inner: {ansible_host: 10.8.0.5, portcullis_addresses: ["2001:db8:8::5"], portcullis_jump: bastion}

      """
    let scene = try scene(Lockdown.profile(Self.all), backend, hosts: hosts)
    for family in Family.allCases {
      let inner = Self.inner[family]
      #expect(try scene.connect(.outside, from: Self.manager[family], to: Self.here[family], 22) != "silence")
      #expect(try scene.connect(.host, to: inner, 22).hasPrefix(inner))
      #expect(try scene.connect(.host, to: inner, 80) == "silence")
      #expect(try scene.connect(.host, to: Self.client[family], 22) == "silence")
      #expect(try scene.connect(.inside, to: Self.here[family], 22) == "silence")
      #expect(try scene.connect(.outside, from: Self.manager[family], to: inner, 22) == "silence")
    }
  }

  @Test("no-egress: containers begin nothing, whatever their destination becomes", arguments: ["nft", "legacy"])
  func translated(backend: String) throws {
    let shut = "defaults: {forward: drop, output: drop}"
    let published = "forward: [{accept: {tcp: 80, in: eth0}}]"
    for (items, isPublished) in [(shut, false), ("\(shut)\n\(published)", true)] {
      let scene = try scene(Lockdown.profile(items), backend)
      for family in Family.allCases {
        let (program, proxy) = family == .ipv4 ? ("iptables", "198.18.0.1") : ("ip6tables", "2001:db8:18::1")
        func to(_ address: String) -> String { family == .ipv4 ? "\(address):80" : "[\(address)]:80" }
        let (here, inner, client) = (Self.here[family], Self.inner[family], Self.client[family])
        try scene.shell(
          .host,
          "\(program)-\(backend) -t nat -A PREROUTING -d \(here) -p tcp --dport 8080 -j DNAT --to-destination \(to(inner)); "
            + "\(program)-\(backend) -t nat -A PREROUTING -d \(proxy) -p tcp --dport 80 -j DNAT --to-destination \(to(client))"
        )
        #expect(try scene.connect(.inside, to: proxy, 80) == "silence", "\(family)")
        let heard = try scene.connect(.outside, from: client, to: here, 8080)
        #expect(isPublished ? heard.hasPrefix(inner) : heard == "silence", "\(family): \(heard)")
      }
    }
  }
}
