import Core
import Foundation
import Inventory
import Operations
import Store
import Wire

/// A fleet of one policy and these hosts, in a folder of its own that is gone afterwards.
final class FleetFolder: Sendable {
  let path = "/tmp/pf-\(UUID().uuidString)"
  let workspace: Workspace
  let store: FleetStore

  /// - Parameter policy: what policy.yaml says besides its name, group and IPv4 rules.
  init(policy: String, v4: String = FleetFolder.rules, hosts: [String] = ["h1"]) throws {
    let named = hosts.map { "\($0): {}" }.joined(separator: ", ")
    for (name, text) in [
      ("portcullis.yaml", "fleet: lab\n"), ("inventory/hosts.yaml", "all: {hosts: {\(named)}}\n"),
      ("policies/p/policy.yaml", "policy: p\napplies_to: all\n\(policy)"), ("policies/p/rules.v4", v4),
      ("policies/p/rules.v6", Self.rules),
    ] {
      let file = "\(path)/\(name)"
      try Files.makeDirectory((file as NSString).deletingLastPathComponent)
      try Files.write(Array(text.utf8), to: file)
    }
    workspace = try Workspace.open(config: path + "/portcullis.yaml", environment: nil)
    store = try workspace.store()
  }

  deinit {
    try? store.close()
    try? FileManager.default.removeItem(atPath: path)
  }

  /// From now on nobody listens where these hosts are said to be.
  func makeSilent(_ hosts: [String]) throws {
    let named = hosts.map { "\($0): {ansible_host: 127.0.0.1, ansible_port: 1}" }.joined(separator: ", ")
    try Files.write(Array("all: {hosts: {\(named)}}\n".utf8), to: "\(path)/inventory/hosts.yaml")
    try Files.makeDirectory("\(path)/keys")
    try Files.write([], to: "\(path)/keys/known_hosts")
  }

  static let bothHalves = "rules: {ipv4: rules.v4, ipv6: rules.v6}\n"
  static let rules = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
  static let now = UTCTime("2026-11-21T00:00:00Z")!

  /// - Parameter other: a store that was begun in place of this one's.
  func enroll(_ host: String, controllers: [String] = ["192.0.2.1"], in other: FleetStore? = nil) async throws {
    try await (other ?? store).save(
      Enrolment(
        host: HostID(host)!, at: Self.now, agent: Digest(of: []), agentVersion: "0.1.0", architecture: "x86_64",
        backend: .nft, hasGenerationZero: false, controllers: controllers))
  }

  static func report(
    _ host: String, nonce: Nonce = .random(), owners: [ForeignOwner] = [], drifted: Bool = false
  ) -> Report {
    Report(
      nonce: nonce, host: HostID(host)!, fleet: FleetID("lab")!, time: now, bootID: "boot", agentVersion: "0.1.0",
      architecture: "x86_64", kernel: "6.1", backend: .nft, iptablesVersion: "1.8.9", committed: nil, lastFailure: nil,
      families: PerFamily { _ in
        FamilyReport(
          expected: Digest(of: [1]), observed: Digest(of: drifted ? [2] : [1]), save: Digest(of: [3]), chains: [])
      }, owners: owners, otherBackendRules: 0, conflicts: [], degraded: nil, managementSource: "192.0.2.1")
  }
}
