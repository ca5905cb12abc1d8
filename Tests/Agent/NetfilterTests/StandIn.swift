import AgentTestSupport
import Apply
import CLinux
import Core
import Glibc
import Release
import Testing
import Wire

@testable import Netfilter

/// The agent's executable beside this test bundle, where it was built.
let agentExecutable: String? = CommandLine.arguments
  .first { $0.hasSuffix(".xctest") }
  .map { $0.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/portcullis-agent" }
  .flatMap { SmallFile.read($0, atMost: 4) == nil ? nil : $0 }

/// A process that stands in for an agent with a change pending: release 1 is committed, the kernel holds other rules,
/// the journal says that they are being applied, and a guard is armed. It is this test program, run again to do
/// nothing but `play`, so that it can be killed and stopped like an agent.
final class StandIn {
  /// How the change came to be pending.
  enum How: String, CaseIterable {
    /// The journal and the kernel were brought there by hand, with any deadline.
    case crafted
    /// A signed release was applied, and waits for its confirmation.
    case applied
    /// As crafted; then it lets go of its guard's socket two seconds before it dies, as a process does that a disk holds.
    case dying
    /// As applied; then it lets go of the agent and lives on, as a process does whose loop failed and that is on its way out.
    case leaving
    var isApplied: Bool { self == .applied || self == .leaving }
  }

  let process: pid_t
  let guardProcess: pid_t
  let paths: AgentPaths
  let deadline: BootTime
  /// Not before the journal said that the change is open.
  let opened: BootTime
  private var isReaped = false

  static let before = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"
  static let after = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 2222 -j ACCEPT\nCOMMIT\n"
  static let transaction = TransactionID(bytes: Array(repeating: 7, count: 16))!

  private static let variable = "PORTCULLIS_STAND_IN"
  static let orders = getenv(variable).map { String(cString: $0).split(separator: " ").map(String.init) }

  init(_ host: RealHost, executable: String, milliseconds: Int, how: How = .crafted) throws {
    paths = AgentPaths(root: host.root)
    var arguments: [String] = []
    var skip = false
    for argument in CommandLine.arguments.dropFirst() {
      if skip || argument == "--filter" { skip.toggle() } else { arguments.append(argument) }
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, "\(host.root)/standin.log", O_WRONLY | O_CREAT, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    _ = clinux_spawn_close_from(&actions, 3)
    process = try Spawning.start(
      "/proc/self/exe", arguments + ["--filter", "plays an agent that waits"],
      environment: ProgramRequest.plainEnvironment + [
        "\(Self.variable)=\(host.root) \(executable) \(milliseconds) \(how)"
      ],
      &actions, flags: clinux_spawn_new_session())
    var armed: [String] = []
    for _ in 0..<1000 where armed.count != 3 && Self.isRunning(process) {
      usleep(20_000)
      armed = (SmallFile.line("\(host.root)/armed") ?? "").split(separator: " ").map(String.init)
    }
    guard armed.count == 3, let watcher = pid_t(armed[0]), let nanoseconds = UInt64(armed[1]),
      let since = UInt64(armed[2])
    else {
      kill(process, SIGKILL)
      var status: Int32 = 0
      waitpid(process, &status, 0)
      throw Reason(String(decoding: SmallFile.read("\(host.root)/standin.log") ?? [], as: UTF8.self))
    }
    guardProcess = watcher
    deadline = BootTime(nanoseconds: nanoseconds)
    opened = BootTime(nanoseconds: since)
  }

  deinit {
    if !isReaped { kill(process, SIGKILL) }
    _ = reap()
    // A guard that failed its test must not stay.
    if Self.isRunning(guardProcess) { kill(guardProcess, SIGKILL) }
  }

  /// Which signal ended it.
  func reap() -> Int32? {
    guard !isReaped else { return nil }
    isReaped = true
    var status: Int32 = 0
    return waitpid(process, &status, 0) == process ? status & 0x7f : nil
  }

  /// Neither gone nor a zombie.
  static func isRunning(_ process: pid_t) -> Bool {
    guard let bytes = SmallFile.read("/proc/\(process)/stat"), let end = bytes.lastIndex(of: UInt8(ascii: ")")) else {
      return false
    }
    return bytes.dropFirst(end - bytes.startIndex + 2).first != UInt8(ascii: "Z")
  }

  static func opened(_ phase: OpenTransaction.Phase) -> OpenTransaction {
    let release = InstalledRelease(serial: Serial(2), manifest: Digest(of: [2]), statement: Digest(of: [3]))
    return OpenTransaction(
      id: transaction, bundle: BundleName(Serial(2), unique: 1), release: release, content: Digest(of: [4]),
      phase: phase)
  }

  /// What the child does. Never returns while nobody ends it.
  static func play(_ orders: [String]) throws {
    let how = How(rawValue: orders[3])
    var held: (HostAgent, Guard)? = try pend(orders, how)
    if how == .dying, let socket = held?.1.watch?.socket {
      shutdown(socket.raw, Int32(SHUT_RDWR))
      sleep(2)
      kill(getpid(), SIGKILL)
    }
    if how == .leaving { held = nil }
    withExtendedLifetime(held) { for _ in 0..<60 { sleep(1) } }
  }

  private static func pend(_ orders: [String], _ how: How?) throws -> (HostAgent, Guard) {
    let isApplied = how?.isApplied == true
    let paths = AgentPaths(root: orders[0])
    try LinuxDisk.makePath(paths.state)
    // Bundles are signed with a key of each process's own.
    let trust = try LinuxDisk(paths.trust)
    try trust.remove("allowed_signers")
    try trust.create("allowed_signers", SignedBundles.allowedSigners)
    let lock = try AgentLock("\(paths.state)/lock")
    let firewall = LinuxFirewall(
      lock: lock, rehearsalLockFile: "\(paths.base)/rehearsal.lock", rehearse: rehearseInThread)
    let deadMan = Guard(root: paths.base, executable: orders[1])
    let agent = try HostAgent(
      state: LinuxDisk(paths.state), trust: LinuxDisk(paths.trust), firewall: firewall, settings: LinuxSettings(),
      facts: LinuxFacts(root: paths.base), clock: RealHost.FixedClock(), bootClock: LinuxBootClock(),
      deadMan: isApplied ? deadMan : NoDeadMan())
    try agent.recover()
    let outcome = try agent.apply(1, before, before)
    guard outcome.result == .committed else { throw Reason(outcome.detail) }
    let deadline: BootTime
    var opened = LinuxBootClock().now()
    if isApplied {
      let bundle = try SignedBundles.bundle(serial: 2, ipv4: after, ipv6: after)
      let answer = try agent.apply(
        bundle.files, transaction: transaction, manifest: bundle.manifest, terms: .standard,
        from: .console(opened: opened))
      guard case .applied = answer, let end = agent.confirmBy else { throw Reason("\(answer)") }
      deadline = end
    } else {
      // May have passed.
      deadline = BootTime(nanoseconds: UInt64(max(1, Int64(opened.nanoseconds) + Int64(orders[2])! * 1_000_000)))
      try deadMan.arm(transaction, until: deadline)
      var journal = try Journal(on: LinuxDisk(paths.state))
      opened = LinuxBootClock().now()
      try journal.append(.staged(Self.opened(.applying)))
      for family in [Family.ipv6, .ipv4] {
        try firewall.load(RestoreText(Array(after.utf8)), into: family, within: .seconds(5))
      }
    }
    let disk = try LinuxDisk(paths.base)
    try disk.create("armed.new", Array("\(deadMan.process!) \(deadline.nanoseconds) \(opened.nanoseconds)\n".utf8))
    try disk.rename("armed.new", to: "armed")
    return (agent, deadMan)
  }
}

/// No test but a part of others: what they start as a process of its own.
@Suite struct StandInTests {
  @Test func `plays an agent that waits`() throws {
    if let orders = StandIn.orders { try StandIn.play(orders) }
  }
}
