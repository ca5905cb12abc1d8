import Core
import Testing
import Wire

@testable import Audit

struct HeardChangeTests {
  private static func digests(_ name: String) -> PerFamily<Digest> {
    PerFamily { _ in Digest(of: name.utf8) }
  }

  private func change(
    _ sequence: UInt64, _ holds: String, by names: String..., cause: HostChange.Cause = .others, boot: String = "boot"
  ) -> HostChange {
    HostChange(
      sequence: sequence, time: start + Int64(sequence), bootID: boot, cause: cause,
      families: PerFamily { _ in
        HostChange.Side(observed: Digest(of: holds.utf8), differs: holds != "committed")
      }, chains: [HostChange.Chain(family: .ipv4, table: "filter", chain: "INPUT", change: .changed)],
      actors: names.map { HostChange.Actor(name: $0, process: 4711) })
  }

  private func heard(
    _ entries: [HostChange], after: UInt64 = 0, omitted: Int = 0, ahead: Int64 = 0, host: HostID = web1
  ) -> HeardChanges {
    HeardChanges(
      host: host, at: start + 60, ahead: ahead, after: after,
      changes: Changes(entries: entries, omitted: omitted, last: entries.last?.sequence ?? after))
  }

  private func trail(_ entries: [HostChange], before: String? = "committed") -> DriftTrail {
    let span = DriftSpan(
      notBefore: start, firstSeen: start + 60, lastSeen: start + 60, observed: Self.digests("now"),
      before: before.map { Self.digests($0) })
    return DriftTrail(heard(entries).events.map(\.event), in: span)
  }

  @Test func `what others changed is told with who it was, and what the agent did itself by its reports only`() {
    let events = heard([
      change(1, "committed", cause: .ours(Serial(7))), change(2, "now", by: "iptables", "x\u{1b}[2J"),
      change(3, "committed", by: "iptables"),
    ]).events.map(\.event)
    #expect(
      events.map(\.words) == [
        "changed: ipv4 filter/INPUT, by iptables (process 4711), x\\u{1b}[2J (process 4711)",
        "changed back: ipv4 filter/INPUT, by iptables (process 4711)",
      ])
    #expect(events.allSatisfy { $0.cause == .external && $0.at == start + 60 && $0.kind == .changed })
  }

  @Test(
    arguments: [
      (0, nil), (5, nil), (-5, nil), (6, " (6 s ahead of ours)"), (-400, " (6 min behind ours)"),
      (10_800, " (3 h ahead of ours)"), (.min, " (106751991167300 d behind ours)"),
    ] as [(Int64, String?)])
  func `a clock that is off by more than a few seconds is told so, and the order stays ours`(
    ahead: Int64, words: String?
  ) throws {
    // The least of all numbers has no opposite.
    let event = try #require(heard([change(1, "now")], ahead: ahead == .min ? .min + 1 : ahead).events.first?.event)
    #expect(event.words.hasSuffix(words.map { ", at 2026-11-21T00:00:01Z by its clock" + $0 } ?? "filter/INPUT"))
    #expect(event.at == start + 60)
  }

  @Test func `what was learnt late says when it was, by a clock that goes right`() throws {
    var event = try #require(heard([change(1, "now")]).events.first?.event)
    event.at = start + 3600
    #expect(event.words.hasSuffix(", at 2026-11-21T00:00:01Z"))
  }

  @Test func `what stands beside the rules is told by its side, and not as a chain of rules`() throws {
    var event = try #require(heard([change(1, "now")]).events.first?.event)
    event.details.chains = [
      "ipv4 disk/bundle/manifest", "ipv4 others/inet/guard", "ipv4 sysctl/net.ipv4.ip_forward", "ipv6 filter/INPUT",
      "…",
    ]
    #expect(
      event.words == "changed: on disk, bundle/manifest, beside ours, inet/guard, net.ipv4.ip_forward, "
        + "ipv6 filter/INPUT, …")
  }

  @Test func `the same change has the same origin however often it is told, and no other has`() {
    let one = heard([change(1, "now")]).events.map(\.origin)
    #expect(heard([change(1, "now")], ahead: 99).events.map(\.origin) == one)
    #expect(heard([change(2, "now")]).events.map(\.origin) != one)
    #expect(heard([change(1, "now", boot: "another")]).events.map(\.origin) != one)
  }

  @Test func `changes that were forgotten are counted, but not those before anybody asked`() {
    #expect(heard([], omitted: 9).events.isEmpty)
    let event = heard([], after: 3, omitted: 9).events.first?.event
    #expect(
      event?.kind == .changesLost
        && event?.words == "9 changes are not known: its agent does not remember them any more")
  }

  @Test func `who is asked: hosts that differ from what they committed, or from what they said before`() {
    let known = KnownChanges(last: 4, observed: makeReport().families.map { $1.observed })
    #expect(!known.giveCause(makeReport()))
    #expect(known.giveCause(makeReport(observed: PerFamily(ipv4: "x", ipv6: "b"))))
    #expect(KnownChanges(last: 4, observed: Self.digests("x")).giveCause(makeReport()))
    #expect(!KnownChanges(last: 4, observed: Self.digests("x")).giveCause(makeReport(committed: nil)))
  }

  @Test func `what a host holds was brought about by the changes since it held what it committed`() {
    let trail = trail([
      change(1, "old", by: "ufw"), change(2, "committed", by: "ufw"), change(3, "half", by: "nft"),
      change(4, "now", by: "iptables"),
    ])
    #expect(trail.changes.map(\.details.change) == [3, 4])
    #expect(trail.actors == ["iptables", "nft"])
  }

  @Test func `those who changed it before it last said something else are not among the present ones`() {
    let trail = trail([change(3, "half", by: "nft"), change(4, "now", by: "iptables")], before: "half")
    #expect(trail.changes.count == 2 && trail.actors == ["iptables"])
  }

  @Test func `a gap in the numbers is the agent's own doing, and ends the story`() {
    let trail = trail([
      change(1, "old", by: "ufw"), change(2, "committed", cause: .ours(Serial(8))), change(3, "now", by: "iptables"),
    ])
    #expect(trail.changes.map(\.details.change) == [3] && trail.actors == ["iptables"])
  }

  @Test func `of a state that no change led to nothing is said`() {
    #expect(trail([change(1, "old", by: "ufw")]) == .empty)
    #expect(trail([]) == .empty)
  }

  @Test func `the same change of many hosts is one line, and a busy writer's many changes are counted`() {
    let events =
      (0..<20).map { heard([change(UInt64($0 + 1), "now", by: "iptables")]).events[0].event }
      + heard([change(1, "now", by: "iptables")], ahead: 700, host: HostID("web2")!).events.map(\.event)
    let groups = EventGroup.fold(events)
    #expect(groups.map(\.words) == ["changed: ipv4 filter/INPUT, by iptables, 21 times"])
    #expect(groups.first?.hosts.count == 2)
  }
}
