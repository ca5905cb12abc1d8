import Apply
import Arguments
import Core
import Glibc
import Installation
import Netfilter
import Wire

struct Install: AgentCommand {
  static let verb = Verb(
    "install", "Make this host a member of a fleet, as the enrolment on standard input says; for 'portcullis enroll'.",
    options: [Root.option])
  let root: Root

  init(_ request: ArgumentReader.Request) { root = Root(request) }

  func run() throws -> Int32 {
    let request: EnrolmentRequest
    do throws(ByteReader.Problem) {
      request = try EnrolmentRequest(decoding: StandardInput.read(atMost: EnrolmentRequest.maximumSize))
    } catch {
      throw Failure(
        "read the enrolment", because: error,
        hint: "portcullis enroll writes it; the controller may be of another version")
    }
    let paths = HostPaths(root: root.folder)
    let installer = Installer(paths: paths, runner: HostPrograms(), rules: LiveRules(root: root.folder))
    Edge.print(try installer.install(request).encode())
    return 0
  }
}

struct Uninstall: AgentCommand {
  static let verb = Verb(
    "uninstall", "Take agent, units, login and trust away from this host; for 'portcullis enroll --remove'.",
    options: [
      Root.option,
      VerbOption(
        "rules", value: "RULES",
        help: "keep: our rules stay in the kernel until the next boot; generation-0: what was found is loaded again",
        isRequired: true),
    ])
  let root: Root
  let rules: Remover.Rules

  init(_ request: ArgumentReader.Request) throws(ArgumentReader.UsageProblem) {
    root = Root(request)
    guard let rules = request.values["rules"].flatMap(Remover.Rules.init) else {
      throw ArgumentReader.UsageProblem("--rules is keep or generation-0")
    }
    self.rules = rules
  }

  func run() throws -> Int32 {
    let paths = HostPaths(root: root.folder)
    try Remover(paths: paths, runner: HostPrograms(), rules: LiveRules(root: root.folder)).remove(rules)
    return 0
  }
}

/// The host's own programs, run as the agent runs all programs.
private struct HostPrograms: ProgramRunning {
  func succeed(_ command: [String], doing operation: String) throws {
    // systemctl waits for a daemon that may recover first.
    let result = try ProgramRunner().run(
      ProgramRequest(command[0], Array(command.dropFirst()), outputLimit: 64 << 10, milliseconds: 120_000))
    guard result.end != .exited(0) else { return }
    let said = result.errors.split(separator: UInt8(ascii: "\n")).map { SafeText.escape($0) }.joined(separator: "; ")
    throw Failure(operation, because: Reason("\(command[0]) \(result.end): \(said)"))
  }
}

private struct LiveRules: RulesKeeper {
  let root: String

  /// Beside a running daemon, if this is an upgrade: nothing but a file that nobody else writes is made.
  func captureGenerationZero() throws -> Bool {
    try HostAgent.live(root: root, access: .reading).captureGeneration0()
  }

  func returnToGenerationZero() throws -> Bool {
    let agent = try HostAgent.live(root: root)
    // A change that its daemon could not end has touched more than the committed bundle tells.
    try agent.recover()
    return try agent.returnToGeneration0()
  }

  /// A journal that nobody can read must not keep anybody from removing what wrote it.
  func requireUnlocked() throws {
    guard let agent = try? HostAgent.live(root: root, access: .reading) else { return }
    try agent.requireUnlocked()
  }

  func conflicts() -> [String] { LinuxFacts(root: root).conflicts }
}

private enum StandardInput {
  /// What is there until the end; bytes beyond the limit are left, and make the content malformed.
  static func read(atMost limit: Int) -> [UInt8] {
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while content.count <= limit {
      let count = Glibc.read(STDIN_FILENO, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      content += buffer[..<count]
    }
    return content
  }
}
