import Audit
import Core
import Foundation
import Inventory
import Release
import Rollout
import Store
import Testing
import Wire

@testable import Operations

/// What rollback, withdrawal and reinstatement make of every host, from a store with two releases.
final class PlanningTests {
  let folder = "/tmp/pp-\(UUID().uuidString)"
  let start = UTCTime("2026-11-21T00:00:00Z")!

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  static func rules(_ extra: String = "") -> String {
    "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\n\(extra)COMMIT\n"
  }

  func workspace() throws -> Workspace {
    for (name, text) in [
      ("portcullis.yaml", "fleet: lab\n"),
      ("inventory/hosts.yaml", "all: { children: { web: { hosts: { h001: {}, h002: {} } } } }\n"),
      (
        "policies/web/policy.yaml",
        "policy: web\ndescription: Web.\napplies_to: web\nrules: { ipv4: rules.v4, ipv6: rules.v6 }\n"
      ), ("policies/web/rules.v4", Self.rules()), ("policies/web/rules.v6", Self.rules()),
    ] {
      let path = "\(folder)/\(name)"
      try Files.makeDirectory((path as NSString).deletingLastPathComponent)
      try Files.write(Array(text.utf8), to: path)
    }
    return try Workspace.open(config: folder + "/portcullis.yaml", environment: nil)
  }

  /// Release 1 says of both hosts one thing, release 2 another.
  func released(_ workspace: Workspace, _ store: FleetStore) async throws {
    for name in ["h001", "h002"] {
      try await store.save(
        Enrolment(
          host: HostID(name)!, at: start, agent: Digest(of: []), agentVersion: "0.1.0", architecture: "x86_64",
          backend: .nft, hasGenerationZero: true, controllers: ["192.0.2.9"]))
    }
    for port in [80, 443] {
      let text = Array(Self.rules("-A INPUT -p tcp -m tcp --dport \(port) -j ACCEPT\n").utf8)
      try await save(
        ["h001", "h002"].map { name in
          { serial in
            try Manifest(
              fleet: FleetID("lab")!, host: HostID(name)!, serial: serial, grants: [.takeOver], mode: .exclusive,
              labels: ["web"], sources: ["192.0.2.9"],
              files: PerFamily { _ in .init(size: text.count, digest: Digest(of: text)) })
          }
        }, text, store)
    }
  }

  private func save(
    _ manifests: [(Serial) throws -> Manifest], _ text: [UInt8]?, _ store: FleetStore
  ) async throws {
    let serial = try await store.allocateSerial()
    let bundles = try manifests.map { make in
      let manifest = try make(serial)
      return StoredBundle(
        serial: serial, host: manifest.host, manifest: manifest.encode(), content: manifest.contentDigest, proof: [1],
        rules: manifest.files?.map { _, file in file.digest })
    }
    try await store.save(
      StoredRelease(
        serial: serial, statement: [1, UInt8(serial.value)], signatures: [[1]], issued: start, expires: start + 86_400,
        reason: "-", hosts: bundles.count),
      bundles: bundles, texts: text.map { [Digest(of: $0): $0] } ?? [:])
  }

  @Test func `going back says of the chosen host what was said then, and of others what was said last`() async throws {
    let workspace = try workspace()
    let store = try workspace.store()
    try await released(workspace, store)
    let h001 = try workspace.inventory().hosts(matching: "h001")
    let planned = try await Planning(workspace).plan(h001, store: store, change: .earlier(Serial(1)))
    let first = try await store.bundle(for: HostID("h001")!, serial: Serial(1))!
    let second = try await store.bundle(for: HostID("h002")!, serial: Serial(2))!
    #expect(planned.content.byHost[HostID("h001")!]?.content == first.content)
    #expect(planned.content.byHost[HostID("h002")!]?.content == second.content)
    #expect(planned.plan.touched.map(\.host) == [HostID("h001")!])
    // A new serial, the same content, and none of the grants that were for once.
    let manifest = try planned.content.byHost[HostID("h001")!]!.manifest(Serial(3), [])
    #expect(manifest.serial == Serial(3) && manifest.contentDigest == first.content && manifest.grants.isEmpty)
    try store.close()
  }

