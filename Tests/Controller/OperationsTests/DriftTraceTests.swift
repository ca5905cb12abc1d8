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

/// Which line of which policy a rule came from that a host has lost.
struct DriftTraceTests {
  static let typed = """
    policy: p
    applies_to: all
    defaults: {input: drop}
    input:
      - accept: {in: lo}
      - accept: {service: ssh, from: controllers}
      - accept: {tcp: 443}

    """

  /// Hosts h1, h2 … of which the first release is kept as `apply` keeps it.
  static func fleet(_ policy: String = typed, hosts: [String] = ["h1"], isTraced: Bool = true) async throws -> Fleet {
    let folder = try FleetFolder(policy: FleetFolder.bothHalves, hosts: hosts)
    let directory = "\(folder.path)/policies"
    try FileManager.default.removeItem(atPath: "\(directory)/p")
    try Files.write(Array(policy.utf8), to: "\(directory)/p.yaml")
    for host in hosts { try await folder.enroll(host) }
    let inventory = try folder.workspace.inventory()
    let planned = try await Planning(folder.workspace).plan(inventory.hosts, store: folder.store)
    let serial = try await folder.store.allocateSerial()
    var texts: [Digest: [UInt8]] = [:]
    var bundles: [StoredBundle] = []
    for (host, said) in planned.content.byHost {
      let manifest = try said.manifest(serial, [])
      for text in said.texts { texts[text.digest] = text.bytes }
      for family in Family.allCases { said.traces.map { texts[$0[family].digest] = $0[family].encoded } }
      bundles.append(
        StoredBundle(
          serial: serial, host: host, manifest: manifest.encode(), content: manifest.contentDigest, proof: [1],
          rules: said.rules?.map { $1.digest }, traces: isTraced ? said.traces?.map { $1.digest } : nil))
      var report = FleetFolder.report(host.description, drifted: true)
      report.committed = Committed(
        serial: serial, manifest: Digest(of: manifest.encode()), content: manifest.contentDigest, at: FleetFolder.now)
      try await folder.store.record(reports: [ReceivedReport(report, receivedAt: FleetFolder.now)])
    }
    try await folder.store.save(
      StoredRelease(
        serial: serial, statement: [1], signatures: [[1]], issued: FleetFolder.now, expires: FleetFolder.now + 60,
        reason: "-", hosts: bundles.count), bundles: bundles, texts: texts)
    return Fleet(folder: folder, rules: planned.content.byHost.mapValues { $0.rules!.map { $1.bytes } })
  }

  struct Fleet {
    let folder: FleetFolder
    let rules: [HostID: PerFamily<[UInt8]>]

    /// The host's own words for what it committed, and the same without the rules of this port.
    func drift(_ host: String, without port: String = "443") throws -> HostDrift {
      let texts = try rules[HostID(host)!]!.map { family, text in
        let owned = OwnedRules(
          try Ruleset.parse(policy: text, file: "rules", family: family), forwardsForeign: false)
        let words = String(decoding: Ruleset(tables: owned.tables).canonical(), as: UTF8.self)
          .replacing("-m tcp --dport", with: "--destination-port").split(
            separator: "\n", omittingEmptySubsequences: false)
        return DriftTexts(
          expected: Array(words.joined(separator: "\n").utf8),
          observed: Array(words.filter { !$0.contains(" \(port) ") }.joined(separator: "\n").utf8))
      }
      return HostDrift(host: HostID(host)!, texts: texts)
    }

    func traced(_ drifts: [HostDrift]) async throws -> [HostDrift] {
      try await DriftHunt(folder.workspace, limits: ContactLimits(parallel: 1, timeout: patience))
        .traced(drifts, folder.store)
    }
  }

