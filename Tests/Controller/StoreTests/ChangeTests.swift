import Audit
import Core
import GRDB
import Testing
import Wire

@testable import Store

struct ChangeTests {
  let scratch: Scratch
  let store: FleetStore

  init() throws {
    scratch = try Scratch()
    store = try scratch.open()
  }

  private func record(_ changes: HeardChanges) async throws { try await store.record(changes: [changes]) }

  private func mark() async throws -> UInt64? {
    try await store.record(reports: [received(makeReport(host(1)), 0)])
    return try await store.knownChanges()[host(1)]?.last
  }

  @Test func `a change that is told again is kept once, in the order in which it was first heard`() async throws {
    try await record(heardChanges(host(1), 1...3))
    try await record(heardChanges(host(1), 2...4, after: 1))
    try await record(heardChanges(host(2), 1...1))
    #expect(try await store.events(of: host(1)).map(\.details.change) == [1, 2, 3, 4])
    #expect(
      try await store.changes(of: [host(1), host(2), host(3)]).mapValues(\.count) == [
        host(1): 4, host(2): 1, host(3): 0,
      ])
    // An agent that was installed anew counts from one, in the same boot.
    try await record(heardChanges(host(1), 1...1, time: start + 99))
    #expect(try await store.events(of: host(1)).map(\.details.change) == [1, 2, 3, 4, 1])
    let kept = try await store.events()
    try store.close()
    #expect(try await scratch.open().events() == kept)
  }

  @Test func `asking goes on after the last change that was asked for, and leaves no gap`() async throws {
    #expect(try await mark() == 0)
    try await record(heardChanges(host(1), 1...3))
    #expect(try await mark() == 3)
    // Whoever watches begins with what comes.
    try await record(heardChanges(host(1), 6...6, after: 5))
    #expect(try await mark() == 3)
    try await record(heardChanges(host(1), 4...6, after: 3))
    #expect(try await mark() == 6)
    // It lost its memory.
    try await record(heardChanges(host(1), 1...2, time: start + 9))
    #expect(try await mark() == 2)
    #expect(try await store.knownChanges()[host(1)]?.observed == makeReport(host(1)).families.map { $1.observed })
  }

  @Test func `a host that says nothing new adds nothing to the file`() async throws {
    try await record(heardChanges(host(1), 1...3))
    let size = scratch.size("-wal")
    for _ in 0..<50 { try await record(heardChanges(host(1), 1...3)) }
    #expect(scratch.size("-wal") == size)
  }

  @Test func `numbers of any size cost only their host`() async throws {
    try await record(heardChanges(host(1), UInt64.max...UInt64.max))
    #expect(try await mark() == UInt64(Int64.max))
    #expect(try await store.events().first?.details.change == .max)
  }

  @Test func `a host that tells of changes without end is counted, and its room comes back with the days`() async throws
  {
    func tell(_ first: UInt64, day: Int64) async throws {
      var heard = heardChanges(host(1), first...first + 599, after: first - 1)
      heard = HeardChanges(
        host: heard.host, at: start + day * 86_400, ahead: 0, after: heard.after, changes: heard.changes)
      try await record(heard)
    }
    try await tell(1, day: 0)
    try await tell(601, day: 0)
    try await tell(1201, day: 0)
    var events = try await store.events()
    #expect(events.count { $0.kind == .changed } == FleetStore.changesADay)
    #expect(events.filter { $0.kind == .changesLost }.map(\.details.count) == [200, 600])
    try await tell(1801, day: 2)
    events = try await store.events()
    #expect(events.count { $0.kind == .changed } == FleetStore.changesADay + 600)
    // Retention takes them as all that happened.
    try await store.pruneEvents(before: start + 86_400)
    #expect(try await store.events().count == 600)
  }

  @Test func `what a host differed by before goes when it differs in another way`() async throws {
    func texts() async throws -> Int? {
      try await store.read("count") { try Int.fetchOne($0, sql: "SELECT count(*) FROM texts") }
    }
    for number in 0..<50 { try await store.remember([makeDifference(host(1), "\(number)")]) }
    #expect(try await texts() == 1)
    // Another host has the same.
    try await store.remember([makeDifference(host(2), "49"), makeDifference(host(1), "50")])
    #expect(try await texts() == 2)
    #expect(try await store.differences(of: [host(1), host(2)]).count == 2)
  }

  @Test func `an alarm is told once after each repair`() async throws {
    for (repaired, now) in [(start, start + 10), (start, start + 20), (start + 15, start + 30)] {
      try await store.alarm(of: [host(1): (5, repaired)], at: now)
    }
    let events = try await store.events()
    #expect(events.map(\.kind) == [.alarm, .alarm] && events.map(\.at) == [start + 10, start + 30])
    #expect(events.first?.words.contains("repaired 5 times") == true)
  }

  @Test func `who leaves the fleet takes along up to where it was asked, and its history stays`() async throws {
    try await record(heardChanges(host(1), 1...3))
    try await store.removeEnrolment(of: host(1), at: start + 1)
    #expect(try await mark() == 0)
    #expect(try await store.events(of: host(1)).count == 3)
  }
}
