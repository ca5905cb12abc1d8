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
