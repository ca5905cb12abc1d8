import Audit
import Core
import Foundation
import Inventory
import Store
import Synchronization
import Testing
import Transport
import Wire

@testable import Operations

struct AuditingTests {
  let folder: FleetFolder
  let hosts = [HostID("h2")!, HostID("h1")!]

  init() throws { folder = try FleetFolder(policy: FleetFolder.bothHalves, hosts: ["h1", "h2"]) }

  private var state: String { folder.path + "/state" }

  @Test func `an action is on the disk before it begins, and its end after`() async throws {
    let workspace = folder.workspace
    let code = try await workspace.audited("apply", hosts: hosts, reason: "INC-42") {
      let entries = try workspace.audit.entries()
      #expect(entries.map(\.phase) == [.began])
      #expect(entries[0].verb == "apply" && entries[0].reason == "INC-42")
      #expect(entries[0].hosts?.names == "h[1-2]" && entries[0].hosts?.count == 2)
      #expect(!entries[0].actor.user.isEmpty && !entries[0].actor.host.isEmpty)
      return ActionEnd(exitCode: 3, release: Serial(12))
    }
    #expect(code == 3)
    let end = try #require(try workspace.audit.entries().last)
    #expect(end.phase == .ended && end.of == 1 && end.exitCode == 3 && end.release == 12)
    #expect(try workspace.audit.verify().isIntact)
  }

  @Test func `an action that fails leaves its words, and its own error is told`() async throws {
    let error = await #expect(throws: Failure.self) {
      try await folder.workspace.audited("enroll", hosts: [], reason: nil) {
        throw Failure("find the key", because: Reason("none\u{1b}"))
      }
    }
    #expect(error?.operation == "find the key")
    let end = try #require(try folder.workspace.audit.entries().last)
    #expect(end.phase == .ended && end.words == "find the key: none\\u{1b}" && end.exitCode == nil)
  }

  @Test func `what cannot be written down is not begun`() async throws {
    try FileManager.default.createDirectory(atPath: state + "/audit.ndjson", withIntermediateDirectories: true)
    let error = await #expect(throws: Failure.self) {
      try await folder.workspace.audited("apply", hosts: hosts, reason: nil) {
        Issue.record("it began")
        return ActionEnd(exitCode: 0)
      }
    }
    #expect(error?.operation == "begin apply; nothing was done")
  }

  @Test func `a damaged store is told of, the log's chain is checked, and an entry says so`() async throws {
    _ = try await folder.workspace.audited("apply", hosts: hosts, reason: nil) { ActionEnd(exitCode: 0) }
    try folder.store.close()
    for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: folder.workspace.storePath + suffix) }
    try Files.write([UInt8](repeating: 7, count: 8192), to: folder.workspace.storePath)
    // A verb that must not write only says what is wrong.
    let refused = #expect(throws: Failure.self) { try folder.workspace.existingStore() }
    #expect(refused?.hint?.contains("status --refresh") == true)
    let told = Mutex<[String]>([])
    var workspace = folder.workspace
    workspace.told = { line in told.withLock { $0.append(line) } }
    let store = try workspace.store()
    #expect(try await store.isRebuilt())
    let words = told.withLock(\.self)
    #expect(words.count == 4)
    #expect(words[0].contains("fleet.sqlite.damaged-") && words[2].contains("2 entries"), "\(words)")
    #expect(words[1].contains("none of its waivers was taken over from it, others could not be read"), "\(words)")
    let last = try #require(try workspace.audit.entries().last)
    #expect(last.phase == .note && last.verb == "store" && last.words?.contains("damaged") == true)
  }

  @Test func `the chain of a log that was altered is told with the damage`() async throws {
    _ = try await folder.workspace.audited("apply", hosts: hosts, reason: nil) { ActionEnd(exitCode: 0) }
    let log = folder.workspace.audit.path
    var bytes = try Files.read(log)
    bytes[15] ^= 1
    #expect(ControllerCheckup(folder.workspace).findings().allSatisfy { $0.check != "audit" })
    try Files.write(bytes, to: log)
    let findings = ControllerCheckup(folder.workspace).findings().filter { $0.check == "audit" }
    #expect(findings.map(\.problem).first?.contains("at line 1: it was altered") == true)
    try folder.store.close()
    for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: folder.workspace.storePath + suffix) }
    try Files.write([UInt8](repeating: 7, count: 8192), to: folder.workspace.storePath)
    let told = Mutex<[String]>([])
    var workspace = folder.workspace
    workspace.told = { line in told.withLock { $0.append(line) } }
    _ = try workspace.store()
    #expect(told.withLock { $0[2] }.contains("does not hold"))
  }

  @Test func `hosts of a store that was begun anew are learnt from what they say, over each of their addresses`()
    async throws
  {
    let agents = FakeAgents { connection, message in
      switch message {
      case .hello:
        return .hello(
          AgentHello(
            version: ProtocolVersion.current, agentVersion: "0.1.0", host: HostID("h1")!, fleet: FleetID("lab")!))
      case .report(let nonce):
        var report = FleetFolder.report("h1", nonce: nonce)
        report.managementSource = "192.0.2.\(connection + 50)"
        return .report(report)
      default: return nil
      }
    }
    let sweep = Sweep(connector: agents, limits: ContactLimits(parallel: 1, timeout: patience))
    let endpoints = Endpoints(
      inventory: try folder.workspace.inventory(), configuration: folder.workspace.configuration)
    var endpoint = endpoints.endpoint(of: try folder.workspace.inventory().host(named: "h1")!, as: .agent)
    endpoint.addresses = ["192.0.2.9", "2001:db8::9"]
    try await Relearning(folder.workspace, sweep: sweep).learn(
      [ReceivedReport(FleetFolder.report("h1"), receivedAt: FleetFolder.now)],
      of: [(host: HostID("h1")!, fleet: FleetID("lab")!, endpoint: endpoint)], store: folder.store)
    let enrolment = try #require(try await folder.store.enrolments()[HostID("h1")!])
    #expect(enrolment.controllers == ["192.0.2.1", "192.0.2.51", "192.0.2.52"])
    #expect(enrolment.backend == .nft && enrolment.at == FleetFolder.now)
  }
}

