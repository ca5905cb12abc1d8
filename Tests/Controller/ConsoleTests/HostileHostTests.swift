import Audit
import Core
import Foundation
import Import
import Inventory
import Ruleset
import Store
import Testing
import Wire

@testable import Console
@testable import Operations

/// A host says in every field it has what a terminal would obey; it comes by the real decoder and goes through the real
/// store, and no output of any verb holds it.
struct HostileHostTests {
  private static let now = UTCTime("2026-11-22T03:00:00Z")!
  private static let host = HostID("evil")!

  /// The hostile text in every field that is one.
  private static func report(_ text: String, _ change: (inout Report) -> Void = { _ in }) throws -> Report {
    let digest = Digest(of: [])
    var report = Report(
      nonce: .random(), host: host, fleet: FleetID("shop")!, time: UTCTime("9999-12-31T23:59:59Z")!,
      bootID: text, agentVersion: text, architecture: text, kernel: text, backend: .nft, iptablesVersion: text,
      committed: Committed(serial: Serial(.max), manifest: digest, content: digest, at: now),
      lastFailure: LastFailure(serial: Serial(7), result: .reverted, detail: text),
      localAct: LocalAct(deed: .safe, at: now, reason: text),
      families: PerFamily { _ in
        FamilyReport(
          expected: digest, observed: Digest(of: text.utf8), save: digest,
          chains: [ChainDigest(table: text, chain: text, digest: digest)], omittedChains: .max)
      }, owners: ForeignOwner.allCases, otherBackendRules: .max, conflicts: [text], degraded: text,
      managementSource: text, settings: [SettingReport(key: text, desired: text, observed: text)],
      others: OthersReport(
        tables: [
          OthersReport.Table(family: text, name: text, owner: nil, isHooked: true, drops: true, digest: digest)
        ], omittedTables: .max, sets: [text], problem: text),
      renewal: Renewal(from: text, to: text, at: now),
      lockdown: LockdownReport(
        lock: LockReport(
          epoch: Epoch(.max), order: digest, profile: ProfileName("p")!, rank: LockRank(1000)!, principals: [text],
          reason: text, phase: .fallback, since: UTCTime("9999-12-31T23:59:59Z")!, secondsLeft: .max,
          serial: Serial(.max), differences: PerFamily(ipv4: text, ipv6: text)),
        heard: Epoch(.max), profiles: [.init(name: ProfileName("p")!, rank: LockRank(0)!, problem: text)],
        lastLift: LiftReport(epoch: Epoch(.max), cause: .console(text), at: now)))
    change(&report)
    return try Report(encoded: report.encode())
  }

  private static func expectPlain(_ document: some Document) throws {
    for format in OutputFormat.allCases {
      let text = try DocumentPrinter.render(document, as: format, colour: false)
      for line in text.split(separator: "\n") {
        #expect(SafeText.escape(line) == String(line), "\(type(of: document)) as \(format)")
      }
    }
  }

