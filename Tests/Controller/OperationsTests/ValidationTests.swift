import Core
import Lint
import Testing

@testable import Operations

struct ValidationTests {
  private func fleet(vault: Bool = false) throws -> FleetFolder {
    let fleet = try FleetFolder(policy: FleetFolder.bothHalves)
    if vault {
      try Files.makeDirectory("\(fleet.path)/inventory/group_vars")
      try Files.write(
        Array("$ANSIBLE_VAULT;1.1;AES256\n6162\n".utf8), to: "\(fleet.path)/inventory/group_vars/all.yaml")
    }
    return fleet
  }

  @Test func `a warning of the inventory is a finding, and an error for those who want no warnings`() throws {
    let (warned, silent) = (try fleet(vault: true), try fleet())
    for (strict, severity) in [(false, LintSeverity.warning), (true, .error)] {
      let validation = try Validation.run(warned.workspace, strict: strict)
      let plain = try Validation.run(silent.workspace, strict: strict)
      let found = validation.findings.filter { $0.lint.rule == .inventoryWarning }
      #expect(found.count == 1 && found[0].lint.severity == severity && found[0].hosts.isEmpty)
      #expect(found[0].lint.diagnostic.location.file.hasSuffix("group_vars/all.yaml"), "\(found)")
      #expect(validation.warnings + validation.errors == plain.warnings + plain.errors + 1)
      // It is wrong whoever runs it.
      #expect(validation.errors(of: []).contains { $0.lint.rule == .inventoryWarning } == strict)
    }
  }

  private func profile(_ name: String, rank: Int = 7, _ rest: String, of fleet: FleetFolder) throws {
    try Files.makeDirectory("\(fleet.path)/policies/lockdown")
    try Files.write(
      Array("lockdown: \(name)\nrank: \(rank)\napplies_to: all\n\(rest)\n".utf8),
      to: "\(fleet.path)/policies/lockdown/\(name).yaml")
  }

  @Test func `lockdown profiles are compiled for every host, and what is likely not meant of them is said`() throws {
    let fleet = try fleet()
    try profile("a", "defaults: {output: drop}", of: fleet)
    try profile("b", "defaults: {input: drop}", of: fleet)
    let validation = try Validation.run(fleet.workspace)
    #expect(validation.profiles == ["a", "b"])
    let rules: [LintRule] = [.sameRank, .lockdownWithoutDNS, .lockdownWithoutTime]
    let said = validation.findings.filter { rules.contains($0.lint.rule) }
    #expect(said.map(\.lint.rule) == [.lockdownWithoutDNS, .lockdownWithoutTime, .sameRank])
    #expect(said[2].lint.diagnostic.message == "lockdown profiles a and b have the same rank 7")

    try profile("a", "sets: {s: 192.0.2.53}\ndefaults: {output: drop}\nkeep: {output: [{udp: 53, to: s}]}", of: fleet)
    #expect(try !Validation.run(fleet.workspace).findings.contains { $0.lint.rule == .lockdownWithoutDNS })
    try profile("a", "defaults: {input: drop, output: drop}\nkeep: {output: [{service: ntp}]}", of: fleet)
    #expect(try !Validation.run(fleet.workspace).findings.contains { $0.lint.rule == .lockdownWithoutTime })
    try profile("b", "sets: {s: 192.0.2.53}\ndefaults: {input: drop}", of: fleet)
    #expect(try Validation.run(fleet.workspace).findings.contains { $0.lint.subject == "lockdown/b set s" })
    try profile("b", "defaults: {input: drop}\nkeep: {input: [{tcp: 1, from: nowhere}]}", of: fleet)
    let error = #expect(throws: Diagnostics.self) { try Validation.run(fleet.workspace) }
    #expect(error?.all.map(\.message) == ["there is no set \"nowhere\""])
    #expect(error?.all[0].location.file.hasSuffix("policies/lockdown/b.yaml") == true)
  }

  @Test func `a lockdown profile that opens what one of a lower rank drops is said`() throws {
    let fleet = try fleet()
    try profile("a", "defaults: {forward: drop, output: drop}", of: fleet)
    try profile("b", rank: 8, "defaults: {input: drop}", of: fleet)
    try profile("c", rank: 9, "defaults: {input: drop, forward: drop, output: drop}", of: fleet)
    let said = try Validation.run(fleet.workspace).findings.filter { $0.lint.rule == .higherRankOpens }
    #expect(
      said.map(\.lint.diagnostic.message) == [
        "lockdown profile b leaves forward and output open, which a of a lower rank drops"
      ])
    #expect(said.first?.lint.diagnostic.location.file.hasSuffix("policies/lockdown/b.yaml") == true)
  }

  @Test(.enabled(if: Files.exists(ScratchLoad.restorePrograms.ipv4), "the programs of iptables are needed"))
  func `an interrupted trial is an interruption, and no lack of this machine`() async throws {
    let fleet = try fleet()
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await Validation.run(
        fleet.workspace, strict: false, store: nil, trial: ScratchLoad(program: "/nonexistent"))
    }
    await #expect(throws: CancellationError.self) { try await task.value }
  }
}
