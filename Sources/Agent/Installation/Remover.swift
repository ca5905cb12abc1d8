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

  /// The daemon stops first, so that nothing puts back what is taken away; files go last, so that a removal that was
  /// cut short can be run again.
  package func remove(_ choice: Rules) throws {
    let services = ServiceManager(paths: paths, runner: runner)
    try services.stop()
    switch choice {
    case .keep: break
    case .generationZero: try rules.loadGenerationZero()
    }
    try LoginUser(paths: paths, runner: runner).remove()
    try HostFiles.removeTree(paths.trust)
    try HostFiles.removeTree(paths.state)
    try HostFiles.removeTree(paths.runtime)
    try HostFiles.removeTree(paths.programs)
  }
}
