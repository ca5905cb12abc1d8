import Audit
import Core
import Inventory
import Operations
import Release
import Store
import Testing
import Wire

struct SurroundingsTests {
  private func surroundings(_ policy: String, v4: String = FleetFolder.rules, owners: [ForeignOwner]) async throws
    -> Surroundings
  {
    let fleet = try FleetFolder(policy: policy + FleetFolder.bothHalves, v4: v4)
    try await fleet.enroll("h1")
    try await fleet.store.record(reports: [
      ReceivedReport(FleetFolder.report("h1", owners: owners), receivedAt: FleetFolder.now)
    ])
    let planned = try await Planning(fleet.workspace).plan(fleet.workspace.inventory().hosts, store: fleet.store)
    return try #require(planned.surroundings.first)
  }

  @Test func `plan warns when a policy would end the forwarding of somebody recognised`() async throws {
    let found = try await surroundings("", owners: [.docker, .fail2ban])
    #expect(found.mode == "owned" && found.owners == [.docker, .fail2ban])
    #expect(found.warnings.count == 1)
    #expect(found.warnings[0].contains("the forwarding of docker ends"))
    #expect(try await surroundings("", owners: [.fail2ban]).warnings.isEmpty)
    #expect(try await surroundings("forward: foreign\n", owners: [.docker]).warnings.isEmpty)
  }

  @Test func `plan says that exclusive mode over somebody recognised needs an eviction`() async throws {
    let found = try await surroundings("mode: exclusive\n", owners: [.docker, .fail2ban])
    #expect(found.warnings.count == 1 && found.warnings[0].hasSuffix("--evict docker,fail2ban"))
    #expect(try await surroundings("mode: exclusive\n", owners: []).warnings.isEmpty)
  }

  @Test func `a manifest says the mode, what is foreign, and the sources of families that are open`() async throws {
    let way = "*filter\n:INPUT DROP [0:0]\n-A INPUT -s controllers -j ACCEPT\nCOMMIT\n"
    let fleet = try FleetFolder(
      policy: "forward: foreign\nforeign: {allow: \"*\"}\nipv6: drop-all\nrules: {ipv4: rules.v4}\n", v4: way)
    try await fleet.enroll("h1", controllers: ["192.0.2.1", "2001:db8::1"])
    let drafts = try Drafts.compile(fleet.workspace, enrolments: try await fleet.store.enrolments())
    let draft = try #require(drafts.byHost[HostID("h1")!])
    let plain = try draft.manifest(fleet: drafts.fleet, serial: Serial(4))
    #expect(plain.mode == .owned && plain.forwardsForeign && plain.foreignAllowed == ["*"])
    #expect(plain.sources == ["192.0.2.1"])
    #expect(plain.contentDigest == draft.content)
    let granted = try draft.manifest(fleet: drafts.fleet, serial: Serial(5), grants: [.takeOver])
    #expect(granted.grants == [.takeOver] && granted.contentDigest == draft.content)

    let open = try FleetFolder(policy: "mode: exclusive\n" + FleetFolder.bothHalves, v4: way)
    try await open.enroll("h1", controllers: ["192.0.2.1", "2001:db8::1"])
    let both = try Drafts.compile(open.workspace, enrolments: try await open.store.enrolments())
    #expect(both.byHost[HostID("h1")!]?.sources == ["192.0.2.1", "2001:db8::1"])
    #expect(both.byHost[HostID("h1")!]?.mode == .exclusive)
  }

  @Test func `doctor finds what is wrong at the controller and in the hosts' last reports`() async throws {
    let fleet = try FleetFolder(policy: FleetFolder.bothHalves, hosts: ["h1", "h2", "h3"])
    try await fleet.enroll("h1")
    try await fleet.enroll("h2")
    var report = FleetFolder.report("h1", owners: [.docker])
    report.time = fleet.workspace.clock.now()
    try await fleet.store.record(reports: [ReceivedReport(report, receivedAt: report.time)])
    let found = try await Doctor(fleet.workspace).examine(fleet.workspace.inventory().hosts, store: fleet.store)
    // No keys were made here.
    #expect(found.controller.map(\.check) == ["keys", "ssh", "ssh"])
    #expect(found.hosts.map(\.host.description) == ["h1", "h2"])
    #expect(found.hosts.map { $0.findings.map(\.check) } == [["owners"], ["stale"]])
  }

  @Test func `doctor compares the signing key with what hosts trust`() async throws {
    let fleet = try FleetFolder(policy: FleetFolder.bothHalves)
    let keys = fleet.workspace.configuration.keys
    _ = try await keys.initialize(principal: "ops", adopting: nil, passphrase: .none)
    func checks() async throws -> [String] {
      try await Doctor(fleet.workspace).examine(fleet.workspace.inventory().hosts, store: fleet.store).controller
        .map(\.check)
    }
    #expect(try await checks() == ["ssh", "ssh"])
    let other = SigningKeys(
      allowedSignersPath: fleet.path + "/other/allowed_signers", signingKeyPath: fleet.path + "/other/release")
    _ = try await other.initialize(principal: "ops", adopting: nil, passphrase: .none)
    try Files.write(try Files.read(other.allowedSignersPath), to: keys.allowedSignersPath)
    #expect(try await checks() == ["keys", "ssh", "ssh"])
  }
}
