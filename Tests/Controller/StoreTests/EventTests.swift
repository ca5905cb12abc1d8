import Audit
import Core
import GRDB
import Testing
import Wire

@testable import Store

struct EventTests {
  let scratch: Scratch
  let store: FleetStore

  init() throws {
    scratch = try Scratch()
    store = try scratch.open()
  }

  private func drifted(_ host: HostID, _ observed: String = "b") -> Report {
    var report = makeReport(host)
    report.families.ipv4.observed = Digest(of: observed.utf8)
    return report
  }

  private func kinds(_ host: HostID? = nil) async throws -> [HostEvent.Kind] {
    try await store.events(of: host).map(\.kind)
  }

  @Test func `what happened is kept with the reports that tell it, and read back whole`() async throws {
    try await store.record(reports: [received(makeReport(host(1)), 0)], after: .enrolled)
    try await store.record(reports: [received(drifted(host(1)), 10)])
    try await store.record(reports: [received(drifted(host(1)), 20)])
    try await store.record(reports: [received(makeReport(host(1)), 30)], after: .repaired)
    let events = try await store.events(of: host(1))
    #expect(events.map(\.kind) == [.enrolled, .drifted, .restored])
    #expect(events.map(\.cause) == [.intentional, .external, .corrective])
    #expect(events.map(\.at) == [start, start + 10, start + 30])
    #expect(events[1].details.families == ["ipv4"] && events[1].details.difference != nil)
    try store.close()
    #expect(try await scratch.open().events() == events)
  }

  @Test(arguments: [OurDeed.applied, .asked])
  func `a repair that is finished by a person's word, or learnt of later, puts right`(deed: OurDeed) async throws {
    for (number, verb) in [(1, "drift repair"), (2, "apply")] {
      let serial = Serial(UInt64(10 + number))
      _ = try await store.beginRun(verb: verb, actor: "alice", reason: "-", serial: serial, at: start)
      _ = try await store.beginRun(verb: "confirm", actor: "bob", reason: "-", serial: nil, at: start)
      try await store.record(reports: [received(makeReport(host(number)), 0), received(drifted(host(number)), 10)])
      let report = makeReport(host(number), serial: serial.value)
      try await store.record(reports: [received(report, 20)], after: deed)
    }
    func causes(_ number: Int) async throws -> [HostEvent.Cause] {
      try await store.events(of: host(number)).filter { $0.kind != .drifted }.map(\.cause)
    }
    #expect(try await causes(1) == [.corrective, .corrective])
    #expect(try await causes(2) == [.intentional, .intentional])
  }

  @Test func `silence is told once, and its end`() async throws {
    func silent(_ second: Int64) async throws {
      try await store.record(contactFailures: [host(1): ContactFailure(at: start + second, reason: "no route\u{1b}")])
    }
    try await store.record(reports: [received(makeReport(host(1)), 0)])
    try await silent(10)
    try await silent(20)
    // Also when the host says the same as before.
    try await store.record(reports: [received(makeReport(host(1)), 30)])
    try await silent(40)
    let events = try await store.events()
    #expect(events.map(\.kind) == [.unreachable, .reached, .unreachable])
    #expect(events[0].details.reason == "no route\\u{1b}")
    #expect(try await store.observations()[host(1)]?.lastContactFailure?.at == start + 40)
  }

  @Test func `a host that left and came back is not restored by that`() async throws {
    try await store.save(
      Enrolment(
        host: host(1), at: start, agent: Digest(of: []), agentVersion: "0.1.0", architecture: "x86_64", backend: .nft,
        hasGenerationZero: true, controllers: []))
    try await store.record(reports: [received(makeReport(host(1)), 0)], after: .enrolled)
    try await store.record(reports: [received(drifted(host(1)), 1)])
    try await store.removeEnrolment(of: host(1), at: start + 2)
    // There is nothing to remove.
    try await store.removeEnrolment(of: host(1), at: start + 3)
    try await store.record(reports: [received(makeReport(host(1)), 4)], after: .enrolled)
    #expect(try await kinds() == [.enrolled, .drifted, .removed, .enrolled])
  }

