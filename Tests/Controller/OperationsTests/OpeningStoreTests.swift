import Audit
import Core
import Foundation
import Store
import Synchronization
import Testing

@testable import Operations

/// A store that the audit log knows better than.
struct OpeningStoreTests {
  private let folder: FleetFolder
  private let h1 = HostID("h1")!

  init() throws { folder = try FleetFolder(policy: FleetFolder.bothHalves) }

  private func did(_ verb: String, _ end: ActionEnd) async throws {
    _ = try await folder.workspace.audited(verb, hosts: [h1], reason: nil) { end }
  }

  private func opened() throws -> (store: FleetStore, told: [String]) {
    let told = Mutex<[String]>([])
    var workspace = folder.workspace
    workspace.told = { line in told.withLock { $0.append(line) } }
    return (try workspace.store(), told.withLock(\.self))
  }

  @Test func `an older store is told, and goes on above the log's last release`() async throws {
    try await folder.enroll("h1")
    _ = try await folder.store.allocateSerial()
    try await did("apply", ActionEnd(exitCode: 0, release: Serial(1)))
    #expect(try opened().told.isEmpty)
    #expect(try folder.workspace.existingStore() != nil)
    try await did("apply", ActionEnd(exitCode: 3, release: Serial(12)))
    let refused = #expect(throws: Failure.self) { try folder.workspace.existingStore() }
    #expect(
      refused.map { ErrorChain($0).line }?.contains("the last release it knows of is 1, and release 12 was made")
        == true)
    #expect(refused?.hint?.contains("status --refresh") == true)

    let (store, told) = try opened()
    #expect(told.first?.hasPrefix("warning: the store may be an old backup: it is older than the audit log") == true)
    #expect(try await store.isRebuilt())
    #expect(try await store.enrolments().keys.map(\.description) == ["h1"])
    #expect(try await store.allocateSerial() == Serial(13))
    let last = try #require(try folder.workspace.audit.entries().last)
    #expect(last.phase == .note && last.verb == "store" && last.words?.contains("release 12 was made") == true)
    // Once it is said it is so.
    #expect(try opened().told.isEmpty)
    #expect(try folder.workspace.existingStore() != nil)
  }

  @Test func `a release far above all others is told, and moves no serial`() async throws {
    try await folder.enroll("h1")
    _ = try await folder.store.allocateSerial()
    try await did("apply", ActionEnd(exitCode: 0, release: Serial(2)))
    for number in [10_000, .max] as [UInt64] {
      try await did("apply", ActionEnd(exitCode: 0, release: Serial(number)))
    }
    let (store, told) = try opened()
    #expect(told.first?.contains("names release 18446744073709551615") == true, "\(told)")
    #expect(told.first?.contains("entry 6 (apply by ") == true && told.first?.contains("archive the log") == true)
    // What can be believed still counts.
    #expect(told.count == 3 && told[1].contains("release 2 was made"), "\(told)")
    #expect(try await store.allocateSerial() == Serial(3))
    #expect(try opened().told.count == 1)
    #expect(try folder.workspace.existingStore() != nil)
  }

  @Test(arguments: [true, false])
  func `a store that knows of no release believes what leaves hosts without one some to take`(
    isBelieved: Bool
  ) async throws {
    let made = Serial(Serial.maximumStep / 2 + ClaimedFloor.slack + (isBelieved ? 0 : 1))
    try await folder.enroll("h1")
    try await did("apply", ActionEnd(exitCode: 0, release: made))
    #expect(try opened().store.newestSerial() == (isBelieved ? made : .none))
  }

  @Test func `an empty store is a new fleet's only where the log tells of no host`() async throws {
    // Nobody was reached.
    try await did("enroll", ActionEnd(exitCode: 4))
    #expect(try folder.workspace.existingStore() != nil)
    #expect(try opened().told.isEmpty)
    try await did("enroll", ActionEnd(exitCode: 0))
    let refused = #expect(throws: Failure.self) { try folder.workspace.existingStore() }
    #expect(refused.map { ErrorChain($0).line }?.contains("there is nothing in it") == true)
    let (store, told) = try opened()
    #expect(told.first?.hasPrefix("warning: the store had nothing in it, although there were hosts") == true)
    #expect(try await store.isRebuilt())
  }

  @Test func `a log that was begun anew still knows of hosts and releases`() async throws {
    try await did("apply", ActionEnd(exitCode: 0, release: Serial(5)))
    let log = folder.workspace.audit.path
    var bytes = try Files.read(log)
    bytes[bytes.count - 200] ^= 1
    // The end of the last action, and one more line that holds no release.
    try Files.write(bytes, to: log)
    try await did("keys init", ActionEnd(exitCode: 0))
    // What was altered says nothing, so that the release is not known.
    #expect(try folder.workspace.audit.lastRelease().number == nil)
    try await did("apply", ActionEnd(exitCode: 0, release: Serial(6)))
    bytes = try Files.read(log)
    try Files.write(bytes + Array("garbage\n".utf8), to: log)
    try await did("keys init", ActionEnd(exitCode: 0))
    #expect(try folder.workspace.audit.lastRelease().number == 6)
    try folder.store.close()
    for suffix in ["", "-wal", "-shm"] {
      try? FileManager.default.removeItem(atPath: folder.workspace.storePath + suffix)
    }
    #expect(throws: Failure.self) { try folder.workspace.existingStore() }
    #expect(try opened().store.newestSerial() == Serial(6))
  }
}

