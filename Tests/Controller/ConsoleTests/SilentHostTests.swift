import Audit
import Console
import Core
import Foundation
import Import
import Rollout
import Store
import Testing
import Wire

@testable import Operations

/// Hosts that were asked and did not answer are told by every verb that asks.
struct SilentHostTests {
  private static let silent = Dictionary(
    uniqueKeysWithValues: (1...3).map { number in
      (HostID("h\(number)")!, "h\(number): no connection within 4 s: 10.77.1.\(number):22: no answer")
    })

  private func json(_ document: some Document) throws -> [String: Any] {
    let text = try DocumentPrinter.render(document, as: .json, colour: false)
    return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  /// The lines between those of the version and the summary, by their type.
  private func records(_ document: some Document) throws -> [String: [[String: Any]]] {
    let lines = try DocumentPrinter.render(document, as: .ndjson, colour: false).split(separator: "\n")
    let records = try lines.dropFirst().dropLast().map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
    return Dictionary(grouping: records) { $0["type"] as? String ?? "" }
  }

  private func plan(_ unreachable: [HostID: String], changes: Bool = false) throws -> PlanDocument {
    let desired = DesiredBundle(
      content: Digest(of: []), mode: "exclusive", rules: PerFamily { _ in RulesText([]) },
      beside: BesideTexts(sets: nil, sysctl: nil))
    let plan = try RolloutPlanner(fleet: FleetID("lab")!, serialBase: .none).plan([
      PlanInput(
        host: HostID("h4")!, desired: changes ? desired : nil, knowledge: changes ? .silent : .notEnrolled)
    ])
    return PlanDocument(
      plan,
      surroundings: [Surroundings(host: HostID("h4")!, mode: "owned", owners: [], warnings: [])], alsoChanging: ["h9"],
      unreachable: unreachable)
  }

  @Test func `plan names them folded, and whole in JSON and when wide`() throws {
    let document = try plan(Self.silent)
    let line = "unreachable, taken as last reported: h[1-3]: no connection within 4 s: no answer\n"
    #expect(document.text(TextStyle()).contains(line))
    #expect(
      document.text(TextStyle(wide: true)).contains("h2: h2: no connection within 4 s: 10.77.1.2:22: no answer\n"))
    let listed = try #require(try json(document)["unreachable"] as? [[String: String]])
    #expect(listed.map { $0["name"] } == ["h1", "h2", "h3"])
    #expect(listed[1]["reason"]?.contains("10.77.1.2:22") == true)
    #expect(document.summary["unreachable"] == 3)
  }

  @Test func `a silent host outranks changes and mistakes in what plan ends with`() throws {
    for (unreachable, errors, tells, code) in [
      (Self.silent, 0, false, Int32(4)), (Self.silent, 2, true, 4), ([:], 0, false, 0), ([:], 1, false, 2),
      ([:], 0, true, 2),
    ] {
      #expect(try plan(unreachable, changes: true).exitCode(errors: errors, tellsChanges: tells) == code)
    }
    #expect(try plan([:]).exitCode(errors: 0, tellsChanges: true) == 0)
  }

