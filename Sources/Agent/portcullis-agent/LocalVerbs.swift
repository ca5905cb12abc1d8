import Apply
import Arguments
import Core
import Daemon
import Glibc
import Netfilter
import Wire

struct Safe: AgentCommand {
  static let verb = Verb(
    "safe", "Load the built-in safe policy here and now, at the console; for when the rules shut people out.",
    discussion: """
      The safe policy lets in answers to what this host asked, the loopback interface, ICMP and neighbour discovery, \
      DHCP for this host, and SSH from its management sources; it lets everything out and drops the rest. It stays \
      until the next release or rollback. Only root on the host itself can do this, never over the \
      controller's connection. It works without the daemon and without the controller.
      """, options: Console.options)
  let root: Root
  let console: Console

  init(_ request: ArgumentReader.Request) throws(ArgumentReader.UsageProblem) {
    root = Root(request)
    console = try Console(request)
  }

  func run() throws -> Int32 {
    try console.order(
      .safe, root,
      next: """
        this host shows as degraded until a release is applied, on the controller: portcullis apply --refresh -l HOST. \
        \(EnrolledFiles.agentCommand) rollback --local --reason TEXT goes to the release before the one that ran
        """)
    return 0
  }
}

struct Rollback: AgentCommand {
  static let verb = Verb(
    "rollback", "Go back to the release committed before the one that runs, at the console.",
    discussion: """
      For a release that was confirmed and is wrong all the same. A change that still waits for its confirmation goes \
      back by itself. Only root on the host itself can do this, never over the controller's connection. It works without \
      the daemon and without the controller.
      """, options: Console.options)
  let root: Root
  let console: Console

  init(_ request: ArgumentReader.Request) throws(ArgumentReader.UsageProblem) {
    root = Root(request)
    console = try Console(request)
  }

  func run() throws -> Int32 {
    try console.order(
      .rollback, root,
      next: """
        mend the policy before the next release, which ends this (on the controller: portcullis apply --refresh -l HOST); \
        if even the earlier rules are wrong: \(EnrolledFiles.agentCommand) safe --local --reason TEXT
        """)
    return 0
  }
}

struct Lift: AgentCommand {
  static let verb = Verb(
    "lift", "End the lockdown of this host here and now, at the console.",
    discussion: """
      For a host that no unlock order reaches. What the last committed release says is in force again, at once. Only root \
      on the host itself can do this, never over the controller's connection. It works without the daemon and without \
      the controller, also where the disk is full or the journal damaged, and does nothing on a host that is not locked \
      down.
      """, options: Console.options)
  let root: Root
  let console: Console

  init(_ request: ArgumentReader.Request) throws(ArgumentReader.UsageProblem) {
    root = Root(request)
    console = try Console(request)
  }

  func run() throws -> Int32 {
    try console.order(
      .lift, root,
      next: """
        the lockdown order this host was under does not lock it again; a new one does. What it runs now: \
        \(EnrolledFiles.agentCommand) report
        """)
    return 0
  }
}

/// What these orders need.
struct Console {
  static let options = [
    Root.option,
    VerbOption(
      "local", help: "Needed: you are root at this host's console, and know that the order is recorded and reported."),
    VerbOption(
      "reason", value: "TEXT",
      help: "Why, in a few words (at most \(WireLimit.reason) bytes); recorded and reported to the controller.",
      isRequired: true),
  ]

  private let reason: String

  init(_ request: ArgumentReader.Request) throws(ArgumentReader.UsageProblem) {
    reason = request.values["reason"] ?? ""
    guard request.flags.contains("local") else {
      throw ArgumentReader.UsageProblem(
        "say --local too: this changes the rules of this host at once, and is recorded and reported")
    }
    guard !reason.utf8.allSatisfy({ $0 == UInt8(ascii: " ") }) else {
      throw ArgumentReader.UsageProblem("--reason must say why")
    }
    guard reason.utf8.count <= WireLimit.reason else {
      throw ArgumentReader.UsageProblem(
        "--reason has \(reason.utf8.count) bytes; at most \(WireLimit.reason) are kept")
    }
  }

  /// The running daemon does it; where none runs, we do.
  func order(_ deed: LocalOrder.Deed, _ root: Root, next: String) throws {
    guard geteuid() == 0 else {
      throw Failure(
        "\(deed) --local", because: Reason("only root on this host may order this"), hint: "become root first",
        kind: .refused)
    }
    let order = LocalOrder(deed: deed, reason: reason)
    let words: String
    if let done = try AgentClient.obey(order, socket: root.layout.socket) {
      words = done
    } else {
      Edge.say("portcullis-agent: no daemon runs here; doing it without one")
      words = try Self.obeyHere(order, root)
    }
    Edge.print(SafeText.escape(words) + "\n")
    Edge.say("what was recorded of it, with your reason, the controller learns when it asks next")
    Edge.say("next: \(next)")
  }

  /// The plain files of a locked host lock it too.
  private static func hint(_ deed: LocalOrder.Deed) -> String {
    switch deed {
    case .safe, .rollback: "the plain files need no agent: docs/recovery.md, 'The agent is gone'"
    case .lift: "the lockdown alone is taken out without the agent too: docs/recovery.md, 'A lockdown'"
    }
  }

  private static func obeyHere(_ order: LocalOrder, _ root: Root) throws -> String {
    let agent = try HostAgent.live(root: root.folder)
    do {
      try agent.recover()
    } catch {
      // The safe policy is for when nothing else works, a full disk included; and root can always lift.
      guard order.deed != .rollback else { throw error }
      Edge.say("portcullis-agent: \(SafeText.escape(ErrorChain(error).message))")
    }
    do {
      return try agent.obey(order)
    } catch {
      throw Failure(
        "\(order.deed) --local", because: Reason(SafeText.escape(error.detail)), hint: hint(order.deed))
    }
  }
}
