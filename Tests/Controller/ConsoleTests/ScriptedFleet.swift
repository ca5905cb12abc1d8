import Audit
import Core
import Foundation
import Inventory
import Store
import Wire

@testable import Operations

/// 10,000 hosts in a real store, and a night of theirs. Nothing in it is random, and every time is fixed.
final class ScriptedFleet {
  /// Three in the morning, and somebody is called.
  static let now = UTCTime("2026-11-22T03:00:00Z")!

  private struct StoppedClock: WallClock {
    func now() -> UTCTime { ScriptedFleet.now }
  }

  let path: String
  let workspace: Workspace
  let store: FleetStore
  let inventory: [InventoryHost]
  private var hosts: [HostID: ScriptedHost] = [:]
  private let ids: [HostID]

  init() async throws {
    path = "/tmp/portcullis-scripted-\(UInt64.random(in: .min ... .max))"
    try Files.makeDirectory("\(path)/state", mode: 0o700)
    try Files.write(Array("fleet: shop\ninventory: hosts.yaml\n".utf8), to: "\(path)/portcullis.yaml")
    try Files.write(
      Array(
        "all: {hosts: {'web[0001:6000]': {}, 'app[0001:3000]': {}, 'db[0001:0900]': {}, 'edge[001:100]': {}}}\n".utf8),
      to: "\(path)/hosts.yaml")
    workspace = Workspace(
      configuration: try Configuration.load("\(path)/portcullis.yaml"), clock: StoppedClock())
    inventory = try workspace.inventory().hosts
    ids = inventory.map(\.id)
    store = try FleetStore(path: "\(path)/state/fleet.sqlite", fleet: FleetID("shop")!)
    try await live()
  }

  deinit {
    try? store.close()
    if getenv("PORTCULLIS_KEEP_SCRIPTED") == nil {
      try? FileManager.default.removeItem(atPath: path)
    } else {
      print("the scripted fleet is kept: \(path)")
    }
  }

  // MARK: - Looking at it

  func statuses(_ pattern: String = "all") async throws -> [HostStatus] {
    let chosen = pattern == "all" ? inventory : inventory.filter { $0.id.description == pattern }
    return try await Observation(workspace: workspace, limits: ContactLimits()).statuses(chosen, store: store)
  }

  /// As a sweep would have found it at `now`.
  func drifts(_ statuses: [HostStatus]) async throws -> [HostDrift] {
    let differing = statuses.filter { $0.integrity == .drifted || $0.integrity == .waived }
    let drifts = differing.map { status in
      let drift = drift(status.host)
      guard status.host.description.hasPrefix("db") else {
        return drift.untraced(because: "this controller does not have the release that was committed there")
      }
      return drift.traced { _, _ in SourceLocation(file: "policies/db.yaml", line: 9, column: 3) }
    }
    return try await DriftHunt(workspace, limits: ContactLimits()).known(drifts, statuses, store)
  }

  private func drift(_ host: HostID) -> HostDrift {
    let known = hosts[host]!
    return HostDrift(
      host: host,
      texts: PerFamily { family in
        DriftTexts(expected: Array(known.expected[family].utf8), observed: Array(known.observed[family].utf8))
      })
  }

  // MARK: - What happens

  private func live() async throws {
    for id in ids { hosts[id] = ScriptedHost(id) }
    try await release(11, "2026-11-20T10:00:00Z", .enrolled, "apply", by: "alice", "first release", ids) { _ in
      .committed
    }
    try await release(12, "2026-11-21T14:00:00Z", .applied, "apply", by: "bob", "INC-40: open 8443", ids) { host in
      switch host {
      case "edge091"..."edge100": .pending
      case "app0100": .failed
      case "app0101"..."app0103": .reverted
      default: .committed
      }
    }

    // Somebody answers for what a vendor needs.
    change(["db0009"]) { $0.add("-A INPUT -p tcp -m tcp --dport 9999 -j ACCEPT") }
    try await sweep("2026-11-21T20:00:00Z", only: ["db0009"])
    try await waive("db0009", at: "2026-11-21T20:05:00Z")

    try await sweep("2026-11-22T01:30:00Z", silent: { $0 > "edge090" })
    theNight()
    let late = Set((41...60).map { "edge0\($0)" })
    try await sweep("2026-11-22T02:03:00Z", except: late, silent: { $0 > "edge090" || $0 < "edge041" })
    try await mend()
    try await sweep("2026-11-22T02:58:00Z", except: late, silent: { $0 > "edge090" || $0 < "edge041" })
    try await store.remember(
      ids.filter { hosts[$0]!.expected != hosts[$0]!.observed }.compactMap { id in
        DriftSides(hosts[id]!.report).flatMap { KnownDifference(drift(id), $0) }
      })
  }