  @Test func `each line of ndjson says what it is, and every host that matters has one`() throws {
    let planned = try records(plan(Self.silent))
    #expect(planned.mapValues(\.count) == ["group": 1, "beside": 1, "also-changing": 1, "unreachable": 3])
    #expect(planned["also-changing"]?[0]["hosts"] as? [String] == ["h9"])
    #expect(planned["unreachable"]?[0]["name"] as? String == "h1")
    let release = StoredRelease(
      serial: Serial(7), statement: [1], signatures: [[1]], issued: UTCTime(secondsSinceEpoch: 0),
      expires: UTCTime(secondsSinceEpoch: 9), reason: "why", hosts: 1)
    let applied = try records(apply(release: release, Self.silent))
    #expect(
      applied.mapValues(\.count) == ["release": 1, "host": 1, "left-out": 1, "withdrawn": 1, "unreachable": 3])
    #expect(applied["release"]?[0]["serial"] as? Int == 7)
    let drift = try records(
      DriftDocument(
        [],
        statuses: Self.silent.map { host, why in
          StatusJudge(now: UTCTime(secondsSinceEpoch: 0)).judge(
            host, desired: nil,
            observation: HostObservation(
              lastContactFailure: ContactFailure(at: UTCTime(secondsSinceEpoch: 0), reason: why)))
        }))
    #expect((drift["unreachable"]?[0]["hosts"] as? [String])?.sorted() == ["h1", "h2", "h3"])
    let imported = try records(ImportDocument([], files: [], failed: ["h1": "no login"], warnings: ["h2": ["legacy"]]))
    #expect(imported["failed"]?[0]["reason"] as? String == "no login")
    #expect(imported["warnings"]?[0]["warnings"] as? [String] == ["legacy"])
  }

  private func apply(
    release: StoredRelease? = nil, _ unreachable: [HostID: String]?, leftOut: [HostID] = [HostID("h8")!]
  ) -> ApplyDocument {
    let hosts = release.map { _ in
      Applying.Host(
        host: HostID("h4")!, result: .current(touched: true), at: UTCTime(secondsSinceEpoch: 0))
    }
    return ApplyDocument(
      Applying.Applied(
        release: release, hosts: [hosts].compactMap(\.self), tally: RunTally(), awaiting: [],
        withdrawn: [HostID("h7")!], leftOut: leftOut, unreachable: unreachable))
  }

  @Test func `apply does not say that all is well for hosts that it asked and did not hear`() throws {
    let text = apply(Self.silent, leftOut: []).text(TextStyle())
    #expect(text.hasPrefix("Nothing to do: every host that answered runs what it should.\n"))
    #expect(text.contains("\nunreachable, taken as last reported: h[1-3]: no connection within 4 s: no answer\n"))
    let all = apply([:], leftOut: []).text(TextStyle())
    #expect(all.hasPrefix("Nothing to do: every host runs what it should.\n") && !all.contains("--refresh"))
    #expect(apply(nil).text(TextStyle()).contains("every other host runs what it should (--refresh asks them)"))
    #expect((try json(apply(Self.silent))["unreachable"] as? [Any])?.count == 3)
    #expect(apply(Self.silent).summary["unreachable"] == 3)
  }

  @Test func `status folds them, also where they fell silent at different times`() {
    let judge = StatusJudge(now: UTCTime("2026-11-21T00:00:10Z")!)
    let statuses = Self.silent.sorted { $0.key < $1.key }.enumerated().map { index, host in
      judge.judge(
        host.key, desired: nil,
        observation: HostObservation(
          lastContactFailure: ContactFailure(at: UTCTime("2026-11-21T00:00:0\(index)Z")!, reason: host.value)))
    }
    let document = StatusDocument(statuses)
    let text = document.text(TextStyle())
    #expect(
      text.hasSuffix(
        "\nh[1-3]: no release names this host yet; no contact since …: no connection within 4 s: no answer\n"),
      "\(text)")
    #expect(document.text(TextStyle(wide: true)).contains("no contact since 2026-11-21T00:00:02Z: h3: no connection"))
  }

  @Test func `stale hosts with reports of different ages are one line`() {
    let judge = StatusJudge(now: UTCTime(secondsSinceEpoch: 10_000), staleAfter: 900)
    for at in [1000, 2000] as [Int64] {
      let status = judge.judge(
        HostID("h1")!, desired: nil,
        observation: HostObservation(
          lastReport: ReceivedReport(BesideDocumentTests.report(), receivedAt: UTCTime(secondsSinceEpoch: at))))
      #expect(status.reasons.contains("its last report is older than 900 seconds"), "\(status.reasons)")
    }
  }

  @Test func `observe show tells who did not answer and who was not asked`() throws {
    let document = ObserveDocument(
      Observing.Observed(hosts: [], unreachable: Self.silent, notEnrolled: [HostID("h4")!, HostID("h5")!]))
    let text = document.text(TextStyle())
    #expect(text.contains("unreachable: h[1-3]: no connection within 4 s: no answer\n"), "\(text)")
    #expect(text.hasSuffix("not enrolled, not asked: h[4-5]\n"), "\(text)")
    #expect(try json(document)["not_enrolled"] as? [String] == ["h4", "h5"])
    let lines = try records(document)
    #expect(lines["unreachable"]?.count == 3 && lines["not-enrolled"]?[0]["hosts"] as? [String] == ["h4", "h5"])
    #expect(document.summary["not_enrolled"] == 2)
  }

  @Test func `import folds hosts that could not be read`() {
    let failed = Dictionary(uniqueKeysWithValues: Self.silent.map { ($0.key.description, $0.value) })
    let text = ImportDocument([], files: [], failed: failed).text(TextStyle())
    #expect(text == "h[1-3]: no connection within 4 s: no answer\n")
  }
}
