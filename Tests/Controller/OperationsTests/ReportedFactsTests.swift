import Audit
import Core
import Foundation
import Inventory
import Lint
import Policy
import Rollout
import Store
import Testing
import Wire

@testable import Operations

/// What hosts report of themselves, and what policies make of it.
struct ReportedFactsTests {
  static let policy = """
    policy: p
    applies_to: all
    defaults: {input: drop}
    input:
      - accept: {in: lo}
      - accept: icmp-essential
      - accept: {service: ssh, from: controllers}

    """

  private func fleet(_ variables: String = "") async throws -> FleetFolder {
    let folder = try FleetFolder(policy: FleetFolder.bothHalves)
    try FileManager.default.removeItem(atPath: "\(folder.path)/policies/p")
    try Files.write(Array(Self.policy.utf8), to: "\(folder.path)/policies/p.yaml")
    try Files.write(
      Array("all:\n  hosts:\n    h1: {\(variables)}\n    h2: {}\n".utf8), to: "\(folder.path)/inventory/hosts.yaml")
    for host in ["h1", "h2"] { try await folder.enroll(host) }
    return folder
  }

  private func ports(of host: String, _ folder: FleetFolder) async throws -> [String] {
    let planned = try await Planning(folder.workspace).plan(folder.workspace.inventory().hosts, store: folder.store)
    let text = try #require(planned.content.byHost[HostID(host)!]?.rules?.ipv4)
    let words = String(decoding: text.bytes, as: UTF8.self).split { $0 == " " || $0 == "\n" }
    let said = zip(words, words.dropFirst()).filter { $0.0 == "--dport" || $0.0 == "--dports" }.map(\.1)
    return said.flatMap { $0.split(separator: ",") }.map(String.init)
  }

  @Test(
    arguments: [
      ("", [], ["22"]), ("ansible_port: 2022", [], ["2022"]), ("", [2222], ["2222"]),
      ("ansible_port: 2022", [22, 2222], ["22", "2222"]), ("portcullis_ssh_port: 24", [2222], ["24"]),
      ("ansible_port: 2022, portcullis_ssh_port: 24", [], ["24"]),
    ] as [(String, [UInt16], [String])])
  func `ssh is what the inventory says, else what was seen, else the way to the host`(
    variables: String, seen: [UInt16], ports: [String]
  ) async throws {
    let folder = try await fleet(variables)
    var report = FleetFolder.report("h1")
    report.sshPorts = seen
    try await folder.store.record(reports: [ReceivedReport(report, receivedAt: FleetFolder.now)])
    #expect(try await self.ports(of: "h1", folder) == ports)
    // What one host says changes nothing for another.
    #expect(try await self.ports(of: "h2", folder) == ["22"])
    let rendered = try await Rendering.of(
      folder.workspace.inventory().host(named: "h1")!, in: folder.workspace, store: folder.store)
    #expect(ports.allSatisfy { port in rendered.lines.ipv4.contains { $0.text.contains(port) } })
  }

  @Test func `a stated port where sshd was not seen is a warning at its line`() async throws {
    let folder = try await fleet("portcullis_ssh_port: 24")
    func found(_ ports: [UInt16]) throws -> [Validation.Finding] {
      let said = ReportedFacts(sshPorts: ports, leases: nil)
      return try Validation.run(folder.workspace, reported: [HostID("h1")!: said, HostID("h2")!: said]).findings
        .filter { $0.lint.rule == .sshPortDisagrees }
    }
    let disagreement = try #require(found([22, 2222]).first)
    #expect(try found([22, 2222]).count == 1 && disagreement.hosts == ["h1"])
    let said = disagreement.lint.diagnostic
    #expect(said.location.file.hasSuffix("/inventory/hosts.yaml") && said.location.line == 3)
    #expect(said.message == "portcullis_ssh_port says 24, and sshd was last seen to listen on 22, 2222")
    #expect(disagreement.lint.severity == .warning)
    #expect(try found([]).isEmpty && found([24, 22]).isEmpty)
  }

  @Test(
    arguments: [
      ("", nil, []), ("", [true, true], ["ipv4", "ipv6"]), ("", [false, true], ["ipv6"]), ("", [false, false], []),
      ("portcullis_dhcp: true", [false, false], ["ipv4"]), ("portcullis_dhcp: true", nil, ["ipv4"]),
      ("portcullis_dhcp: false", [true, true], []),
    ] as [(String, [Bool]?, [String])])
  func `a lease is what the inventory says, else what the host reports`(
    variables: String, said: [Bool]?, families: [String]
  ) async throws {
    let folder = try await fleet(variables)
    let facts = ReportedFacts(sshPorts: [], leases: said.map { PerFamily(ipv4: $0[0], ipv6: $0[1]) })
    let findings = try Validation.run(folder.workspace, reported: [HostID("h1")!: facts]).findings
      .filter { $0.lint.rule == .noDHCPClient }
    #expect(findings.map(\.lint.subject).sorted() == families)
    #expect(findings.allSatisfy { $0.hosts == ["h1"] })
  }
}
