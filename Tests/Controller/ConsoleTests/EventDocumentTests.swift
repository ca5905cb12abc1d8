import Audit
import Core
import Glibc
import Operations
import Store
import Testing

@testable import Console

struct EventDocumentTests {
  static let start = UTCTime("2026-11-21T14:02:11Z")!

  private func event(
    _ host: String, _ seconds: Int64, _ kind: HostEvent.Kind, _ cause: HostEvent.Cause = .external,
    serial: UInt64? = nil, _ fill: (inout HostEvent.Details) -> Void = { _ in }
  ) -> HostEvent {
    var details = HostEvent.Details()
    fill(&details)
    return HostEvent(
      host: HostID(host)!, at: Self.start + seconds, kind: kind, cause: cause, serial: serial.map { Serial($0) },
      details: details)
  }

  private func drift(_ host: String, _ seconds: Int64) -> HostEvent {
    event(host, seconds, .drifted) { $0.chains = ["ipv4 filter/INPUT"] }
  }

  @Test func `what happened is told once for all the hosts it happened to`() {
    let events = [
      event("web1", -60, .committed, .intentional, serial: 12),
      event("web2", -59, .committed, .intentional, serial: 12),
      drift("web1", 0), drift("web2", 1), drift("db1", 2), event("db1", 30, .restored, .corrective),
    ]
    let document = EventsDocument(events, since: Self.start)
    #expect(
      document.text(TextStyle()) == """
        TIME                  CAUSE        HOSTS         WHAT
        2026-11-21T14:01:11Z  intentional  web[1-2]      committed release 12
        2026-11-21T14:02:11Z  external     db1,web[1-2]  drifted: ipv4 filter/INPUT
        2026-11-21T14:02:41Z  corrective   db1           holds what it committed again

        """)
    #expect(document.summary == ["intentional": 2, "external": 3, "corrective": 1])
    #expect(document.names == ["db1", "web1", "web2"])
    #expect(
      EventsDocument([], since: Self.start).text(TextStyle())
        == "nothing happened since 2026-11-21T14:02:11Z that this controller knows of\n")
  }

  @Test func `what only each host's address tells apart is told once`() {
    func silent(_ host: String, _ why: String) -> HostEvent {
      HostEvent(host: HostID(host)!, at: Self.start, kind: .unreachable, cause: .external, reason: why)
    }
    let events = [
      silent("web1", "connect to 192.0.2.1:22: no route to host"),
      silent("web2", "connect to 192.0.2.2:22: no route to host"), silent("web3", "it answered for web4"),
    ]
    let document = EventsDocument(events, since: Self.start)
    #expect(document.events.map(\.hosts) == [["web1", "web2"], ["web3"]])
    #expect(document.events[0].words == "unreachable: connect to …: no route to host")
    #expect(EventsDocument([events[0]], since: Self.start).events[0].words.contains("192.0.2.1:22"))
  }

  @Test func `a history says who and why where that is known`() {
    let history = [
      HostHistory.Entry(
        event: event("web1", 0, .committed, .intentional, serial: 12), actor: "alice", reason: "INC-42: close 8081"),
      HostHistory.Entry(event: event("web1", 60, .committed, .intentional, serial: 13), actor: nil, reason: nil),
      HostHistory.Entry(
        event: event("web1", 90, .programsChanged) {
          $0.from = "iptables 1.8.7"
          $0.to = "iptables 1.8.9"
        }, actor: nil, reason: nil),
    ]
    #expect(
      HistoryDocument(HostID("web1")!, history).text(TextStyle()) == """
        TIME                  CAUSE        WHAT                             WHY
        2026-11-21T14:02:11Z  intentional  committed release 12             by alice: INC-42: close 8081
        2026-11-21T14:03:11Z  intentional  committed release 13
        2026-11-21T14:03:41Z  external     iptables 1.8.7 → iptables 1.8.9

        """)
  }
}

struct AuditDocumentTests {
  private func entry(_ sequence: UInt64, _ phase: AuditEntry.Phase, _ verb: String = "apply") -> AuditEntry {
    AuditEntry(
      sequence: sequence, time: EventDocumentTests.start + Int64(sequence), phase: phase,
      actor: .init(user: "alice", uid: 1000, host: "ops"), verb: verb)
  }

  @Test func `an action has its end, and one that was killed says so`() {
    var began = entry(1, .began)
    began.reason = "INC-42"
    began.hosts = .init([HostID("web1")!, HostID("web2")!], folded: "web[1-2]")
    var ended = entry(3, .ended)
    (ended.of, ended.exitCode, ended.release) = (1, 3, 12)
    var failed = entry(5, .ended, "enroll")
    (failed.of, failed.words) = (4, "no key")
    var note = entry(6, .note, "store")
    note.words = "it was damaged"
    let actions = AuditAction.pair([began, entry(2, .began, "cancel"), ended, entry(4, .began, "enroll"), failed, note])
    let document = AuditListDocument(actions, since: nil)
    #expect(
      document.text(TextStyle()) == """
        ENTRY  BEGAN                 WHO        VERB    RELEASE  HOSTS     OUTCOME                               REASON
        1      2026-11-21T14:02:12Z  alice@ops  apply   12       web[1-2]  ended with 3                          INC-42
        2      2026-11-21T14:02:13Z  alice@ops  cancel  -        -         no end: it still runs, or was killed  -
        4      2026-11-21T14:02:15Z  alice@ops  enroll  -        -         failed: no key                        -
        6      2026-11-21T14:02:17Z  alice@ops  store   -        -         it was damaged                        -

        """)
    #expect(document.summary == ["actions": 4, "without_end": 1, "unreadable": 0])
    #expect(AuditListDocument(actions, since: EventDocumentTests.start + 4).actions.count == 2)
  }

  @Test func `a chain that does not hold exits 2`() throws {
    let path = "/tmp/pa-\(UInt64.random(in: .min ... .max)).ndjson"
    defer { unlink(path) }
    let log = AuditLog(path: path)
    #expect(
      AuditVerifyDocument(try log.verify(), path: path).text(TextStyle()) == "\(path): no entries yet\n")
    var head: Digest?
    for _ in 0..<3 { head = try log.append { entry($0, .began) }.line.hash }
    let intact = AuditVerifyDocument(try log.verify(head: head), path: path)
    #expect(intact.exitCode == 0)
    let lines = try DocumentPrinter.render(intact, as: .ndjson, colour: false)
    #expect(
      lines.contains("\"found\":true") && lines.contains("\"head\":\"\(head!)\"") && lines.contains("\"intact\":true"))
    #expect(
      intact.text(TextStyle()) == "3 entries, each following from the one before\nhead \(head!)\n")
    var bytes = try Files.read(path)
    bytes[20] ^= 1
    try Files.write(bytes, to: path)
    let broken = AuditVerifyDocument(try log.verify(), path: path)
    #expect(broken.exitCode == 2)
    // What an altered line said is not told, and that is.
    let contents = try log.record()
    #expect(contents.entries.map(\.sequence) == [2, 3] && contents.unreadable == 1)
    let list = AuditListDocument(contents, since: nil)
    #expect(list.text(TextStyle()).hasSuffix("\n1 line could not be read; 'portcullis audit verify' tells which\n"))
    #expect(broken.text(TextStyle()).hasPrefix("\(path):1: it was altered"))
  }
}
