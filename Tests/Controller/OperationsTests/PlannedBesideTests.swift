import Audit
import Core
import Foundation
import Inventory
import Release
import Rollout
import Ruleset
import Store
import Testing
import Wire

@testable import Operations

/// What a host has beside its rules is compared with the release that it says it runs.
struct PlannedBesideTests {
  private static func policy(_ members: ClosedRange<Int>, sysctl: String) -> String {
    """
    policy: p
    applies_to: all
    defaults: {input: drop}
    sets:
      many: [\(members.map { "198.51.100.\($0)" }.joined(separator: ", "))]
    input:
      - accept: {in: lo}
      - accept: {service: ssh, from: controllers}
      - accept: {tcp: 443, from: many}
    sysctl: {\(sysctl)}

    """
  }

  private func lines(_ folder: FleetFolder) async throws -> [String] {
    let planned = try await Planning(folder.workspace).plan(
      try folder.workspace.inventory().hosts, store: folder.store)
    guard case .rules(let diff) = planned.plan.hosts[0].difference else { return [] }
    return diff.ipv4.lines.map(\.marked)
  }

  /// Kept as `apply` keeps it, and committed by the host.
  private func release(_ folder: FleetFolder) async throws {
    let planned = try await Planning(folder.workspace).plan(
      try folder.workspace.inventory().hosts, store: folder.store)
    let said = try #require(planned.content.byHost[HostID("h1")!])
    let serial = try await folder.store.allocateSerial()
    let manifest = try said.manifest(serial, [])
    try await folder.store.save(
      StoredRelease(
        serial: serial, statement: [1], signatures: [[1]], issued: FleetFolder.now, expires: FleetFolder.now + 60,
        reason: "-", hosts: 1),
      bundles: [
        StoredBundle(
          serial: serial, host: HostID("h1")!, manifest: manifest.encode(), content: manifest.contentDigest, proof: [1],
          rules: said.rules?.map { $1.digest }, sets: said.sets?.digest, sysctl: said.sysctl?.digest)
      ], texts: Dictionary(said.texts.map { ($0.digest, $0.bytes) }) { first, _ in first })
    var report = FleetFolder.report("h1")
    report.committed = Committed(
      serial: serial, manifest: Digest(of: manifest.encode()), content: manifest.contentDigest, at: FleetFolder.now)
    try await folder.store.record(reports: [ReceivedReport(report, receivedAt: FleetFolder.now)])
  }

  @Test func `a plan shows the settings and members of a first release, and then what changes of them`() async throws {
    let folder = try FleetFolder(policy: FleetFolder.bothHalves)
    try FileManager.default.removeItem(atPath: "\(folder.path)/policies/p")
    let file = "\(folder.path)/policies/p.yaml"
    try Files.write(Array(Self.policy(1...70, sysctl: "net.ipv4.ip_forward: 1").utf8), to: file)
    try await folder.enroll("h1")
    let first = try await lines(folder)
    #expect(first.starts(with: ["*sysctl", "+net.ipv4.ip_forward = 1"]), "\(first)")
    #expect(first.contains("*ipset") && first.last == "+198.51.100.70", "\(first)")

    try await release(folder)
    #expect(try await lines(folder).isEmpty)

    let changed = Self.policy(2...71, sysctl: "net.ipv4.ip_forward: 1, net.ipv4.conf.all.rp_filter: 0")
    try Files.write(Array(changed.utf8), to: file)
    let next = try await lines(folder)
    #expect(next.starts(with: ["*sysctl", "+net.ipv4.conf.all.rp_filter = 0", "*filter"]), "\(next)")
    #expect(next.suffix(2) == ["-198.51.100.1", "+198.51.100.71"], "\(next)")
    #expect(next.contains { $0.hasPrefix("+-A ") && $0.contains("--match-set PCL-") }, "\(next)")
  }
}
