package import Core
package import Transport
package import Wire

/// Brings one host into the fleet over an administrator's login, or upgrades or removes its agent.
package struct Enroller: Sendable {
  package let connector: any HostConnector
  package let timeout: Duration

  package init(connector: any HostConnector, timeout: Duration) {
    self.connector = connector
    self.timeout = timeout
  }

  /// Fixed names: they stand in command lines.
  private static let folder = "/usr/local/lib/portcullis"
  private static let agent = "\(folder)/portcullis-agent"
  private static let upload = "\(folder)/.portcullis-agent.new"

  package struct Enrolled: Sendable {
    package let architecture: String
    package let agent: Digest
    /// False: the host had this very executable already.
    package let uploaded: Bool
    package let installation: InstallationAnswer
    /// The first report, over the new login: the whole way works.
    package let report: Report
    /// Every address the host saw us come from, over each of its own addresses that answers.
    package let managementSources: [String]
    /// Its addresses that did not answer, so that nobody knows where it would see us come from over those.
    package let silentAddresses: [String]
  }

  package struct Request: Sendable {
    package var host: HostID
    package var fleet: FleetID
    package var administrator: HostEndpoint
    package var login: HostEndpoint
    package var allowedSigners: [UInt8]
    package var thresholds: [UInt8]
    /// Of the controllers' SSH identities.
    package var loginKeys: [String]

    package init(
      host: HostID, fleet: FleetID, administrator: HostEndpoint, login: HostEndpoint, allowedSigners: [UInt8],
      thresholds: [UInt8], loginKeys: [String]
    ) {
      self.host = host
      self.fleet = fleet
      self.administrator = administrator
      self.login = login
      self.allowedSigners = allowedSigners
      self.thresholds = thresholds
      self.loginKeys = loginKeys
    }
  }

  /// Which executable a host of that architecture gets.
  package typealias Executables = @Sendable (_ architecture: String) throws -> AgentExecutable

  package func enroll(_ request: Request, executables: Executables) async throws -> Enrolled {
    let deadline = ContinuousClock.now.advanced(by: timeout)
    let installed = try await onHost(request.administrator, until: deadline) { shell in
      try await install(request, executables, shell)
    }
    let report = try await firstReport(request.login, request, deadline)
    let ways = await ManagementWays.learn(first: report.managementSource, over: request.login.addresses) { address in
      var login = request.login
      login.addresses = [address]
      let patience = min(deadline, ContinuousClock.now.advanced(by: .seconds(5)))
      return try await firstReport(login, request, patience).managementSource
    }
    return Enrolled(
      architecture: installed.architecture, agent: installed.agent, uploaded: installed.uploaded,
      installation: installed.answer, report: report, managementSources: ways.sources, silentAddresses: ways.silent)
  }

  private struct Installed {
    let architecture: String
    let agent: Digest
    let uploaded: Bool
    let answer: InstallationAnswer
  }

  private func install(_ request: Request, _ executables: Executables, _ shell: RemoteShell) async throws -> Installed {
    let architecture = try await askArchitecture(shell)
    let executable = try executables(architecture)
    let uploaded = try await upload(executable, shell)
    let enrolment = EnrolmentRequest(
      host: request.host, fleet: request.fleet, agent: executable.digest, allowedSigners: request.allowedSigners,
      thresholds: request.thresholds, loginKeys: request.loginKeys)
    let finished = try await shell.succeed(
      "\(uploaded ? Self.upload : Self.agent) install", privileged: true, input: enrolment.encode(),
      doing: "install the agent")
    guard let answer = InstallationAnswer(decoding: finished.text) else {
      throw Failure("install the agent", because: Reason("it answered something else than an agent does"))
    }
    return Installed(architecture: architecture, agent: executable.digest, uploaded: uploaded, answer: answer)
  }

  /// What is left of us on a host, in one word. Only an answer counts: a login that may not look knows nothing.
  private static let leftovers =
    "sh -c 'if test -x \(agent); then echo agent; elif test -e /etc/portcullis || test -e /var/lib/portcullis; "
    + "then echo rest; else echo none; fi'"

  /// Takes agent, units, login and trust away. False: there was nothing of ours.
  package func remove(_ administrator: HostEndpoint, rules: RemovedRules) async throws -> Bool {
    try await onHost(administrator, until: ContinuousClock.now.advanced(by: timeout)) { shell in
      let found = try await shell.succeed(Self.leftovers, privileged: true, doing: "look for the agent")
      switch found.text {
      case "none\n": return false
      case "agent\n": break
      default:
        throw Failure(
          "remove the agent", because: Reason("it is gone, but its units, its state or its rules may not be"),
          hint: "enroll the host again, then remove it; or 'Stopping everything' in docs/recovery.md")
      }
      _ = try await shell.succeed(
        "\(Self.agent) uninstall --rules \(rules.rawValue)", privileged: true, doing: "remove the agent")
      return true
    }
  }

  package enum RemovedRules: String, Sendable, CaseIterable {
    case keep
    case generationZero = "generation-0"
  }

  func onHost<Value>(
    _ endpoint: HostEndpoint, until deadline: ContinuousClock.Instant,
    _ body: (RemoteShell) async throws -> Value
  ) async throws -> Value {
    let connection = try await connector.connect(
      to: endpoint, limits: ConnectionLimits(connectTimeout: min(timeout, .seconds(15))))
    do {
      let prefix = endpoint.user == "root" ? "" : "sudo -n "
      let value = try await body(RemoteShell(connection: connection, deadline: deadline, prefix: prefix))
      await connection.close()
      return value
    } catch {
      await connection.close()
      throw error
    }
  }

  private func askArchitecture(_ shell: RemoteShell) async throws -> String {
    let finished = try await shell.succeed("uname -m", privileged: false, doing: "ask for the architecture")
    let words = finished.text.split(whereSeparator: \.isWhitespace)
    guard words.count == 1, let word = words.first, word.utf8.count <= 32,
      word.utf8.allSatisfy({ $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") || isLetterOrDigit($0) })
    else {
      throw Failure(
        "ask for the architecture", because: Reason("uname answered \(SafeText.escape(finished.text.prefix(80)))"))
    }
    return String(word)
  }

  private func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }

  /// False when the host has it. What arrives is checked by the host's own sha256sum, and once more by the agent
  /// itself before it does anything.
  private func upload(_ executable: AgentExecutable, _ shell: RemoteShell) async throws -> Bool {
    let present = try await shell.run("sha256sum \(Self.agent)", privileged: true)
    if present.status == 0, digest(in: present) == executable.digest { return false }
    let steps = [
      "umask 022", "mkdir -p \(Self.folder)", "cat >\(Self.upload)", "chmod 755 \(Self.upload)",
      "sha256sum \(Self.upload)",
    ]
    let sent = try await shell.succeed(
      "sh -c '\(steps.joined(separator: " && "))'", privileged: true, input: executable.bytes,
      doing: "upload the agent",
      hint: "may the login run 'sudo -n'?, and is there room in /usr/local?")
    guard digest(in: sent) == executable.digest else {
      throw Failure(
        "upload the agent", because: Reason("the host has other bytes than were sent"),
        hint: "is its disk full or broken?")
    }
    return true
  }

  /// Of `HEX  FILE`, as sha256sum prints it.
  private func digest(in finished: RemoteShell.Finished) -> Digest? {
    finished.text.split(separator: " ").first.flatMap { Digest("sha256:\($0)") }
  }

  private func firstReport(_ login: HostEndpoint, _ request: Request, _ deadline: ContinuousClock.Instant) async throws
    -> Report
  {
    do {
      let left = max(.seconds(1), ContinuousClock.now.duration(to: deadline))
      let sweep = Sweep(connector: connector, limits: ContactLimits(parallel: 1, timeout: left))
      var result: Sweep.Result?
      await sweep.ask([(request.host, request.fleet, login)], differences: .ignored) { result = $1 }
      switch result {
      case .answered(let answer): return answer.report
      case .unreachable(let why): throw Reason(why)
      case nil: throw CancellationError()
      }
    } catch {
      throw Failure(
        "read the first report over the agent's own login \(login.user)", because: error,
        hint: "does the host's sshd_config let that user in (AllowUsers, AllowGroups)?")
    }
  }
}
