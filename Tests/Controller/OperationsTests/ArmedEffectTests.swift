import Core
import Lint
import Ruleset
import Testing

@testable import Operations

struct ArmedEffectTests {
  static let ssh = ListeningService(.tcp, 22)
  static let web = ListeningService(.tcp, 443)
  static let storage = ListeningService(.tcp, 3260)
  static let dns = ListeningService(.udp, 53)

  private static func view(_ rules: String, table: String, _ family: Family) throws -> RulesetView {
    let text = "*\(table)\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\(rules)COMMIT\n"
    return RulesetView(try Ruleset.parse(save: Array(text.utf8), file: "rules"), family)
  }

  /// As compiled of a profile that shuts all but management and what a network asks of storage.
  private static let layer = """
    -A INPUT -i lo -j RETURN
    -A INPUT -s 192.0.2.10/32 -p tcp -m tcp --dport 22 -j RETURN
    -A INPUT -s 10.4.0.0/24 -p tcp -m tcp --dport 3260 -j RETURN
    -A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP
    -A INPUT -j DROP

    """

  private static func effect(
    layer: String = layer, release: String?, services: Set<ListeningService>, ipv6: Set<ListeningService> = []
  ) throws -> ArmedEffect {
    ArmedEffect(
      try PerFamily { family in
        ArmedEffect.Side(
          layer: try view(family == .ipv4 ? layer : "-A INPUT -j DROP\n", table: "mangle", family),
          release: try release.map { try view(family == .ipv4 ? $0 : "", table: "filter", family) },
          sources: [AddressPrefix("192.0.2.10")!], services: family == .ipv4 ? services : ipv6)
      })
  }

  private static func words(_ rows: [ArmedEffect.Row]) -> [String] {
    rows.map { "\($0.service): \($0.whom.joined(separator: ", "))" }
  }

  private static let release = """
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -A INPUT -s 192.0.2.0/24 -p tcp -m tcp --dport 22 -j ACCEPT
    -A INPUT -p tcp -m tcp --dport 443 -j ACCEPT
    -A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 3260 -j ACCEPT
    -A INPUT -j DROP

    """

  @Test func `who was let in before is told apart from who still is`() throws {
    let effect = try Self.effect(release: Self.release, services: [Self.ssh, Self.web, Self.storage, Self.dns])
    #expect(Self.words(effect.stops) == ["tcp 22: 192.0.2.0/24", "tcp 443: everybody", "tcp 3260: 10.0.0.0/8"])
    #expect(Self.words(effect.goesOn) == ["tcp 22: 192.0.2.10", "tcp 3260: 10.4.0.0/24"])
    #expect(effect.inVain.isEmpty, "what the release drops from everybody is no change")
  }

  @Test func `what a profile keeps and the release drops is told`() throws {
    let effect = try Self.effect(
      release: "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -j DROP\n", services: [Self.ssh, Self.storage])
    #expect(Self.words(effect.inVain) == ["tcp 3260: 10.4.0.0/24"])
    #expect(Self.words(effect.stops) == ["tcp 22: everybody"])
    #expect(Self.words(effect.goesOn) == ["tcp 22: 192.0.2.10"])
  }

  @Test func `where nobody knows what lies beneath, all of it may be open`() throws {
    let effect = try Self.effect(release: nil, services: [Self.web])
    #expect(Self.words(effect.stops) == ["tcp 443: everybody"])
  }

  /// `--ctdir REPLY` is no first packet's.
  @Test func `a profile that only shuts what goes out leaves services alone`() throws {
    let effect = try Self.effect(
      layer: "-A INPUT -m conntrack --ctdir REPLY -j DROP\n", release: Self.release, services: [Self.web, Self.storage])
    #expect(effect.stops.isEmpty)
    #expect(Self.words(effect.goesOn) == ["tcp 443: everybody", "tcp 3260: 10.0.0.0/8"])
  }

  @Test func `families that differ are named`() throws {
    let effect = try Self.effect(
      layer: "", release: "-A INPUT -s 10.0.0.0/8 -j ACCEPT\n-A INPUT -j DROP\n", services: [Self.dns],
      ipv6: [Self.dns])
    #expect(Self.words(effect.stops) == ["udp 53: everybody over IPv6"])
    #expect(Self.words(effect.goesOn) == ["udp 53: 10.0.0.0/8"])
  }

  @Test func `hosts and services with the same are one line`() throws {
    let (a, b) = (HostID("a")!, HostID("b")!)
    let both = try Self.effect(release: nil, services: [Self.web, Self.dns])
    let effect = FleetEffect([a: both, b: try Self.effect(release: nil, services: [Self.web])], unknown: [])
    #expect(effect.stops.map(\.services) == [[Self.web], [Self.dns]])
    #expect(effect.stops.map(\.hosts) == [[a, b], [a]])
    #expect(FleetEffect([a: both, b: both], unknown: []).stops.map(\.services) == [[Self.web, Self.dns]])
  }
}
