internal import Core
internal import Glibc
package import Wire

/// What the host's rules need when an agent comes or goes. The real one is Apply's `HostAgent`.
package protocol RulesKeeper {
  /// Keeps the rules found as generation 0, unless that was done before. True when it did so now.
  func captureGenerationZero() throws -> Bool
  /// Loads generation 0 in both families and reads it back. False when it was never captured.
  func returnToGenerationZero() throws -> Bool
  /// Throws while the host is locked down.
  func requireUnlocked() throws
  /// Enabled services that also load rules.
  func conflicts() -> [String]
}

/// Makes this host a member of a fleet, or upgrades it. Every step can be repeated: an installation that was cut short
/// is finished by running it again.
package struct Installer {
  private let paths: HostPaths
  private let runner: any ProgramRunning
  private let rules: any RulesKeeper
  private let executable: String
  private let answerTimeout: Int

  /// - Parameter executable: what runs here now, and is to stay.
  /// - Parameter answerTimeout: seconds for a new daemon to recover, open its socket and greet.
  package init(
    paths: HostPaths, runner: any ProgramRunning, rules: any RulesKeeper, executable: String = "/proc/self/exe",
    answerTimeout: Int = 20
  ) {
    self.paths = paths
    self.runner = runner
    self.rules = rules
    self.executable = executable
    self.answerTimeout = answerTimeout
  }

  package func install(_ request: EnrolmentRequest) throws -> InstallationAnswer {
    try checkOwnDigest(request.agent)
    try HostFiles.makeDirectory(paths.programs, mode: 0o755)
    let lock = try InstallationLock(paths)
    defer { withExtendedLifetime(lock) {} }
    try checkIdentity(request)
    let user = LoginUser(paths: paths, runner: runner)
    try user.checkOurs()
    // 0711: the login user must reach its home, and read nothing else.
    try HostFiles.makeDirectory(paths.state, mode: 0o711)
    try HostFiles.makeDirectory(paths.trust, mode: 0o755)
    let services = ServiceManager(paths: paths, runner: runner)
    let note = EnrolmentNote(paths: paths, service: services.kind, request: request)
    let before = note.read()
    try note.announce()
    try HostFiles.link(paths.bridge, to: "portcullis-agent")
    let upgraded = try placeExecutable(request.agent)
    try user.ensure()
    try user.authorize(request.loginKeys)
    // Before the keys that it counts: without it one of them is enough.
    try HostFiles.write(request.thresholds, to: paths.thresholds, mode: 0o644)
    try HostFiles.write(request.allowedSigners, to: paths.allowedSigners, mode: 0o644)
    // Last of the trust: a host file means that everything before it is in place.
    try HostFiles.write(request.hostText, to: paths.hostFile, mode: 0o644)
    let captured = try rules.captureGenerationZero()
    // A new daemon compares with it from the beginning.
    try note.write()
    try startOrGoBack(services, note)
    // By now systemd has its links.
    let noted = try note.write()
    return InstallationAnswer(
      service: services.kind, generationZero: captured ? .captured : .kept, upgraded: upgraded,
      conflicts: rules.conflicts(), dropIns: noted.newDropIns(since: before))
  }

  /// What the controller sent must be what runs here, whatever happened on the way or on the disk.
  private func checkOwnDigest(_ expected: Digest) throws {
    guard try HostFiles.digest(of: executable) == expected else {
      throw Failure(
        "check the agent's own executable",
        because: Reason("it is not the one the controller has (\(expected.short)…)"),
        hint: "run enroll again; if this stays, the host's disk changes files")
    }
  }

  /// A host belongs to one fleet under one name: another one's serials and trust must not be mixed with these.
  private func checkIdentity(_ request: EnrolmentRequest) throws {
    guard let present = try HostFiles.read(paths.hostFile) else { return }
    guard present == request.hostText else {
      let words = SafeText.escape(
        String(decoding: present, as: UTF8.self).split(separator: "\n").joined(separator: ", "))
      throw Failure(
        "enroll as \(request.host) of fleet \(request.fleet)",
        because: Reason("this host is already enrolled: \(words)"),
        hint: "remove that enrolment first: portcullis enroll --remove", kind: .refused)
    }
  }

  /// True when an older executable was replaced; it stays beside the new one until that has answered.
  private func placeExecutable(_ expected: Digest) throws -> Bool {
    guard HostFiles.exists(paths.newAgent) else { return false }
    // What another enrolment left behind, cut short in its upload or before its install: nobody vouches for it here.
    guard try HostFiles.digest(of: paths.newAgent) == expected else {
      try HostFiles.remove(paths.newAgent)
      return false
    }
    var replaced = false
    if HostFiles.exists(paths.agent) {
      // One that is kept already is the last that answered; the present one, of an upgrade cut short, may not.
      if !HostFiles.exists(paths.previousAgent), Glibc.link(paths.agent, paths.previousAgent) != 0 {
        throw SystemCallError("link", paths.previousAgent, errno: errno, meaning: String(cString: strerror(errno)))
      }
      replaced = true
    }
    guard chown(paths.newAgent, 0, 0) == 0, chmod(paths.newAgent, 0o755) == 0 else {
      throw SystemCallError("chmod", paths.newAgent, errno: errno, meaning: String(cString: strerror(errno)))
    }
    // A power cut after the rename must not leave an empty file under the agent's name: at boot it loads the rules.
    try HostFiles.synchronize(paths.newAgent, isDirectory: false)
    try HostFiles.rename(paths.newAgent, paths.agent)
    return replaced
  }

  /// The new daemon must answer before the old executable goes. One that is still there when nothing was replaced now
  /// is from an upgrade that was cut short.
  private func startOrGoBack(_ services: ServiceManager, _ note: EnrolmentNote) throws {
    do {
      try services.start()
      try services.waitUntilItAnswers(seconds: answerTimeout)
    } catch {
      guard HostFiles.exists(paths.previousAgent) else { throw error }
      do {
        try HostFiles.rename(paths.previousAgent, paths.agent)
        try note.write()
        try services.start()
        try services.waitUntilItAnswers(seconds: answerTimeout)
      } catch let second {
        throw Failure(
          "go back to the previous agent (\(ErrorChain(second).message)) after the new one did not answer",
          because: error)
      }
      throw Failure("start the new agent; the previous one runs again", because: error)
    }
    if HostFiles.exists(paths.previousAgent) { try HostFiles.rename(paths.previousAgent, paths.keptAgent) }
  }
}