struct HostRecordTests {
  private func action(
    _ sequence: UInt64, _ verb: String, _ hosts: [String], code: Int32? = 0, folded: String? = nil
  ) -> [AuditEntry?] {
    let actor = AuditEntry.Actor(user: "a", uid: 0, host: "c")
    var began = AuditEntry(sequence: sequence, time: FleetFolder.now, phase: .began, actor: actor, verb: verb)
    began.hosts = .init(hosts.map { HostID($0)! }, folded: folded ?? hosts.joined(separator: ","))
    var ended = AuditEntry(sequence: sequence + 1, time: FleetFolder.now, phase: .ended, actor: actor, verb: verb)
    (ended.of, ended.exitCode) = (sequence, code)
    return [began, ended]
  }

  /// Of h1 and h2.
  private func mayBe(_ lines: [AuditEntry?]..., missing: String? = nil) -> [Bool] {
    var record = AuditRecord()
    (record.lines, record.missing) = (Array(lines.joined()), missing)
    return ["h1", "h2"].map { HostRecord(record).mayBeEnrolled(HostID($0)!) }
  }

  private let remove = "enroll --remove --rules keep"

  @Test func `who was enrolled is who an enrolment names and no removal that was done`() {
    #expect(mayBe(action(1, "enroll", ["h1"])) == [true, false])
    #expect(mayBe(action(1, "enroll", ["h1"], code: 3), action(3, "apply", ["h1"])) == [true, false])
    #expect(mayBe(action(1, "enroll", ["h1", "h2"]), action(3, remove, ["h1"])) == [false, true])
    #expect(mayBe(action(1, "enroll", ["h1", "h2"]), action(3, remove, ["h1"], code: 4)) == [true, true])
    #expect(
      mayBe(action(1, "enroll", ["h1"]), action(3, remove, ["h1"]), action(5, "enroll", ["h1"])) == [true, false])
  }

  @Test func `where the log does not say it may be anybody`() {
    let enrolled = action(1, "enroll", ["h1"])
    #expect(mayBe() == [true, true])
    #expect(mayBe(action(1, "apply", ["h1"])) == [true, true])
    #expect(mayBe(enrolled, [nil]) == [true, true])
    #expect(mayBe(enrolled, missing: "the log before it cannot be read") == [true, true])
    #expect(mayBe(enrolled, action(3, "enroll", ["h1", "h3"], folded: "h1…")) == [true, true])
  }

  @Test func `a log whose beginning was archived does not say who was enrolled then`() {
    let enrolled = action(1, "enroll", ["h1"])
    #expect(mayBe(enrolled, action(3, "apply", ["h2"])) == [true, true])
    #expect(mayBe(enrolled, action(3, "drift waive", ["h1", "h2"])) == [true, true])
    // It was enrolled again.
    #expect(mayBe(action(1, "apply", ["h1"]), action(3, "enroll", ["h1"])) == [true, true])
    #expect(mayBe(action(1, remove, ["h1"]), action(3, "enroll", ["h1"])) == [true, true])
    // More hosts than were enrolled, whoever those are that are cut off.
    #expect(mayBe(enrolled, action(3, "apply", ["h1", "h3"], folded: "h1…")) == [true, true])
    var older = action(1, "apply", [])
    older[0]?.hosts = nil
    older[1]?.release = 7
    #expect(mayBe(older, action(3, "enroll", ["h1"])) == [true, true])
    #expect(mayBe([older[1]], action(3, "enroll", ["h1"])) == [true, true])
  }
}
