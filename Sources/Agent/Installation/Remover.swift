internal import Core

/// Takes everything of ours away from a host, but for the rules it is told to keep.
package struct Remover {
  package enum Rules: String, Sendable, CaseIterable {
    /// The rules stay in the kernel as they are, until the next reboot.
    case keep
    /// What was found at enrolment is loaded again.
    case generationZero = "generation-0"
  }

  private let paths: HostPaths
  private let runner: any ProgramRunning
  private let rules: any RulesKeeper

  package init(paths: HostPaths, runner: any ProgramRunning, rules: any RulesKeeper) {
    self.paths = paths
    self.runner = runner
    self.rules = rules
  }

  /// The daemon stops first, so that nothing puts back what is taken away. A removal that was cut short can be run again
  /// with the same words: the state leaves its place at once when its rules are back, so that without it there is
  /// nothing left to go back to, and the program goes last.
  package func remove(_ choice: Rules) throws {
    let lock = try InstallationLock(paths)
    defer { withExtendedLifetime(lock) {} }
    let goesBack = choice == .generationZero && HostFiles.exists(paths.state)
    // Found out while the daemon still watches over the rules.
    if goesBack, !HostFiles.exists(paths.generationZero) { throw Self.neverCaptured }
    if HostFiles.exists(paths.state) { try rules.requireUnlocked() }
    let services = ServiceManager(paths: paths, runner: runner)
    try services.stop()
    if goesBack {
      do {
        guard try rules.returnToGenerationZero() else { throw Self.neverCaptured }
      } catch {
        // The host stays enrolled, so somebody has to watch over its rules.
        try? services.start()
        throw error
      }
    }
    try LoginUser(paths: paths, runner: runner).remove()
    try HostFiles.removeTree(paths.removedState)
    if HostFiles.exists(paths.state) { try HostFiles.rename(paths.state, paths.removedState) }
    try HostFiles.removeTree(paths.removedState)
    try HostFiles.removeTree(paths.trust)
    try HostFiles.removeTree(paths.runtime)
    try HostFiles.removeTree(paths.programs)
  }

  private static var neverCaptured: Failure {
    Failure(
      "load generation 0", because: Reason("the rules found at enrolment were never captured"),
      hint: "remove with --rules keep, and change the rules by hand")
  }
}