  private func theNight() {
    change(["web0003", "web0017", "web0018", "web0019"]) {
      $0.add("-A INPUT -p tcp -m tcp --dport 8081 -j ACCEPT")
    }
    change(["db0007"]) { $0.replace(":INPUT DROP", ":INPUT ACCEPT") }
    change(["db0008"]) { $0.replace("-A INPUT -p tcp -m tcp --dport 5432 -j ACCEPT\n", "") }
    change(["app0042", "app0043"]) {
      $0.set("net.ipv4.ip_forward", from: "0", to: "1")
    }
    // Its owner's idea of a joke.
    change(["app0666"]) {
      $0.add("-A INPUT -m comment --comment \"\u{1b}[2J\u{202e}ok\" -j ACCEPT")
      $0.report.conflicts = ["ufw\u{9b}31m"]
    }
    change(["app0050"]) {
      $0.report.degraded = "ip6tables-restore: line 3: \u{1b}]0;owned\u{7} unknown option \"--dports\""
    }
    change(["app0060"]) { $0.report.bootID = "b2" }
    change(["app0061", "app0062"]) { $0.add("-A INPUT -p gre -j ACCEPT") }
    change(["app0700", "app0701"]) {
      $0.tellProfiles(problem: "it does not load: iptables-restore: Couldn't load match `conntrack'")
    }
    change(["web0700"]) {
      $0.tellProfiles(
        lock: LockReport(
          epoch: Epoch(7), order: Digest(of: [7]), profile: ProfileName("isolate")!, rank: LockRank(30)!,
          principals: ["anna"], reason: "INC-44: \u{1b}[2Jstolen key", phase: .locked,
          since: UTCTime("2026-11-22T02:00:00Z")!, secondsLeft: 7200, serial: Serial(12),
          differences: PerFamily(ipv4: nil, ipv6: nil)))
    }
    change(["web0500"]) { $0.ahead = 150_000_000 }
    change(["web0600"]) {
      $0.report.iptablesVersion = "1.8.11"
      $0.report.renewal = Renewal(from: "1.8.9 nft", to: "1.8.11 nft", at: UTCTime("2026-11-22T01:59:00Z")!)
    }
  }

  private func mend() async throws {
    change(["app0061", "app0062"]) { $0.observed = $0.expected }
    try await release(
      13, "2026-11-22T02:30:00Z", .repaired, "drift repair", by: "alice", "INC-43: nobody asked for gre",
      [HostID("app0061")!]
    ) { _ in .committed }
    try await store.record(reports: [heard(HostID("app0062")!, UTCTime("2026-11-22T02:31:00Z")!)])
  }

  private func waive(_ name: String, at text: String) async throws {
    let id = HostID(name)!
    let drift = drift(id)
    try await store.save(waivers: [
      Waiver(
        host: id, difference: drift.exact!, words: drift.summary, ends: UTCTime("2026-12-01T00:00:00Z")!,
        reason: "INC-42: vendor's debug port", actor: "bob", made: UTCTime(text)!)
    ])
  }

  // MARK: - How it is told to the store

  private func change(_ names: [String], _ body: (inout ScriptedHost) -> Void) {
    for name in names {
      body(&hosts[HostID(name)!]!)
      hosts[HostID(name)!]!.tellRules()
    }
  }

  private func release(
    _ number: UInt64, _ text: String, _ deed: OurDeed, _ verb: String, by actor: String, _ reason: String,
    _ ids: [HostID], _ outcome: (String) -> DeliveryAttempt.Result
  ) async throws {
    let at = UTCTime(text)!
    let serial = try await store.allocateSerial(above: Serial(number - 1))
    // A repair brings the same again.
    func content(_ id: HostID) -> Digest { Digest(of: "\(min(number, 12)) \(id)".utf8) }
    let rules = Array("*filter\nCOMMIT\n".utf8)
    try await store.save(
      StoredRelease(
        serial: serial, statement: Array("\(number)".utf8), signatures: [[1]], issued: at, expires: at + 86_400,
        reason: reason, hosts: ids.count),
      bundles: ids.map {
        StoredBundle(
          serial: serial, host: $0, manifest: Array("\(number) \($0)".utf8), content: content($0), proof: [],
          rules: PerFamily { _ in Digest(of: rules) })
      }, texts: [Digest(of: rules): rules])
    let run = try await store.beginRun(verb: verb, actor: actor, reason: reason, serial: serial, at: at)
    var attempts: [HostID: DeliveryAttempt] = [:]
    var reports: [ReceivedReport] = []
    for (index, id) in ids.enumerated() {
      // Hosts answer over half a minute.
      let time = at + Int64(index / 400)
      let result = outcome(id.description)
      let detail =
        switch result {
        case .failed: "ip6tables-restore: line 7 failed"
        case .reverted: "no new connection could be made within 14 s, so the host went back"
        case .pending: "no answer from 192.0.2.\(index % 250)"
        case .committed, .unknown: ""
        }
      attempts[id] = DeliveryAttempt(content: content(id), serial: serial, result: result, detail: detail, at: time)
      guard result != .pending else { continue }
      if result == .committed {
        hosts[id]!.commit(
          Committed(serial: serial, manifest: Digest(of: "\(number)".utf8), content: content(id), at: time))
      } else {
        hosts[id]!.report.lastFailure = LastFailure(
          serial: serial, result: result == .failed ? .failed : .reverted, detail: detail)
      }
      reports.append(heard(id, time))
    }
    try await store.record(attempts: attempts)
    try await store.record(reports: reports, after: deed)
    try await store.endRun(run, exitCode: 0, at: at + 60)
  }

  /// - Parameter silent: whether an edge host does not answer.
  private func sweep(
    _ text: String, only: Set<String>? = nil, except: Set<String> = [],
    silent: (String) -> Bool = { _ in false }
  ) async throws {
    let at = UTCTime(text)!
    var reports: [ReceivedReport] = []
    var failures: [HostID: ContactFailure] = [:]
    for (index, id) in ids.enumerated() {
      let name = id.description
      guard only?.contains(name) ?? true, !except.contains(name) else { continue }
      let time = at + Int64(index / 400)
      if name.hasPrefix("edge"), silent(name) {
        failures[id] = ContactFailure(at: time, reason: "connect to 192.0.2.\(index % 250):22: no route to host")
      } else {
        reports.append(heard(id, time))
      }
    }
    try await store.record(reports: reports)
    try await store.record(contactFailures: failures)
  }

  private func heard(_ id: HostID, _ at: UTCTime) -> ReceivedReport {
    var report = hosts[id]!.report
    report.time = at + hosts[id]!.ahead
    return ReceivedReport(report, receivedAt: at)
  }
}
