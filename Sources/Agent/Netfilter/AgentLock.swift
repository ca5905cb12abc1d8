internal import CLinux
internal import Core
internal import Glibc

/// One agent at a time, and none while a program that a dead agent started still runs: the lock is an flock(2), which
/// its children inherit, so it is free only when all of them are gone. A program left behind could otherwise load new
/// rules after its successor has put the old ones back.
///
/// The file says who holds it, each by process id and start time, so that a number used again is not mistaken.
package final class AgentLock {
  /// Whoever wants the lock while an agent holds it is refused; a guard is done in moments, and is waited for.
  enum Role: String {
    case agent
    case `guard`
  }

  /// A living agent has the lock.
  struct Taken: Error, CustomStringConvertible {
    var process: pid_t
    var description: String { "another one is running as process \(process)" }
  }

  let descriptor: Int32
  private let path: String
  private let role: Role

  /// How long to wait for what a dead agent left behind, in milliseconds.
  private static let patience = 45_000

  package convenience init(_ path: String) throws { try self.init(path, as: .agent) }

  init(_ path: String, as role: Role) throws {
    self.path = path
    self.role = role
    let raw = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard raw >= 0 else { throw SystemCallError.last("open", path) }
    descriptor = raw
    // From here on deinit closes the descriptor, also when this throws.
    let deadline = monotonicMilliseconds() + Self.patience
    while uninterrupted({ flock(raw, LOCK_EX | LOCK_NB) }) != 0 {
      guard errno == EWOULDBLOCK else { throw SystemCallError.last("flock", path) }
      let holders = Self.holders(in: Self.content(of: raw))
      if let agent = holders.agent, agent.isAlive {
        throw Failure(
          "start the agent", because: Taken(process: agent.pid),
          hint: "ask that one; two agents would undo each other's work")
      }
      // What a living guard runs is what takes the host back; only what nobody watches any more may be ended.
      if !(holders.guard?.isAlive ?? false) { holders.child?.kill() }
      guard monotonicMilliseconds() < deadline else {
        throw Failure(
          "start the agent", because: Reason("a program that an earlier agent started does not end"),
          hint: "see who holds \(path)")
      }
      usleep(10_000)
    }
    note(child: nil)
  }

  deinit { close(descriptor) }

  /// Writes who is at work. No fsync: a power cut ends every process anyway.
  func note(child: pid_t?) {
    var text = "\(role.rawValue) \(ProcessIdentity(getpid()))\n"
    if let child { text += "child \(ProcessIdentity(child))\n" }
    let bytes = Array(text.utf8)
    // Losing this costs a successor some patience, no more.
    _ = pwrite(descriptor, bytes, bytes.count, 0)
    _ = ftruncate(descriptor, off_t(bytes.count))
  }

  private static func content(of raw: Int32) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = pread(raw, &bytes, bytes.count, 0)
    return Array(bytes.prefix(max(0, count)))
  }

  private struct Holders {
    var agent: ProcessIdentity?
    var `guard`: ProcessIdentity?
    var child: ProcessIdentity?
  }

  private static func holders(in content: [UInt8]) -> Holders {
    var holders = Holders()
    for line in String(decoding: content, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count == 3, let pid = pid_t(words[1]), let start = UInt64(words[2]) else { continue }
      let identity = ProcessIdentity(pid, start: start)
      switch words[0] {
      case "agent": holders.agent = identity
      case "guard": holders.guard = identity
      case "child": holders.child = identity
      default: continue
      }
    }
    return holders
  }
}

/// A process that cannot be mistaken for another one with the same number.
private struct ProcessIdentity: CustomStringConvertible {
  let pid: pid_t
  /// In clock ticks after boot; 0 when it is gone.
  let start: UInt64

  init(_ pid: pid_t) {
    self.pid = pid
    start = ProcessStart.ticks(of: pid) ?? 0
  }

  init(_ pid: pid_t, start: UInt64) {
    self.pid = pid
    self.start = start
  }

  var description: String { "\(pid) \(start)" }

  var isAlive: Bool { pid > 0 && ProcessStart.ticks(of: pid) == start }

  func kill() {
    guard pid > 1 else { return }
    let handle = clinux_pidfd_open(pid)
    defer { if handle >= 0 { close(handle) } }
    // The handle keeps the number from being used again between the question and the signal.
    guard isAlive else { return }
    if handle >= 0 { _ = clinux_pidfd_send_signal(handle, SIGKILL) } else { Glibc.kill(pid, SIGKILL) }
  }
}