  @Test func `what happened is neither changed nor deleted, but by retention`() async throws {
    for second in 0..<4 {
      try await store.record(reports: [received(drifted(host(1), "\(second)"), Int64(second) * 10)])
    }
    let all = try await store.events()
    #expect(all.count == 4)
    for sql in [
      "UPDATE events SET cause = 'intentional'", "UPDATE events SET at = 0 WHERE id = 1", "DELETE FROM events",
      "DELETE FROM events WHERE id = 1", "UPDATE reports SET first_seen = 0", "UPDATE reports SET sameness = x'00'",
      "UPDATE report_bodies SET body = x'00'", "INSERT OR REPLACE INTO events SELECT * FROM events",
    ] {
      let error = await #expect(throws: Failure.self, "\(sql)") {
        try await store.write("alter") { try $0.execute(sql: sql) }
      }
      #expect(
        error.map(message)?.contains("never") == true || error.map(message)?.contains("retention") == true, "\(sql)")
    }
    #expect(try await store.events() == all)
    #expect(try await store.pruneEvents(before: start + 15) == 2)
    #expect(try await store.events() == Array(all.dropFirst(2)))
    // Its leave ended with it.
    await #expect(throws: Failure.self) { try await store.write("alter") { try $0.execute(sql: "DELETE FROM events") } }
    #expect(try await store.events(since: start + 30).count == 1)
    #expect(try await store.events(limit: 1) == [all[3]])
    // Of whom nobody asked is not among those that are left out, and nothing is left out unsaid.
    try await store.record(reports: [received(drifted(host(2), "0"), 40)])
    let own = try await store.events(of: [host(1), host(3)] as Set, limit: 1)
    #expect(own.told == [all[3]] && own.leftOut == 1)
    #expect(try await store.events(of: [host(1)] as Set, limit: 2).leftOut == 0)
    #expect(try await store.events(of: nil as Set<HostID>?, limit: 2).leftOut == 1)
    // Reports of the time are still what the next is compared with.
    try await store.pruneEvents(before: start + 1000)
    try await store.record(reports: [received(drifted(host(1), "3"), 2000)])
    #expect(try await kinds().isEmpty)
  }

  @Test func `reports and what they tell are kept together or not at all`() async throws {
    try await store.record(reports: [received(makeReport(host(1)), 0)])
    try await store.write("break") { db in
      try db.execute(
        sql: "CREATE TRIGGER broken BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no room'); END")
    }
    await #expect(throws: Failure.self) { try await store.record(reports: [received(drifted(host(1)), 1)]) }
    let report = try await store.observations()[host(1)]?.lastReport?.report
    #expect(report?.families.ipv4.observed == Digest(of: "a".utf8))
  }

  @Test func `a store of before keeps its reports and begins to tell`() async throws {
    try store.close()
    let old = try Scratch()
    let queue = try DatabaseQueue(path: old.path)
    try Schema.migrator.migrate(queue, upTo: "where rules come from")
    try queue.close()
    let older = try old.open()
    try await older.record(reports: [received(drifted(host(1)), 0)])
    try await older.record(reports: [received(drifted(host(1), "c"), 1)])
    #expect(try await older.events().map(\.kind) == [.drifted, .driftChanged])
    #expect(try await older.isRebuilt() == false)
  }

  @Test func `runs are forgotten with their results`() async throws {
    let old = try await store.beginRun(verb: "apply", actor: "me", reason: "-", serial: nil, at: start)
    try await store.record(run: old, results: [RunHostResult(host: host(1), result: "committed", detail: "")])
    _ = try await store.beginRun(verb: "apply", actor: "me", reason: "-", serial: nil, at: start + 10)
    try await store.pruneRuns(before: start + 10)
    #expect(try await store.runs().count == 1)
    #expect(try await store.results(of: old).isEmpty)
  }
}
