import ArgumentParser
import Console
import Core
import Glibc
import Inventory
import Lint
import Operations

/// How mistakes are judged.
struct MistakeOptions: ParsableArguments {
  @Flag(help: "Warnings are errors")
  var strict = false
}

/// What is told on standard error before `plan` and `apply` do anything else.
enum Mistakes {
  static var trial: ScratchLoad { ScratchLoad(program: BoundedFile.resolved("/proc/self/exe") ?? "") }

  /// What was not loaded for trial.
  static func sayNotes(_ validation: Validation) {
    for note in validation.notes { Terminal.say("note: \(note)") }
  }

  /// Everything, set apart from what follows.
  static func say(_ validation: Validation) {
    sayNotes(validation)
    Terminal.write(FindingsText.lines(validation.findings, TextStyle()), to: STDERR_FILENO)
    let counted = FindingsText.counted(errors: validation.errors, warnings: validation.warnings)
    if !counted.isEmpty { Terminal.say(counted + "\n") }
  }

  /// One line for the errors that stop nothing, because nothing is sent to the hosts they concern.
  static func sayBeyond(_ hosts: [InventoryHost], _ validation: Validation) {
    let beyond = validation.errors - errors(of: hosts, validation).count
    guard beyond > 0 else { return }
    let counted = FindingsText.counted(errors: beyond, warnings: 0)
    Terminal.say(
      "\(counted) \(beyond == 1 ? "concerns" : "concern") hosts outside the limit; see 'portcullis validate'")
  }

  static func errors(of hosts: [InventoryHost], _ validation: Validation) -> [Validation.Finding] {
    validation.errors(of: Set(hosts.map(\.id.description)))
  }

  /// Says errors of these hosts in full and counts others and warnings; errors that nobody answers for stop what would be
  /// sent.
  ///
  /// - Parameter excused: errors of these rules stop nothing.
  static func refuseErrors(
    of validation: Validation, on hosts: [InventoryHost], excusing excused: Set<LintRule>
  ) throws {
    sayNotes(validation)
    let concerned = Self.errors(of: hosts, validation)
    Terminal.write(FindingsText.lines(concerned, only: .error, TextStyle()), to: STDERR_FILENO)
    sayBeyond(hosts, validation)
    let warnings = FindingsText.counted(errors: 0, warnings: validation.warnings)
    if !warnings.isEmpty { Terminal.say("\(warnings); see 'portcullis validate'") }
    let errors = concerned.filter { !excused.contains($0.lint.rule) }
    guard !errors.isEmpty else { return }
    // Without that flag every host would refuse all the same, by its own knock.
    let flag =
      errors.allSatisfy { $0.lint.rule == .noSSHFromControllers } ? "--override-lockout" : "--despite-errors"
    throw Failure(
      "apply", because: Reason("\(FindingsText.counted(errors: errors.count, warnings: 0)) above; nothing was sent"),
      hint: "mend the policies, or say \(flag) with a --reason", kind: .refused)
  }
}
