import Audit
import Core
import Foundation
import GRDB
import Glibc
import Testing
import Wire

@testable import Store

/// Several processes over one file. The children are exit tests: this test program started again.
@Suite(.serialized) struct ProcessTests {
  @Test(arguments: [20, 60, 140]) func `what was acknowledged survives SIGKILL`(milliseconds: Int) async throws {
    let scratch = try Scratch()
    let directory = scratch.directory
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [directory = directory as String, milliseconds = milliseconds as Int] in
      let store = try FleetStore(path: directory + "/store.sqlite", fleet: fleet)
      try await untilKilled(after: milliseconds, in: directory) { number in
        _ = try await store.allocateSerial()
        try await store.record(reports: [received(makeReport(host(number)), Int64(number))])
      }
    }
    let acknowledged = acknowledged(in: directory)
    let store = try scratch.open()
    let last = Int(try await store.lastSerial().value)
    let reports = try await store.observations().count
    print("killed after \(milliseconds) ms: \(acknowledged) acknowledged, \(last) serials, \(reports) reports")
    #expect(last == acknowledged || last == acknowledged + 1)
    #expect(reports == acknowledged || reports == acknowledged + 1)
    #expect(reports <= last)
    #expect(try await store.read("check") { try String.fetchAll($0, sql: "PRAGMA integrity_check") } == ["ok"])
  }

  @Test(arguments: [30, 90]) func `what happened, was waived and was worked out survives SIGKILL too`(
    milliseconds: Int
  ) async throws {
    let scratch = try Scratch()
    let directory = scratch.directory
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [directory = directory as String, milliseconds = milliseconds as Int] in
      let store = try FleetStore(path: directory + "/store.sqlite", fleet: fleet)
      try await untilKilled(after: milliseconds, in: directory) { number in
        try await store.record(changes: [heardChanges(host(number), 1...2)])
        try await store.remember([makeDifference(host(number), "x\(number)")])
        try await store.save(waivers: [makeWaiver(host(number))])
        try await store.alarm(of: [host(number): (5, start)], at: start)
      }
    }
    let acknowledged = acknowledged(in: directory)
    let store = try scratch.open()
    let known = try await store.differences(of: (1...acknowledged + 1).map { host($0) }).count
    let waivers = try await store.waivers()
    let events = try await store.events()
    print("killed after \(milliseconds) ms: \(acknowledged) acknowledged")
    #expect([acknowledged, acknowledged + 1].contains(known))
    #expect([acknowledged, acknowledged + 1].contains(waivers.count))
    // Both of a host's changes or none.
    #expect(events.count { $0.kind == .changed } % 2 == 0 && events.count >= acknowledged * 3)
    #expect(waivers.allSatisfy { $0 == makeWaiver($0.host) })
    #expect(try await store.read("check") { try String.fetchAll($0, sql: "PRAGMA integrity_check") } == ["ok"])
  }

  @Test func `whoever opens the store to read waits for no writer, however long a sweep's records take`() async throws {
    let scratch = try Scratch()
    let store = try scratch.open()
    try await store.save(waivers: [makeWaiver(host(1))])
    try await store.record(reports: [received(makeReport(host(1)), 0)], after: .enrolled)
    let directory = scratch.directory
    async let writer = #expect(processExitsWith: .success) { [directory = directory as String] in
      let store = try FleetStore(path: directory + "/store.sqlite", fleet: fleet)
      // Many short ones, then one that does not end.
      for second in 1...10 {
        try await store.record(
          reports: (0..<20).map { received(makeReport(host($0), rules: "\(second)"), Int64(second)) })
        try await store.record(changes: (0..<20).map { heardChanges(host($0), UInt64(second)...UInt64(second)) })
      }
      try await store.write("hold") { db in
        try db.execute(sql: "DELETE FROM waivers")
        try "".write(toFile: directory + "/holding", atomically: true, encoding: .utf8)
        for _ in 0..<60_000 where !FileManager.default.fileExists(atPath: directory + "/go-on") { usleep(1000) }
      }
    }
    func look() async throws {
      let reader = try scratch.open()
      #expect(try await reader.observations()[host(1)]?.waiver != nil)
      #expect(try await !reader.events(of: host(1)).isEmpty)
      #expect(try await reader.waivers().count == 1)
      try reader.close()
    }
    while !FileManager.default.fileExists(atPath: directory + "/holding") {
      try await look()
      try await Task.sleep(for: .milliseconds(50))
    }
    let began = ContinuousClock.now
    try await look()
    // The writer holds on; who waited for it would have given up or waited for as long.
    #expect(began.duration(to: .now) < .seconds(FleetStore.lockTimeout))
    try "".write(toFile: directory + "/go-on", atomically: true, encoding: .utf8)
    _ = await writer
    #expect(try await store.waivers().isEmpty)
  }

  @Test func `processes that start together make one store, and no serial comes twice`() async throws {
    let scratch = try Scratch()
    let directory = scratch.directory
    await threeAtOnce {
      await #expect(processExitsWith: .success) { [directory = directory as String] in
        let store = try FleetStore(path: directory + "/store.sqlite", fleet: fleet)
        var text = ""
        for _ in 0..<40 { text += "\(try await store.allocateSerial())\n" }
        try text.write(toFile: directory + "/serials.\(getpid())", atomically: true, encoding: .utf8)
      }
    }
    var serials: [String] = []
    for name in try FileManager.default.contentsOfDirectory(atPath: directory) where name.hasPrefix("serials.") {
      let text = try String(contentsOfFile: directory + "/" + name, encoding: .utf8)
      serials += text.split(separator: "\n").map(String.init)
    }
    #expect(serials.count == 120 && Set(serials).count == 120)
    #expect(try await scratch.open().lastSerial() == Serial(120))
  }

  @Test func `a reader neither waits for a writer nor sees half of its work, and writers take turns`() async throws {
    let scratch = try Scratch()
    let store = try scratch.open()
    try await store.record(reports: [received(makeReport(host(0)), 1)])
    let directory = scratch.directory
    // Another process is in the middle of a write until it is told to go on.
    async let writer = #expect(processExitsWith: .success) { [directory = directory as String] in
      let store = try FleetStore(path: directory + "/store.sqlite", fleet: fleet)
      try await store.write("hold") { db in
        try db.execute(sql: "INSERT INTO contact_failures VALUES ('h9', 1, 'half')")
        try "".write(toFile: directory + "/holding", atomically: true, encoding: .utf8)
        for _ in 0..<60_000 where !FileManager.default.fileExists(atPath: directory + "/go-on") { usleep(1000) }
      }
    }
    while !FileManager.default.fileExists(atPath: directory + "/holding") {
      try await Task.sleep(for: .milliseconds(2))
    }
    #expect(try await store.observations().count == 1)
    async let serial = store.allocateSerial()
    try await Task.sleep(for: .milliseconds(50))
    #expect(try await store.lastSerial() == .none)
    try "".write(toFile: directory + "/go-on", atomically: true, encoding: .utf8)
    #expect(try await serial == Serial(1))
    _ = await writer
    #expect(try await store.observations().count == 2)
  }
}
