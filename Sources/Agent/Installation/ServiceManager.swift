internal import Core
internal import Glibc
internal import Wire

/// Starts, stops and watches the daemon: by systemd where it runs, by ourselves where it does not.
struct ServiceManager {
  let paths: HostPaths
  let runner: any ProgramRunning

  private static let systemctl = "/usr/bin/systemctl"

  /// sd_booted(3): systemd runs exactly when this directory exists.
  var kind: InstallationAnswer.Service {
    HostFiles.exists(paths.root + "/run/systemd/system") ? .systemd : .detached
  }

  func start() throws {
    switch kind {
    case .systemd:
      for unit in SystemdUnit.allCases {
        try HostFiles.write(Array(unit.text.utf8), to: place(of: unit), mode: 0o644)
      }
      try runner.succeed([Self.systemctl, "daemon-reload"], doing: "make systemd read our units")
      try runner.succeed(
        [Self.systemctl, "enable", "--quiet"] + SystemdUnit.enabled.map(\.fileName), doing: "enable our units")
      let agent = SystemdUnit.agent.fileName
      try runner.succeed([Self.systemctl, "restart", agent], doing: "start \(agent)")
    case .detached:
      try stopDetached()
      try DetachedProcess.spawn(
        paths.agent, [Supervisor.verb] + paths.rootArguments, log: paths.state + "/agent.log")
    }
  }

  func stop() throws {
    switch kind {
    case .systemd:
      if HostFiles.exists(place(of: .agent)) {
        try runner.succeed(
          [Self.systemctl, "disable", "--quiet", "--now"] + SystemdUnit.enabled.map(\.fileName),
          doing: "stop and disable our units")
      }
      for unit in SystemdUnit.allCases { try HostFiles.remove(place(of: unit)) }
      try runner.succeed([Self.systemctl, "daemon-reload"], doing: "make systemd forget our units")
    case .detached:
      try stopDetached()
    }
  }

  /// Waits until the daemon answers on its socket with this version of the protocol.
  func waitUntilItAnswers(seconds: Int) throws {
    let end = Deadline(secondsFromNow: seconds)
    var last: any Error = Reason("it did not open \(paths.socket)")
    while !end.hasPassed {
      do {
        return try DaemonGreeting.hear(at: paths.socket, within: end)
      } catch {
        last = error
        usleep(20_000)
      }
    }
    throw Failure("wait for the agent's daemon to answer", because: last, hint: "its log: \(log)")
  }

  private func place(of unit: SystemdUnit) -> String { "\(paths.units)/\(unit.fileName)" }

  private var log: String {
    kind == .systemd ? "journalctl -u portcullis-agent" : paths.state + "/agent.log"
  }

  private func stopDetached() throws {
    // First: it would start the daemon again. It waits for its daemon, which may have to end an apply.
    if let supervisor = try RunningDaemon.findSupervisor(by: paths) { try supervisor.stop(within: 40) }
    guard let daemon = try RunningDaemon.find(by: paths) else { return }
    try daemon.stop(within: 35)
  }
}
