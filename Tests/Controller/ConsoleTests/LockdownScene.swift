import Audit
import Core
import Foundation
import Inventory
import Store
import Wire

@testable import Operations

/// Twenty web servers and two databases with a release that has lockdown profiles, keys of real people, and a stopped
/// clock.
final class LockdownScene {
  static let now = UTCTime("2026-11-22T02:11:09Z")!

  private struct StoppedClock: WallClock {
    func now() -> UTCTime { LockdownScene.now }
  }

  let path = "/tmp/portcullis-lockdown-\(UInt64.random(in: .min ... .max))"
  let workspace: Workspace
  let store: FleetStore
  let inventory: HostInventory

  private static let files = [
    (
      "portcullis.yaml",
      "fleet: shop\nkeys: { allowed_signers: allowed, signing_key: release, lockdown_key: lockdown, thresholds: { lockdown: 2 } }\n"
    ),
    (
      "inventory/hosts.yaml",
      "all: {children: {web: {hosts: {'web[001:020]': {}}}, db: {hosts: {'db[1:2]': {}}}, prod: {children: {web: {}}}}}\n"
    ),
    (
      "policies/base.yaml",
      """
      policy: base
      applies_to: all
      defaults: {input: drop, forward: drop}
      input:
        - accept: {tcp: 22, from: 192.0.2.0/24}
        - accept: {tcp: [80, 443]}
        - accept: {tcp: 3260, from: 10.0.0.0/8}

      """
    ),
    (
      "policies/lockdown/isolate.yaml",
      """
      lockdown: isolate
      rank: 30
      applies_to: all
      defaults: {input: drop, forward: drop, output: drop}
      keep:
        input:
          - {tcp: 3260, from: 10.4.0.0/24}
          - {tcp: 9100, from: 198.51.100.7}

      """
    ),
  ]

  init() async throws {
    for (name, text) in Self.files {
      let file = "\(path)/\(name)"
      try Files.makeDirectory((file as NSString).deletingLastPathComponent)
      try Files.write(Array(text.utf8), to: file)
    }
    workspace = Workspace(configuration: try Configuration.load("\(path)/portcullis.yaml"), clock: StoppedClock())
    inventory = try workspace.inventory()
    store = try workspace.store()
    try await makeKeys()
    for host in inventory.hosts {
      try await store.save(
        Enrolment(
          host: host.id, at: Self.now, agent: Digest(of: []), agentVersion: "0.1.0", architecture: "x86_64",
          backend: .nft, hasGenerationZero: true, controllers: ["192.0.2.10", "2001:db8::10"]))
    }
    let planned = try await Planning(workspace).plan(inventory.hosts, store: store)
    _ = try await Releasing(workspace: workspace, store: store).make(
      planned.content, above: .none, after: .none, reason: "first release")
    try await report()
  }

  deinit {
    try? store.close()
    try? FileManager.default.removeItem(atPath: path)
  }

  /// Bert's key is no file of the configuration.
  var bert: String { "\(path)/bert" }

  private func makeKeys() async throws {
    let keys = workspace.configuration.keys
    _ = try await keys.initialize(principal: "anna@example.net", adopting: nil, passphrase: .none)
    _ = try await Program.sshKeygen.succeed(
      ["-q", "-t", "ed25519", "-C", "", "-N", "", "-f", bert], doing: "make a key")
    let half = String(decoding: try Files.read(bert + ".pub"), as: UTF8.self)
    let known = try Files.read(keys.allowedSignersPath)
    try FileManager.default.removeItem(atPath: keys.allowedSignersPath)
    try Files.write(
      known + Array("bert@example.net namespaces=\"lockdown@portcullis\" \(half)".utf8), to: keys.allowedSignersPath)
  }

  private func report() async throws {
    let bundles = try await store.bundles()
    let reports = inventory.hosts.filter { $0.id.description != "web020" }.map { host in
      ReceivedReport(report(host.id, bundles[host.id]!), receivedAt: Self.now)
    }
    try await store.record(reports: reports)
  }

  private func report(_ host: HostID, _ bundle: StoredBundle) -> Report {
    let name = host.description
    let profile = LockdownReport.Profile(
      name: ProfileName("isolate")!, rank: LockRank(30)!,
      problem: name == "web017" ? "the ipv4 rules of lockdown profile isolate are not on this host" : nil)
    var sockets = [(22, true), (9100, false)]
    sockets += name.hasPrefix("web") ? [(80, true), (443, true)] : [(3260, true)]
    return Report(
      nonce: .random(), host: host, fleet: FleetID("shop")!, time: Self.now, bootID: "boot", agentVersion: "0.1.0",
      architecture: "x86_64", kernel: "6.1", backend: .nft, iptablesVersion: "1.8.9",
      committed: Committed(
        serial: bundle.serial, manifest: bundle.manifestDigest, content: bundle.content, at: Self.now),
      lastFailure: nil,
      families: PerFamily { _ in
        FamilyReport(expected: Digest(of: [1]), observed: Digest(of: [1]), save: Digest(of: [3]), chains: [])
      }, otherBackendRules: 0, conflicts: [], degraded: nil, managementSource: "192.0.2.10",
      lockdown: LockdownReport(lock: nil, heard: .none, profiles: [profile], lastLift: nil),
      // What nobody told of one host.
      listening: name == "web003"
        ? nil
        : ListeningReport(
          sockets.map { port, both in
            ListeningReport.Socket(.tcp, [UInt8](repeating: 0, count: both ? 16 : 4), port: UInt16(port))!
          }))
  }
}
