import Core
import Glibc
import Testing

@testable import Policy

@Suite(
  "Lockdown profiles, with real datagrams", .enabled(if: geteuid() == 0, "needs root, for network namespaces"))
struct LockdownDatagramTests {
  private static let here = PerFamily(ipv4: "192.0.2.1", ipv6: "2001:db8::1")
  private static let client = PerFamily(ipv4: "203.0.113.20", ipv6: "2001:db8:ff::20")
  private static let resolver = PerFamily(ipv4: "192.0.2.53", ipv6: "2001:db8::53")
  private static let log = PerFamily(ipv4: "192.0.2.54", ipv6: "2001:db8::54")

  private static let isolate = Lockdown.profile("defaults: {input: drop, forward: drop, output: drop}")

  private func scene(_ profile: String, named name: String = "p", _ backend: String = "nft") throws -> RouterScene {
    let outside = [Self.client, Self.resolver, Self.log].flatMap { [$0.ipv4, $0.ipv6] }
    let scene = try RouterScene(host: [Self.here.ipv4, Self.here.ipv6], outside: outside)
    try scene.lock(try Lockdown.compiled([name: profile], for: "all: {hosts: {h: }}")[0], backend: backend)
    return scene
  }

  @Test("Leases are renewed under isolate, and nothing else comes that way", arguments: ["nft", "legacy"])
  func leases(backend: String) throws {
    let scene = try scene(Self.isolate, backend)
    let (here, server) = (Self.here.ipv4, Self.resolver.ipv4)
    #expect(try scene.datagram(.host, here, 68, to: .outside, server, 67) == .answered)
    #expect(try scene.datagram(.outside, server, 67, to: .host, here, 68) == .answered)
    #expect(try scene.datagram(.host, here, 69, to: .outside, server, 67) == .nothing)
    #expect(try scene.datagram(.outside, server, 66, to: .host, here, 68) == .nothing)
    #expect(try scene.datagram(.outside, server, 67, to: .host, here, 69) == .nothing)
    let (link, router) = (try scene.linkLocal(.host), try scene.linkLocal(.outside))
    #expect(try scene.datagram(.host, link, 546, to: .outside, router, 547) == .answered)
    #expect(try scene.datagram(.outside, router, 547, to: .host, link, 546) == .answered)
    #expect(try scene.datagram(.host, link, 545, to: .outside, router, 547) == .nothing)
    #expect(try scene.datagram(.outside, router, 548, to: .host, link, 546) == .nothing)
    // A server is on the link.
    #expect(
      try scene.datagram(.outside, Self.resolver.ipv6, 547, to: .host, Self.here.ipv6, 546) == .nothing)
  }

  @Test("Who asks for multicast is heard on the link, both ways", arguments: ["nft", "legacy"])
  func groups(backend: String) throws {
    let scene = try scene(Self.isolate, backend)
    let (here, router) = (Self.here.ipv4, Self.resolver.ipv4)
    #expect(try scene.membership(.outside, router, to: .host, here, hops: 1) == .arrived)
    #expect(try scene.membership(.host, here, to: .outside, router, hops: 1) == .arrived)
    #expect(try scene.membership(.outside, router, to: .host, here, hops: 2) == .nothing)
    #expect(try scene.membership(.host, here, to: .outside, router, hops: 2) == .nothing)
  }

  @Test("no-egress asks its resolvers and tells its log hosts, at their ports alone", arguments: Family.allCases)
  func noEgress(family: Family) throws {
    let scene = try scene(try Lockdown.example("no-egress"), named: "no-egress")
    let here = Self.here[family]
    func ask(_ place: PerFamily<String>, _ port: Int) throws -> RouterScene.Heard {
      try scene.datagram(.host, here, 40_000 + port, to: .outside, place[family], port)
    }
    #expect(try ask(Self.resolver, 53) == .answered)
    #expect(try ask(Self.log, 514) == .answered)
    for (place, port) in [(Self.resolver, 514), (Self.log, 53), (Self.resolver, 5353), (Self.client, 53)] {
      #expect(try ask(place, port) == .nothing, "\(place[family]) \(port)")
    }
  }

  @Test("UDP that is kept needs no connection tracking", arguments: [false, true], Family.allCases)
  func untracked(isTracked: Bool, family: Family) throws {
    let client = "[203.0.113.20, \"2001:db8:ff::20\"]"
    let scene = try scene(
      Self.isolate
        + "keep: {input: [{udp: 7000, from: \(client)}, {udp: 7001}], output: [{udp: 123, to: \(client)}]}\n")
    if !isTracked {
      for program in ["iptables", "ip6tables"] {
        try scene.shell(
          .host, "for c in PREROUTING OUTPUT; do \(program)-nft -t raw -A $c -p udp -j CT --notrack; done")
      }
    }
    let (here, named, other) = (Self.here[family], Self.client[family], Self.log[family])
    #expect(try scene.datagram(.outside, named, 40_000, to: .host, here, 7000) == .answered)
    #expect(try scene.datagram(.outside, other, 40_000, to: .host, here, 7000) == .nothing)
    #expect(try scene.datagram(.outside, other, 40_000, to: .host, here, 7001) == .answered)
    #expect(try scene.datagram(.host, here, 40_000, to: .outside, named, 123) == .answered)
    #expect(try scene.datagram(.host, here, 40_000, to: .outside, other, 123) == .nothing)
  }
}