struct SinceTests {
  private let now = UTCTime("2026-11-21T12:00:00Z")!

  @Test(arguments: [
    ("90s", "2026-11-21T11:58:30Z"), ("2h", "2026-11-21T10:00:00Z"), ("7d", "2026-11-14T12:00:00Z"),
    ("2026-11-20", "2026-11-20T00:00:00Z"), ("2026-11-20T01:02:03Z", "2026-11-20T01:02:03Z"),
  ]) func `a moment is how long ago, a day or a time`(text: String, time: String) throws {
    #expect(try Since.parse(text, now: now).description == time)
  }

  @Test(arguments: ["", "h", "-2h", "2w", "2026-02-30", "yesterday", "99999999999999999999h", "2h\u{1b}"])
  func `anything else is refused as usage`(text: String) {
    let error = #expect(throws: Failure.self) { try Since.parse(text, now: now) }
    #expect(error?.kind == .usage)
  }
}

struct HostHistoryTests {
  @Test func `a release that was committed has its reason and who brought it`() async throws {
    let folder = try FleetFolder(policy: FleetFolder.bothHalves)
    let store = folder.store
    let serial = try await store.allocateSerial()
    try await store.save(
      StoredRelease(
        serial: serial, statement: [1], signatures: [], issued: FleetFolder.now, expires: FleetFolder.now,
        reason: "INC-42",
        hosts: 0), bundles: [], texts: [:])
    _ = try await store.beginRun(verb: "apply", actor: "alice", reason: "INC-42", serial: serial, at: FleetFolder.now)
    func record(_ committed: Serial?, _ second: Int64) async throws {
      var report = FleetFolder.report("h1")
      report.committed = committed.map {
        .init(serial: $0, manifest: Digest(of: []), content: Digest(of: []), at: FleetFolder.now + second)
      }
      try await store.record(
        reports: [ReceivedReport(report, receivedAt: FleetFolder.now + second)], after: .applied)
    }
    try await record(nil, 0)
    try await record(serial, 1)
    try await record(nil, 2)
    try await record(Serial(99), 3)
    let history = try await HostHistory.read(HostID("h1")!, since: nil, store: store).entries
    #expect(history.map(\.event.serial) == [serial, serial, Serial(99)])
    // What others did is not the author's, although his release is named.
    #expect(history.map(\.event.kind) == [.committed, .emptied, .committed])
    #expect(history.map(\.actor) == ["alice", nil, nil] && history.map(\.reason) == ["INC-42", nil, nil])
    #expect(try await HostHistory.read(HostID("h2")!, since: nil, store: store).entries.isEmpty)
    #expect(try await HostHistory.read(HostID("h1")!, since: nil, store: nil).entries.isEmpty)
  }
}
