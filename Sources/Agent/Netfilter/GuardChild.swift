internal import Apply
internal import CLinux
internal import Core
internal import Glibc
internal import Wire

/// The agent, run again by itself to outlive itself while a change is pending (`Guard`). The executable calls `run`
/// before anything else when its first argument is `GuardChild.argument`, and exits with what it returns.
///
/// Standard input is the socket to the agent. It ends when the agent says so, when the journal says that the
/// transaction ended, or when it has taken the change back itself.
package enum GuardChild {
  package static let argument = "guard-child"

  /// "I am watching."
  static let word: UInt8 = 0x67
  /// "There is nothing left to watch."
  static let dismissal: UInt8 = 0x64

  /// - Parameter arguments: root, transaction, deadline in nanoseconds of CLOCK_BOOTTIME.
  package static func run(_ arguments: [String]) -> Int32 {
    // Whoever ends the agent by its terminal, its group or its service means the agent. We end by ourselves.
    for number in [SIGHUP, SIGINT, SIGTERM, SIGPIPE] { signal(number, SIG_IGN) }
    guard arguments.count == 3, let transaction = Hex.decode(arguments[1].utf8).flatMap({ TransactionID(bytes: $0) }),
      let deadline = UInt64(arguments[2])
    else { return 64 }
    let agent = getppid()
    // Without it (before Linux 5.3) an agent that hangs cannot be told from another process with its number.
    let handle = clinux_pidfd_open(agent)
    var byte = word
    guard send(0, &byte, 1, Int32(MSG_NOSIGNAL)) == 1 else { return 1 }
    // The agent reads our word while it lives; a parent that changed before that is not the agent.
    let vigil = GuardVigil(
      root: arguments[0], transaction: transaction, deadline: BootTime(nanoseconds: deadline),
      process: agent, agent: getppid() == agent && agent > 1 ? handle : -1)
    return vigil.keep()
  }
}

/// What the guard does until the change is resolved, by the agent or by itself.
struct GuardVigil {
  let root: String
  let transaction: TransactionID
  let deadline: BootTime
  /// The agent's process id.
  let process: pid_t
  /// A pidfd of the agent, or -1.
  let agent: Int32

  /// How many milliseconds after the deadline, or after the machine woke up past it, an agent may take to begin with going
  /// back, and, once its journal says it is at it, to be done. Then it hangs, or is stopped.
  private static let grace = 1_000
  private static let longGrace = 30_000
  /// The journal is looked at this often, in milliseconds.
  private static let step = 250
  private static let attempts = 5
  /// How many seconds an agent may take to die.
  private static let dying = 600

  func keep() -> Int32 {
    let clock = LinuxBootClock()
    var wasOpen = false
    /// When the deadline was first seen to have passed, in milliseconds of the clock that stands still in sleep.
    var overdueSince: Int?
    while true {
      switch wait(Self.step) {
      case .dismissed: return 0
      case .gone: return takeBack()
      case .nothing: break
      }
      let pending = pending()
      switch pending {
      case .ended: return 0
      // Given up before anything was changed; or not begun, and then there is nothing to take back yet.
      case .absent:
        if wasOpen { return 0 }
        continue
      case .open, .goingBack: wasOpen = true
      case .unknown: break
      }
      guard clock.now() >= deadline else { continue }
      let now = monotonicMilliseconds()
      let since = overdueSince ?? now
      overdueSince = since
      guard now - since >= (pending == .goingBack ? Self.longGrace : Self.grace) else { continue }
      guard agent >= 0 else {
        say("the agent lets the deadline of transaction \(transaction) pass, and cannot be ended safely")
        return 1
      }
      say("the agent let the deadline of transaction \(transaction) pass; it is ended")
      _ = clinux_pidfd_send_signal(agent, SIGKILL)
      var waiting = pollfd(fd: agent, events: Int16(POLLIN), revents: 0)
      poll(&waiting, 1, 5000)
      return takeBack()
    }
  }

  private enum Event {
    case dismissed
    case gone
    case nothing
  }

  /// In steps of the monotonic clock, which stands still while the machine sleeps: after it has woken up, the next
  /// step sees what the boot clock says.
  private func wait(_ milliseconds: Int) -> Event {
    var waiting = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
    guard poll(&waiting, 1, Int32(milliseconds)) > 0 else { return .nothing }
    var byte: UInt8 = 0
    let count = uninterrupted { recv(0, &byte, 1, Int32(MSG_DONTWAIT)) }
    if count == 1 { return byte == GuardChild.dismissal ? .dismissed : .nothing }
    return count < 0 && errno == EAGAIN ? .nothing : .gone
  }

  private enum Pending {
    case absent
    case open
    case goingBack
    case ended
    /// The journal cannot be read now, which does not release us.
    case unknown
  }

  private func pending() -> Pending {
    guard let ledger = try? Journal.read(from: LinuxDisk(AgentPaths(root: root).state)) else { return .unknown }
    if let open = ledger.open, open.id == transaction {
      // An agent that could not even write down that it gave up (a full disk) has nothing to take back.
      guard open.touchedKernel else { return .absent }
      return open.phase == .rollingBack ? .goingBack : .open
    }
    return ledger.outcome(of: transaction) == nil ? .absent : .ended
  }

  /// Waits for what the agent left running, for the agent itself while it is dying, and for a successor that was quicker.
  private func takeBack() -> Int32 {
    var attempt = 1
    var patience = Self.dying
    while true {
      do {
        let successor = try HostAgent.liveGuard(root: root)
        // Ends what the journal calls open; when somebody else did that meanwhile, nothing is changed.
        try successor.recover()
        return 0
      } catch let failure as Failure where failure.cause is AgentLock.Taken {
        // The agent we guard is no successor: its socket closes before it is gone, and a disk may hold it for long.
        guard patience > 0, (failure.cause as? AgentLock.Taken)?.process == process else {
          say(ErrorChain(failure).message)
          return 0
        }
        patience -= 1
        awaitAgent(1000)
      } catch {
        say("take back transaction \(transaction), attempt \(attempt): \(ErrorChain(error).message)")
        guard attempt < Self.attempts else { return 1 }
        attempt += 1
        usleep(1_000_000)
      }
    }
  }

  /// Until it is gone, or for so many milliseconds.
  private func awaitAgent(_ milliseconds: Int32) {
    // A negative descriptor is passed over, and the time passes.
    var waiting = pollfd(fd: agent, events: Int16(POLLIN), revents: 0)
    _ = poll(&waiting, 1, milliseconds)
  }

  private func say(_ words: String) {
    let line = "portcullis-agent guard: \(words)\n"
    _ = write(2, line, line.utf8.count)
  }
}
