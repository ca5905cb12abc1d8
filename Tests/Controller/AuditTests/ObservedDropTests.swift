import Audit
import Core
import Testing
import Wire

@Suite struct ObservedDropTests {
  private static func entry(
    _ source: String, _ port: String, _ packets: UInt64, _ family: Family = .ipv4
  ) -> Observations.Entry {
    Observations.Entry(family: family, source: source, proto: "tcp", port: port, packets: packets, bytes: packets * 10)
  }

  @Test func `hosts and neighbours fold, by port`() {
    let (a, b) = (HostID("web1")!, HostID("web2")!)
    let folded = ObservedDrop.fold([
      (
        a,
        Observations(observing: [.ipv4], entries: [Self.entry("192.0.2.1", "22", 5), Self.entry("192.0.2.1", "23", 1)])
      ),
      (
        b,
        Observations(
          observing: [.ipv4], entries: [Self.entry("192.0.2.9", "22", 2), Self.entry("2001:db8::5", "22", 4, .ipv6)])
      ),
    ])
    #expect(folded.map(\.source) == ["192.0.2.0/24", "2001:db8::5", "192.0.2.1"])
    #expect(folded.map(\.packets) == [7, 4, 1] && folded.map(\.bytes) == [70, 40, 10])
    #expect(folded.map(\.hosts) == [[a, b], [b], [a]] && folded[0].sources == 2)
  }

  @Test func `what a host claims can neither overflow nor reach a terminal`() {
    let entries = (0..<2).map { _ in
      Observations.Entry(
        family: .ipv4, source: "\u{1b}[2J", proto: "\u{7}", port: "1", packets: .max, bytes: .max)
    }
    let folded = ObservedDrop.fold([(HostID("h")!, Observations(observing: [.ipv4], entries: entries))])
    #expect(folded.count == 1 && folded[0].packets == .max)
    #expect(!folded[0].source.contains("\u{1b}") && !folded[0].proto.contains("\u{7}"))
  }
}
