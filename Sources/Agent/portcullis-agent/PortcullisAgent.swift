import Apply
import Arguments
import Core
import Daemon
import Glibc
import Netfilter

/// A verb of the command line, and how it is done.
protocol AgentCommand {
  static var verb: Verb { get }
  init(_ request: ArgumentReader.Request) throws(ArgumentReader.UsageProblem)
  /// Returns the exit code.
  func run() throws -> Int32
}

enum PortcullisAgent {
  private static var commands: [any AgentCommand.Type] {
    [
      Serve.self, BridgeVerb.self, Restore.self, ReportVerb.self, Safe.self, Rollback.self, Lift.self, Install.self,
      Uninstall.self, Supervise.self, Version.self,
    ]
  }

  /// Reads the command line, does what it says, and exits.
  static func start(_ arguments: ArraySlice<String>) -> Never {
    let reader = ArgumentReader(
      program: "portcullis-agent", abstract: "Keeps this host's packet filter as its owners signed it.",
      verbs: commands.map { $0.verb })
    do {
      switch try reader.read(arguments) {
      case .help(let text): Edge.print(text)
      case .run(let request):
        for command in commands where command.verb.name == request.verb { exit(try command.init(request).run()) }
      }
      exit(0)
    } catch let problem as ArgumentReader.UsageProblem {
      exit(Edge.report(Failure("read the arguments", because: problem, hint: "portcullis-agent --help", kind: .usage)))
    } catch {
      exit(Edge.report(error))
    }
  }
}

/// The folder that every path is below.
struct Root {
  static let option = VerbOption("root", value: "DIR", help: "Moves every path, for tests; / otherwise.")

  let folder: String

  init(_ request: ArgumentReader.Request) { folder = request.values["root"] ?? "/" }

  var layout: HostLayout { HostLayout(root: folder) }
}

struct Serve: AgentCommand {
  static let verb = Verb("serve", "Run the daemon, in the foreground.", options: [Root.option])
  let root: Root

  init(_ request: ArgumentReader.Request) { root = Root(request) }

  func run() throws -> Int32 {
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
    let daemon = try Daemon(configuration, operations: agent) { try NftablesWatcher() }
    let notify = ReadyNotification.socketName
    // The programs we start have nothing to tell the service manager.
    unsetenv("NOTIFY_SOCKET")
    try daemon.run(stop: signals.descriptor) {
      ReadyNotification.send("READY=1", to: notify)
      Edge.say(
        "portcullis-agent: \(ProductVersion.current) serves \(agent.host) of fleet \(agent.fleet) on \(layout.socket)")
      UnusedMemory.release()
    }
    return 0
  }
}

struct BridgeVerb: AgentCommand {
  static let verb = Verb(
    "bridge", "Join standard input and output with the daemon, for an SSH login.", options: [Root.option])
  let root: Root

  init(_ request: ArgumentReader.Request) { root = Root(request) }

  func run() -> Int32 { Edge.bridge(root.layout) }
}

struct Restore: AgentCommand {
  static let verb = Verb(
    "restore", "Load the committed rules, at boot, before the network comes up.",
    discussion: "Ends with 2 when it had to load the safe policy instead, with 1 when not even that was possible.",
    options: [Root.option])
  let root: Root

  init(_ request: ArgumentReader.Request) { root = Root(request) }

  /// Our unit takes it for a success: it must not be followed by the unit that loads the plain safe files.
  private static let safePolicyIsLoaded: Int32 = 2

  func run() throws -> Int32 {
    switch try HostAgent.live(root: root.folder).restore() {
    case .nothingCommitted: Edge.say("portcullis-agent: nothing is committed yet; the rules are left as they are")
    case .committed(let serial): Edge.say("portcullis-agent: loaded release \(serial)")
    case .safePolicy(let why):
      _ = Edge.report(
        Failure(
          "load the committed rules; the safe policy is loaded instead", because: Reason(why),
          hint: "mend it, then on the controller: portcullis apply --refresh -l HOST"))
      return Self.safePolicyIsLoaded
    }
    return 0
  }
}

struct ReportVerb: AgentCommand {
  private enum Format: String {
    case text
    case json
  }

  static let verb = Verb(
    "report", "Print what the running daemon says of this host: what is committed, pending and in the kernel.",
    options: [
      Root.option, VerbOption("output", short: "o", value: "FORMAT", help: "How to print it: text (usual) or json."),
    ])
  let root: Root
  private let format: Format

  init(_ request: ArgumentReader.Request) throws(ArgumentReader.UsageProblem) {
    root = Root(request)
    guard let format = Format(rawValue: request.values["output"] ?? Format.text.rawValue) else {
      throw ArgumentReader.UsageProblem("--output is text or json")
    }
    self.format = format
  }

  func run() throws -> Int32 {
    let document = Document(try AgentClient.report(socket: root.layout.socket))
    switch format {
    case .text: Edge.print(document.text)
    case .json: Edge.print(document.json + "\n")
    }
    return 0
  }
}

struct Version: AgentCommand {
  static let verb = Verb("version", "Print the agent's version.")

  init(_ request: ArgumentReader.Request) {}

  func run() -> Int32 {
    Edge.print("portcullis-agent \(ProductVersion.current)\n")
    return 0
  }
}
