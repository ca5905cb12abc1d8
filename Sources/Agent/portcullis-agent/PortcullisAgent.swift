import Apply
import ArgumentParser
import Core
import Daemon
import Glibc
import Netfilter

struct PortcullisAgent: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "portcullis-agent",
    abstract: "Keeps this host's packet filter as its owners signed it.",
    subcommands: [
      Serve.self, BridgeVerb.self, Restore.self, ReportVerb.self, Safe.self, Rollback.self, Install.self,
      Uninstall.self, Supervise.self, Version.self,
    ])

  /// Parses the command line, does what it says, and exits.
  static func start() -> Never {
    do {
      var command = try parseAsRoot()
      do {
        try command.run()
      } catch let error where !(error is ExitCode || error is ValidationError || exitCode(for: error).isSuccess) {
        // Help is an error too, of a kind that only the parser knows.
        Glibc.exit(Edge.report(error))
      }
      Glibc.exit(0)
    } catch {
      let code = exitCode(for: error)
      // Help that was asked for is data.
      guard !code.isSuccess else { exit(withError: error) }
      if !(error is ExitCode) {
        Edge.say("portcullis-agent: error: \(SafeText.escape(message(for: error)))")
        Edge.say("hint: portcullis-agent --help")
      }
      Glibc.exit(code.rawValue)
    }
  }
}

struct Root: ParsableArguments {
  @Option(name: .customLong("root"), help: "Moves every path, for tests.")
  var folder = "/"

  var layout: HostLayout { HostLayout(root: folder) }
}

struct Serve: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Run the daemon, in the foreground.")
  @OptionGroup var root: Root

  func run() throws {
    let layout = root.layout
    let signals = try Signals()
    let user = Accounts.userID(of: HostLayout.login, in: Accounts.read(layout.passwd))
    let group = Accounts.groupID(of: HostLayout.login, in: Accounts.read(layout.group))
    if user == nil || group == nil {
      Edge.say("portcullis-agent: there is no user and group \(HostLayout.login); only root can reach the agent")
    }
    var configuration = Daemon.Configuration(
      directory: layout.runtime, version: ProductVersion.current, group: group,
      users: Set([0, geteuid(), user].compactMap { $0 }))
    configuration.log = { Edge.say("portcullis-agent: \($0)") }
    let agent = try HostAgent.live(root: root.folder)
    let daemon = try Daemon(configuration, operations: agent)
    let notify = ReadyNotification.socketName
    // The programs we start have nothing to tell the service manager.
    unsetenv("NOTIFY_SOCKET")
    try daemon.run(stop: signals.descriptor) {
      ReadyNotification.send("READY=1", to: notify)
      Edge.say(
        "portcullis-agent: \(ProductVersion.current) serves \(agent.host) of fleet \(agent.fleet) on \(layout.socket)")
      CodeMemory.release()
    }
  }
}

struct BridgeVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bridge", abstract: "Join standard input and output with the daemon, for an SSH login.")
  @OptionGroup var root: Root

  func run() throws {
    let status = Edge.bridge(root.layout)
    if status != 0 { throw ExitCode(status) }
  }
}

struct Restore: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Load the committed rules, at boot, before the network comes up.",
    discussion: "Ends with 2 when it had to load the safe policy instead, with 1 when not even that was possible.")
  @OptionGroup var root: Root

  /// Our unit takes it for a success: it must not be followed by the unit that loads the plain safe files.
  private static let safePolicyIsLoaded: Int32 = 2

  func run() throws {
    switch try HostAgent.live(root: root.folder).restore() {
    case .nothingCommitted: Edge.say("portcullis-agent: nothing is committed yet; the rules are left as they are")
    case .committed(let serial): Edge.say("portcullis-agent: loaded release \(serial)")
    case .safePolicy(let why):
      _ = Edge.report(
        Failure(
          "load the committed rules; the safe policy is loaded instead", because: Reason(why),
          hint: "mend it, then on the controller: portcullis apply --refresh -l HOST"))
      throw ExitCode(Self.safePolicyIsLoaded)
    }
  }
}

struct ReportVerb: ParsableCommand {
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
  }

  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Print what the running daemon says of this host: what is committed, pending and in the kernel.")
  @OptionGroup var root: Root
  @Option(name: .shortAndLong, help: "How to print it.")
  var output = Format.text

  func run() throws {
    let document = Document(try AgentClient.report(socket: root.layout.socket))
    switch output {
    case .text: Edge.print(document.text)
    case .json: Edge.print(document.json + "\n")
    }
  }
}

struct Version: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Print the agent's version.")

  func run() { Edge.print("portcullis-agent \(ProductVersion.current)\n") }
}