  @Test func `a lost rule leads to its line, as the policy was when the release was made`() async throws {
    let fleet = try await Self.fleet()
    let path = "\(fleet.folder.path)/policies/p.yaml"
    try Files.write(Array(("# a line\n# another\n" + Self.typed).utf8), to: path)
    let drift = try await fleet.traced([try fleet.drift("h1")])[0]
    guard case .differs(let diffs) = drift.finding else {
      Issue.record("\(drift.finding)")
      return
    }
    for family in Family.allCases {
      let found = zip(diffs[family].lines, drift.sources[family]).filter { $1 != nil }
      #expect(found.map { "\($0.kind) \($1!.line)" } == ["removed 7"], "\(diffs[family].text)")
      #expect(found.first?.1?.file.hasSuffix("/policies/p.yaml") == true)
    }
  }

  @Test func `rules put in by hand, and the rule that stands for a default, lead nowhere`() async throws {
    let fleet = try await Self.fleet()
    let own = try fleet.drift("h1", without: "DROP")
    #expect(try await fleet.traced([own])[0].sources.ipv4.allSatisfy { $0 == nil })
    let rules = try fleet.rules[HostID("h1")!]!.map { family, text in
      let owned = OwnedRules(try Ruleset.parse(policy: text, file: "rules", family: family), forwardsForeign: false)
      let words = String(decoding: Ruleset(tables: owned.tables).canonical(), as: UTF8.self)
      // One rule more on the host than we wrote: positions prove nothing any more.
      let longer = words.replacing("-A PCL-INPUT -j DROP", with: "-A PCL-INPUT -p gre -j DROP\n-A PCL-INPUT -j DROP")
      return DriftTexts(
        expected: Array(longer.utf8), observed: Array(words.replacing("-A PCL-INPUT -i lo -j ACCEPT\n", with: "").utf8))
    }
    let drift = try await fleet.traced([HostDrift(host: HostID("h1")!, texts: rules)])[0]
    #expect(!drift.sources.ipv4.isEmpty && drift.sources.ipv4.allSatisfy { $0 == nil })
  }

  @Test func `hosts fold when the same line of the same file is missing, and only then`() async throws {
    let fleet = try await Self.fleet(hosts: ["h1", "h2"])
    let alike = try await fleet.traced(try ["h1", "h2"].map { try fleet.drift($0) })
    #expect(DriftGroup.fold(alike).map(\.hosts.count) == [2])
    let elsewhere = alike[1].traced { _, _ in Core.SourceLocation(file: "other.yaml", line: 7, column: 1) }
    #expect(DriftGroup.fold([alike[0], elsewhere]).map(\.hosts.count) == [1, 1])
  }

  @Test func `what has no rule gone needs no release to say where it came from`() async throws {
    let fleet = try await Self.fleet()
    let added = HostDrift(
      host: HostID("h1")!,
      texts: PerFamily { _ in
        DriftTexts(
          expected: Array("*filter\n:INPUT DROP [0:0]\nCOMMIT\n".utf8),
          observed: Array("*filter\n:INPUT DROP [0:0]\n-A INPUT -p gre -j ACCEPT\nCOMMIT\n".utf8))
      })
    let removed = try fleet.drift("h1")
    #expect(!added.hasSources && removed.hasSources)
    let traced = try await fleet.traced([added])[0]
    #expect(traced.key == added.key && traced.untraced == nil)
    let bundles = try await fleet.folder.store.committedBundles(of: [HostID("h1")!, HostID("h9")!])
    #expect(bundles.keys.map(\.description) == ["h1"])
  }

  @Test func `where nobody knows the line, that is said`() async throws {
    let fleet = try await Self.fleet(isTraced: false)
    let old = try await fleet.traced([try fleet.drift("h1")])[0]
    #expect(old.untraced == "the release that was committed there does not say where its rules come from")
    var report = FleetFolder.report("h1", drifted: true)
    report.committed = Committed(
      serial: Serial(9), manifest: Digest(of: [9]), content: Digest(of: [9]), at: FleetFolder.now)
    try await fleet.folder.store.record(reports: [ReceivedReport(report, receivedAt: FleetFolder.now)])
    #expect(
      try await fleet.traced([try fleet.drift("h1")])[0].untraced
        == "this controller does not have the release that was committed there")
  }
}
