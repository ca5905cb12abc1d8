internal import Core
internal import Glibc
package import Wire

/// What the host's rules need when an agent comes or goes. The real one is Apply's `HostAgent`.
package protocol RulesKeeper {
  /// Keeps the rules found as generation 0, unless that was done before. True when it did so now.
  func captureGenerationZero() throws -> Bool
  /// Loads generation 0 in both families and reads it back.
  func loadGenerationZero() throws
  /// Enabled services that also load rules.
  func conflicts() -> [String]
}

/// Makes this host a member of a fleet, or upgrades it. Every step can be repeated: an installation that was cut short
/// is finished by running it again.
package struct Installer {
  private let paths: HostPaths
  private let runner: any ProgramRunning
  private let rules: any RulesKeeper

  package init(paths: HostPaths, runner: any ProgramRunning, rules: any RulesKeeper) {
    self.paths = paths
    self.runner = runner
    self.rules = rules
  }

  /// Seconds for a new daemon to recover, open its socket and greet.
  private static let answerTimeout = 20

  package func install(_ request: EnrolmentRequest) throws -> InstallationAnswer {
    try checkOwnDigest(request.agent)
    try checkIdentity(request)
    // 0711: the login user must reach its home, and read nothing else.
    try HostFiles.makeDirectory(paths.state, mode: 0o711)
    try HostFiles.makeDirectory(paths.trust, mode: 0o755)
    try HostFiles.makeDirectory(paths.programs, mode: 0o755)
    try HostFiles.link(paths.bridge, to: "portcullis-agent")
    let upgraded = try placeExecutable()
    let user = LoginUser(paths: paths, runner: runner)
    try user.ensure()
    try user.authorize(request.loginKeys)
    try HostFiles.write(request.allowedSigners, to: paths.allowedSigners, mode: 0o644)
    // Last of the trust: a host file means that everything before it is in place.
    try HostFiles.write(
      Array("host \(request.host)\nfleet \(request.fleet)\n".utf8), to: paths.hostFile, mode: 0o644)
    let captured = try rules.captureGenerationZero()
    let services = ServiceManager(paths: paths, runner: runner)
    try startOrGoBack(services, upgraded: upgraded)
    return InstallationAnswer(
      service: services.kind, generationZero: captured ? .captured : .kept, upgraded: upgraded,
      conflicts: rules.conflicts())
  }

  /// What the controller sent must be what runs here, whatever happened on the way or on the disk.
  private func checkOwnDigest(_ expected: Digest) throws {
    guard let bytes = try readOwnExecutable(), Digest(of: bytes) == expected else {
      throw Failure(
        "check the agent's own executable", because: Reason("it is not the one the controller has (\(expected.short)…)"),
        hint: "run enroll again; if this stays, the host's disk changes files")
    }
  }

  private func readOwnExecutable() throws -> [UInt8]? {
    let descriptor = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return try HostFiles.readAll(descriptor, "/proc/self/exe", atMost: 128 << 20)
  }

  /// A host belongs to one fleet under one name: another one's serials and trust must not be mixed with these.
  private func checkIdentity(_ request: EnrolmentRequest) throws {
    guard let present = try HostFiles.read(paths.hostFile) else { return }
    guard present == Array("host \(request.host)\nfleet \(request.fleet)\n".utf8) else {
      let words = SafeText.escape(String(decoding: present, as: UTF8.self).split(separator: "\n").joined(separator: ", "))
      throw Failure(
        "enroll as \(request.host) of fleet \(request.fleet)", because: Reason("this host is already enrolled: \(words)"),
        hint: "remove that enrolment first: portcullis enroll --remove", kind: .refused)
    }
  }

  /// True when an older executable was replaced; it stays beside the new one.
  private func placeExecutable() throws -> Bool {
    guard HostFiles.exists(paths.newAgent) else { return false }
    var replaced = false
    if HostFiles.exists(paths.agent) {
      try HostFiles.remove(paths.previousAgent)
      guard Glibc.link(paths.agent, paths.previousAgent) == 0 else {
        throw SystemCallError("link", paths.previousAgent, errno: errno, meaning: String(cString: strerror(errno)))
      }
      replaced = true
    }
    guard chown(paths.newAgent, 0, 0) == 0, chmod(paths.newAgent, 0o755) == 0 else {
      throw SystemCallError("chmod", paths.newAgent, errno: errno, meaning: String(cString: strerror(errno)))
    }
    try HostFiles.rename(paths.newAgent, paths.agent)
    return replaced
  }

  /// The new daemon must answer before the old executable may go.
  private func startOrGoBack(_ services: ServiceManager, upgraded: Bool) throws {
    do {
      try services.start()
      try services.waitUntilItAnswers(seconds: Self.answerTimeout)
    } catch {
      guard upgraded, HostFiles.exists(paths.previousAgent) else { throw error }
      do {
        try HostFiles.rename(paths.previousAgent, paths.agent)
        try services.start()
        try services.waitUntilItAnswers(seconds: Self.answerTimeout)
      } catch let second {
        throw Failure(
          "go back to the previous agent (\(ErrorChain(second).message)) after the new one did not answer",
          because: error)
      }
      throw Failure("start the new agent; the previous one runs again", because: error)
    }
  }
}