  @Test(arguments: HostileTextTests.hostile)
  func `what it reports of itself, its events and its history are shown escaped`(text: String) async throws {
    let store = try FleetStore(
      path: "/tmp/portcullis-hostile-\(UInt64.random(in: .min ... .max)).sqlite", fleet: FleetID("shop")!)
    defer { for suffix in ["", "-wal", "-shm"] { unlink(store.path + suffix) } }
    let quiet = try Self.report("quiet") {
      $0.degraded = nil
      $0.localAct = nil
      $0.lastFailure = nil
      for family in Family.allCases { $0.families[family].observed = Digest(of: []) }
    }
    try await store.record(reports: [ReceivedReport(quiet, receivedAt: Self.now)])
    try await store.record(reports: [ReceivedReport(try Self.report(text), receivedAt: Self.now + 60)])
    try await store.record(
      reports: [ReceivedReport(try Self.report(text) { $0.localAct = nil }, receivedAt: Self.now + 90)])
    try await store.record(contactFailures: [Self.host: ContactFailure(at: Self.now + 120, reason: text)])

    let status = StatusJudge(now: Self.now + 130).judge(
      Self.host, desired: nil, observation: try #require(try await store.observations()[Self.host]))
    try Self.expectPlain(StatusDocument([status]))
    let findings = Finding.of(status, otherBackendRules: .max)
    try Self.expectPlain(
      DoctorDocument(Doctor.Found(controller: [], hosts: [Doctor.Host(host: Self.host, findings: findings)])))
    let events = try await store.events()
    #expect(Set(events.map(\.kind)).isSuperset(of: [.drifted, .console, .programsChanged, .unreachable]))
    try Self.expectPlain(EventsDocument(events, since: Self.now))
    try Self.expectPlain(
      HistoryDocument(Self.host, try await HostHistory.read(Self.host, since: nil, store: store).entries))
    for event in events { #expect(SafeText.escape(event.words) == event.words) }
  }

  private static func drift(_ text: String, _ line: (String) -> String) -> HostDrift {
    func rules(_ more: String) -> [UInt8] { Array("*filter\n:INPUT DROP [0:0]\n\(more)COMMIT\n".utf8) }
    return HostDrift(
      host: host,
      texts: PerFamily { _ in DriftTexts(expected: rules(""), observed: rules(line(text) + "\n")) })
  }

  private static let places: [@Sendable (String) -> String] = [
    { "-A INPUT -m comment --comment \"\($0)\" -j ACCEPT" }, { ":\($0) - [0:0]\n-A \($0) -j ACCEPT" },
    { "-A INPUT -j \($0)" }, { "COMMIT\n*\($0)\n:X - [0:0]" },
    { "COMMIT\n*others\n:inet/\($0) - [0:0]\n-A inet/\($0) # \($0)" },
    { "COMMIT\n*disk\n:\($0) - [0:0]\n-A \($0) \($0)" }, { "COMMIT\n*ipset\n:\($0) - [0:0]\n-A \($0) \($0)" },
  ]

  @Test(arguments: HostileTextTests.hostile)
  func `rules, chains, tables and comments are shown, adopted and waived escaped`(text: String) throws {
    for place in Self.places {
      var drift = Self.drift(text, place)
      try Self.expectPlain(DriftDocument([drift], statuses: []))
      #expect(SafeText.escape(drift.summary) == drift.summary)
      guard case .differs(let diffs) = drift.finding else { continue }
      let waiver = Waiver(
        host: drift.host, difference: try #require(drift.exact), words: drift.summary, ends: Self.now, reason: text,
        actor: text, made: Self.now)
      drift.waiver = waiver
      try Self.expectPlain(DriftDocument([drift], statuses: []))
      try Self.expectPlain(WaiversDocument([waiver], now: Self.now))
      try Self.expectPlain(
        WaiveDocument(
          Waiving.Waived(waivers: [waiver], leftOut: [:], intact: [], unreachable: []), now: Self.now))

      // A policy of it is plain too, or there is none.
      let added = try AddedRules(diffs)
      for words in added.leftOut { #expect(SafeText.escape(words) == words) }
      let policy: Adoption?
      do {
        policy = try Adoption.make(
          of: added, .init(name: "p", appliesTo: "all", description: "d", directory: nil))
      } catch {
        #expect(SafeText.escape(ErrorChain(error).line) == ErrorChain(error).line)
        continue
      }
      for line in (policy?.yaml ?? "").split(separator: "\n") { #expect(SafeText.escape(line) == String(line)) }
      try Self.expectPlain(
        AdoptDocument(
          Adopting.Adopted(
            hosts: [drift.host], name: "p", appliesTo: "all", policy: policy, removed: [], leftOut: added.leftOut,
            unreachable: []), file: nil))
    }
  }

  @Test(arguments: HostileTextTests.hostile)
  func `the audit log says it escaped, in its file too`(text: String) throws {
    let path = "/tmp/portcullis-hostile-\(UInt64.random(in: .min ... .max)).ndjson"
    defer { unlink(path) }
    let log = AuditLog(path: path)
    for phase in [AuditEntry.Phase.began, .note] {
      _ = try log.append { sequence in
        var entry = AuditEntry(
          sequence: sequence, time: Self.now, phase: phase, actor: .init(user: text, uid: 0, host: text), verb: text)
        (entry.reason, entry.words) = (AuditEntry.safe(text), AuditEntry.safe(text))
        return entry
      }
    }
    for line in try Files.read(path).split(separator: UInt8(ascii: "\n")) {
      #expect(SafeText.escape(line) == String(decoding: line, as: UTF8.self))
    }
    try Self.expectPlain(AuditListDocument(AuditAction.pair(try log.entries()), since: nil))
    try Self.expectPlain(AuditVerifyDocument(try log.verify(), path: path))
  }
}
