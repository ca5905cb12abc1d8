import Audit
import Core
import Foundation
import Inventory
import Policy
import Release
import Rollout
import Ruleset
import Store
import Testing
import Wire

@testable import Operations

/// Lockdown profiles on their way from the policies' files to the bundles of hosts.
struct ProfileReleaseTests {
  private static let h1 = HostID("h1")!

  private func fleet() async throws -> FleetFolder {
    let fleet = try FleetFolder(policy: FleetFolder.bothHalves, hosts: ["h1", "h2"])
    try Files.makeDirectory("\(fleet.path)/policies/lockdown")
    for host in ["h1", "h2"] { try await fleet.enroll(host) }
    return fleet
  }

  private func write(
    _ name: String, rank: Int = 30, _ rest: String = "defaults: {input: drop}", of fleet: FleetFolder
  ) throws {
    try Files.write(
      Array("lockdown: \(name)\nrank: \(rank)\napplies_to: all\n\(rest)\n".utf8),
      to: "\(fleet.path)/policies/lockdown/\(name).yaml")
  }

  private func plan(
    _ fleet: FleetFolder, _ change: Planning.Change = .policies()
  ) async throws -> Planning.Planned {
    try await Planning(fleet.workspace).plan(
      try fleet.workspace.inventory().hosts, store: fleet.store, change: change)
  }

  /// Signed, kept and, as far as the store knows, committed by every host.
  @discardableResult
  private func release(_ planned: Planning.Planned, _ fleet: FleetFolder) async throws -> Serial {
    let serial = try await fleet.store.allocateSerial()
    let said = planned.content.byHost
    let built = try ReleaseBuilder.build(
      fleet: FleetID("lab")!, serial: serial, issued: FleetFolder.now, expires: FleetFolder.now + 60,
      manifests: try said.values.map { try $0.manifest(serial, []) })
    try await fleet.store.save(
      StoredRelease(
        serial: serial, statement: built.statement.encode(), signatures: [[1]], issued: FleetFolder.now,
        expires: FleetFolder.now + 60, reason: "-", hosts: said.count),
      bundles: built.hosts.map { Releasing.stored($0, said[$0.manifest.host]!, serial) },
      texts: Dictionary(
        said.values.flatMap { said in
          said.texts.map { ($0.digest, $0.bytes) }
            + (said.traces.map { [($0.ipv4.digest, $0.ipv4.encoded), ($0.ipv6.digest, $0.ipv6.encoded)] } ?? [])
        }
      ) { first, _ in first })
    for host in built.hosts.map(\.manifest) {
      var report = FleetFolder.report(host.host.description)
      report.committed = Committed(
        serial: serial, manifest: Digest(of: host.encode()), content: host.contentDigest, at: FleetFolder.now)
      try await fleet.store.record(reports: [ReceivedReport(report, receivedAt: FleetFolder.now)])
    }
    return serial
  }

  private func lines(_ planned: Planning.Planned) -> [[String]] {
    guard case .rules(let diff) = planned.plan.hosts[0].difference else { return [] }
    return [diff.ipv4, diff.ipv6].map { $0.lines.filter { $0.kind != .context }.map(\.marked) }
  }

  @Test func `a release stages the profiles of each host, and a host takes its bundle with them`() async throws {
    let fleet = try await fleet()
    try write("isolate", "defaults: {input: drop, forward: drop, output: drop}", of: fleet)
    try write("no-ingress", rank: 20, of: fleet)
    let planned = try await plan(fleet)
    #expect(lines(planned)[0].contains { $0.hasPrefix("+:isolate   (rank 30, ") })
    let serial = try await release(planned, fleet)
    let files = try #require(try await fleet.store.bundleFiles(for: Self.h1, serial: serial))
    let manifest = try Manifest.parse(files[.manifest]!)
    #expect(manifest.profiles.map(\.name.description) == ["isolate", "no-ingress"])
    for (index, profile) in manifest.profiles.enumerated() {
      for family in Family.allCases {
        let text = try #require(files[.lockdown(index, family)])
        #expect(profile.files[family] == Manifest.File(describing: text))
        _ = try LockLayer(parsing: text, family)
      }
    }
    #expect(files[.lockdown(2, .ipv4)] == nil)
    #expect(try await plan(fleet).plan.touched.isEmpty)
  }

  @Test func `a profile that changes makes hosts pending and shows its rules; without one a manifest is as before`()
    async throws
  {
    let fleet = try await fleet()
    let before = try #require(try await plan(fleet).content.byHost[Self.h1]).content
    try write("quiet", of: fleet)
    try await release(try await plan(fleet), fleet)
    try write("quiet", "defaults: {input: drop}\nkeep: {input: [{udp: 5405}]}", of: fleet)
    let changed = try await plan(fleet)
    #expect(changed.plan.hosts[0].reason == "lockdown profiles change, the rules do not")
    #expect(lines(changed)[0].first == "*lockdown" && lines(changed)[0].count == 4, "\(lines(changed))")
    #expect(lines(changed)[1].contains("+-A INPUT -p udp -m udp --dport 5405 -j RETURN"))
    try await release(changed, fleet)
    try write("quiet", rank: 31, "defaults: {input: drop}\nkeep: {input: [{udp: 5405}]}", of: fleet)
    #expect(
      lines(try await plan(fleet))[1].map { $0.prefix(17) } == ["*lockdown", "-:quiet   (rank 3", "+:quiet   (rank 3"])
    try FileManager.default.removeItem(atPath: "\(fleet.path)/policies/lockdown")
    let without = try await plan(fleet)
    #expect(without.content.byHost[Self.h1]?.content == before)
    #expect(lines(without)[0].count == 2 && lines(without)[0][1].hasPrefix("-:quiet"))
  }

  @Test func `who goes back to an earlier release gets the profiles of then, and a withdrawn host none`() async throws {
    let fleet = try await fleet()
    try write("quiet", of: fleet)
    let first = try await release(try await plan(fleet), fleet)
    try write("quiet", rank: 31, of: fleet)
    try await release(try await plan(fleet), fleet)
    let back = try await plan(fleet, .earlier(first))
    let said = try #require(back.content.byHost[Self.h1])
    #expect(said.profiles.map(\.rank.value) == [30])
    #expect(try said.manifest(Serial(9), []).profiles.map(\.rank.value) == [30])
    let withdrawn = try #require(try await plan(fleet, .withdrawal).content.byHost[Self.h1])
    #expect(try withdrawn.profiles.isEmpty && withdrawn.manifest(Serial(9), []).profiles.isEmpty)
  }

  @Test func `texts of profiles are kept as long as a release that names them, and no longer`() async throws {
    let fleet = try await fleet()
    var texts: [Digest] = []
    for port in 1...3 {
      try write("quiet", "defaults: {input: drop}\nkeep: {input: [{udp: \(port)}]}", of: fleet)
      let planned = try await plan(fleet)
      texts.append(try #require(planned.content.byHost[Self.h1]?.profiles.first).rules.ipv4.digest)
      try await release(planned, fleet)
    }
    try await fleet.store.pruneBundles(keepingReleases: 1)
    let kept = try await fleet.store.texts(Set(texts))
    #expect(Set(kept.keys) == [texts[2]])
    #expect(try await fleet.store.bundleFiles(for: Self.h1)?[.lockdown(0, .ipv4)] == kept[texts[2]])
  }
}