  @Test func `a release that is not there, or does not name the host, is no way back`() async throws {
    let workspace = try workspace()
    let store = try workspace.store()
    try await released(workspace, store)
    let hosts = try workspace.inventory().hosts
    await #expect(throws: Failure.self) {
      try await Planning(workspace).plan(hosts, store: store, change: .earlier(Serial(9)))
    }
    try await store.save(
      Enrolment(
        host: HostID("h003")!, at: start, agent: Digest(of: []), agentVersion: "0.1.0", architecture: "x86_64",
        backend: .nft, hasGenerationZero: true, controllers: []))
    try Files.write(
      Array("all: { children: { web: { hosts: { h001: {}, h003: {} } } } }\n".utf8),
      to: folder + "/inventory/hosts.yaml")
    let third = try workspace.inventory().hosts(matching: "h003")
    for change in [Planning.Change.earlier(Serial(1)), .withdrawal] {
      do {
        _ = try await Planning(workspace).plan(third, store: store, change: change)
        Issue.record("planned")
      } catch {
        #expect(ErrorChain(error).message.contains("h003") && ErrorChain(error).kind == .usage)
      }
    }
    try store.close()
  }

  @Test func `a withdrawn host stays so until somebody names it`() async throws {
    let workspace = try workspace()
    let store = try workspace.store()
    try await released(workspace, store)
    let hosts = try workspace.inventory().hosts
    let h001 = hosts.filter { $0.id == HostID("h001")! }
    let planned = try await Planning(workspace).plan(h001, store: store, change: .withdrawal)
    let said = planned.content.byHost
    #expect(said[HostID("h001")!]?.mode == "withdrawn" && said[HostID("h001")!]?.rules == nil)
    #expect(said[HostID("h002")!]?.mode == "exclusive")
    #expect(planned.plan.hosts.map(\.action) == [.install] || planned.plan.hosts.map(\.action) == [.withdraw])
    try await save(said.values.map { host in { try host.manifest($0, []) } }, nil, store)

    // The policies still apply to it, and it is left as it is all the same.
    let next = try await Planning(workspace).plan(hosts, store: store).content.byHost
    #expect(next[HostID("h001")!]?.mode == "withdrawn")
    #expect(next[HostID("h001")!]?.content == said[HostID("h001")!]?.content)
    #expect(next[HostID("h002")!]?.mode != "withdrawn")
    let statuses = try await Observation(workspace: workspace, limits: ContactLimits()).statuses(hosts, store: store)
    #expect(statuses.map { $0.reasons.contains { $0.contains("is withdrawn") } } == [true, false])
    let back = try await Planning(workspace).plan(
      hosts, store: store, change: .policies(reinstating: [HostID("h001")!])
    ).content.byHost
    #expect(back[HostID("h001")!]?.mode != "withdrawn")
    try store.close()
  }

  @Test func `a word for a change that nobody waits with is refused, and a waiting one is shown`() async throws {
    let workspace = try workspace()
    let store = try workspace.store()
    try await released(workspace, store)
    let hosts = try workspace.inventory().hosts
    let settling = Settling(workspace, limits: ContactLimits())
    do {
      _ = try await settling.changes(of: hosts, for: .confirm, store: store)
      Issue.record("there is one")
    } catch {
      #expect(ErrorChain(error).kind == .refused)
    }
    let change = AwaitingChange(
      host: HostID("h002")!,
      confirmation: ChangeConfirmation(transaction: .random(), manifest: Digest(of: []), nonce: .random()),
      content: Digest(of: []), serial: Serial(2), until: workspace.clock.now() + 60)
    try await store.save(awaiting: [change])
    #expect(try await settling.changes(of: hosts, for: .cancel, store: store) == [change])
    let other = try workspace.inventory().hosts(matching: "h001")
    await #expect(throws: Failure.self) { try await settling.changes(of: other, for: .cancel, store: store) }
    let statuses = try await Observation(workspace: workspace, limits: ContactLimits()).statuses(hosts, store: store)
    #expect(statuses.map { $0.reasons.contains { $0.contains("waits for 'portcullis confirm'") } } == [false, true])
    var report = FleetFolder.report("h002")
    report.pending = PendingChange(
      transaction: change.confirmation.transaction, manifest: change.confirmation.manifest, serial: change.serial,
      millisecondsLeft: 60_000, isManual: true)
    try await store.record(reports: [ReceivedReport(report, receivedAt: workspace.clock.now())])
    let said = try await Observation(workspace: workspace, limits: ContactLimits()).statuses(hosts, store: store)
    #expect(said[1].reasons.filter { $0.contains("confirm") }.count == 1)
    try store.close()
  }
}
