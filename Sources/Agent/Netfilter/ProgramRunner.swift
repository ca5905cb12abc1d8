internal import CLinux
package import Core
internal import Glibc

/// One program to be run, all of it stated: nothing is taken from the agent's own environment.
package struct ProgramRequest: Sendable {
  /// Absolute.
  package var path: String
  package var arguments: [String]
  /// `NAME=value` each. Nothing else is in the environment.
  package var environment: [String]
  /// Handed over whole, from memory: a program that reads a pipe could be left waiting in the middle of a table.
  package var input: [UInt8]
  /// In bytes.
  package var outputLimit: Int
  package var errorLimit: Int
  /// Then it is killed, with what it started.
  package var milliseconds: Int

  package init(
    _ path: String, _ arguments: [String], environment: [String] = Self.plainEnvironment, input: [UInt8] = [],
    outputLimit: Int = 64 << 20, errorLimit: Int = 64 << 10, milliseconds: Int = 30_000
  ) {
    self.path = path
    self.arguments = arguments
    self.environment = environment
    self.input = input
    self.outputLimit = outputLimit
    self.errorLimit = errorLimit
    self.milliseconds = milliseconds
  }

  package static let plainEnvironment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"]
}

package struct ProgramResult: Sendable {
  package enum End: Hashable, Sendable {
    case exited(Int32)
    case signalled(Int32)
    /// Killed at its deadline.
    case timedOut
    /// Killed for printing more than its limit.
    case flooded
  }
  package var end: End
  package var output: [UInt8]
  /// Its first bytes up to the limit; more is read and dropped.
  package var errors: [UInt8]
}

/// Runs programs (docs/adr/0002-agent-runs-programs-itself.md): posix_spawn, no shell, closed descriptors, an own
/// process group, default signals, input from a sealed memory file, bounded output, a hard deadline.
package struct ProgramRunner {
  /// Called with each child's id while it runs; it inherits this lock, so that no other agent starts while a program
  /// that an agent left behind is still changing the host.
  private let lock: AgentLock?

  package init() { lock = nil }

  init(lock: AgentLock?) { self.lock = lock }

  package func run(_ request: ProgramRequest) throws(SystemCallError) -> ProgramResult {
    let input = try Self.memoryFile(request.input)
    let output = try Pipe()
    let errors = try Pipe()
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, input.raw, 0)
    posix_spawn_file_actions_adddup2(&actions, output.write.raw, 1)
    posix_spawn_file_actions_adddup2(&actions, errors.write.raw, 2)
    if let lock { posix_spawn_file_actions_adddup2(&actions, lock.descriptor, 3) }
    _ = clinux_spawn_close_from(&actions, lock == nil ? 3 : 4)
    let pid = try Self.spawn(request, &actions)
    OwnPrograms.note(pid)
    lock?.note(child: pid)
    defer { lock?.note(child: nil) }
    output.closeWrite()
    errors.closeWrite()
    return try Self.watch(pid, request, output.read.raw, errors.read.raw)
  }

  // MARK: - Starting

  private static func spawn(
    _ request: ProgramRequest, _ actions: inout posix_spawn_file_actions_t
  ) throws(SystemCallError) -> pid_t {
    try Spawning.start(
      request.path, request.arguments, environment: request.environment, &actions, flags: Int16(POSIX_SPAWN_SETPGROUP))
  }

  /// A file that exists only in memory and can no longer change.
  private static func memoryFile(_ content: [UInt8]) throws(SystemCallError) -> Descriptor {
    let file = try lifted(clinux_memory_file(), "memfd_create")
    let raw = file.raw
    var written = 0
    while written < content.count {
      let count = content.withUnsafeBytes { buffer in
        uninterrupted { Glibc.write(raw, buffer.baseAddress! + written, buffer.count - written) }
      }
      guard count > 0 else { throw .last("write", "memory file") }
      written += count
    }
    guard lseek(raw, 0, SEEK_SET) == 0 else { throw .last("lseek", "memory file") }
    guard clinux_seal(raw) == 0 else { throw .last("seal", "memory file") }
    return file
  }

  /// Descriptors below 4 would be overwritten in the child before they are used.
  fileprivate static func lifted(_ raw: Int32, _ call: String) throws(SystemCallError) -> Descriptor {
    guard raw >= 0 else { throw .last(call, "") }
    let first = Descriptor(takingOwnershipOf: raw)
    guard raw < 4 else { return first }
    let higher = fcntl(raw, F_DUPFD_CLOEXEC, 4)
    guard higher >= 0 else { throw .last("dup", "") }
    return Descriptor(takingOwnershipOf: higher)
  }

  // MARK: - Watching

  private static func watch(
    _ pid: pid_t, _ request: ProgramRequest, _ output: Int32, _ errors: Int32
  ) throws(SystemCallError) -> ProgramResult {
    var result = ProgramResult(end: .timedOut, output: [], errors: [])
    var cause: ProgramResult.End?
    var outputEnded = false
    var errorsEnded = false
    // Kernels before 5.3 have no pidfd; then the child is asked for in short intervals.
    let handle = clinux_pidfd_open(pid)
    defer { if handle >= 0 { close(handle) } }
    let deadline = monotonicMilliseconds() + request.milliseconds
    var status: Int32 = 0
    while true {
      let left = deadline - monotonicMilliseconds()
      if left <= 0 {
        cause = cause ?? .timedOut
        break
      }
      var waiting = [
        pollfd(fd: output, events: Int16(POLLIN), revents: 0), pollfd(fd: errors, events: Int16(POLLIN), revents: 0),
        pollfd(fd: handle, events: Int16(POLLIN), revents: 0),
      ]
      // An end of file would wake poll again and again.
      if outputEnded { waiting[0].fd = -1 }
      if errorsEnded { waiting[1].fd = -1 }
      let timeout = handle >= 0 ? left : min(left, 5)
      if poll(&waiting, 3, Int32(min(left, timeout))) < 0, errno != EINTR { break }
      drain(output, into: &result.output, keeping: request.outputLimit + 1, &outputEnded)
      drain(errors, into: &result.errors, keeping: request.errorLimit, &errorsEnded)
      if result.output.count > request.outputLimit {
        cause = .flooded
        break
      }
      if handle < 0 || waiting[2].revents != 0 {
        let reaped = uninterrupted { waitpid(pid, &status, WNOHANG) }
        guard reaped == 0 else {
          // What it printed last may still be in the pipe. What its own children hold open is not waited for.
          drain(output, into: &result.output, keeping: request.outputLimit + 1, &outputEnded)
          drain(errors, into: &result.errors, keeping: request.errorLimit, &errorsEnded)
          guard reaped == pid else { throw .last("wait for", request.path) }
          result.end = end(status)
          if result.output.count > request.outputLimit { result.end = .flooded }
          return result
        }
      }
    }
    // Its group is its own, so this reaches what it started too, and nobody else.
    kill(-pid, SIGKILL)
    kill(pid, SIGKILL)
    _ = uninterrupted { waitpid(pid, &status, 0) }
    guard let cause else { throw .of("watch", request.path, errno: EIO) }
    result.end = cause
    return result
  }

  /// Reads what is there; bytes beyond the limit are dropped.
  private static func drain(_ file: Int32, into bytes: inout [UInt8], keeping limit: Int, _ ended: inout Bool) {
    guard !ended else { return }
    while true {
      let (count, chunk) = withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 16) { buffer in
        let count = uninterrupted { read(file, buffer.baseAddress!, buffer.count) }
        if count > 0 { bytes.append(contentsOf: buffer.prefix(min(count, max(0, limit - bytes.count)))) }
        return (count, buffer.count)
      }
      if count == 0 { ended = true }
      // A flood is looked at after each piece, so that it cannot keep us here.
      if count < chunk { return }
      if bytes.count >= limit { return }
    }
  }

  private static func end(_ status: Int32) -> ProgramResult.End {
    // WIFEXITED and WEXITSTATUS (wait(2)), which are macros.
    status & 0x7f == 0 ? .exited(status >> 8 & 0xff) : .signalled(status & 0x7f)
  }
}

/// CLOCK_MONOTONIC, so that a step of the wall clock moves no deadline.
func monotonicMilliseconds() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

private final class Pipe {
  let read: Descriptor
  private(set) var write: Descriptor

  init() throws(SystemCallError) {
    var ends: [Int32] = [-1, -1]
    guard clinux_pipe(&ends) == 0 else { throw .last("pipe", "") }
    read = Descriptor(takingOwnershipOf: ends[0])
    write = try ProgramRunner.lifted(ends[1], "pipe")
    // Ours stays non-blocking; a program is not ready for a standard output that is.
    guard fcntl(write.raw, F_SETFL, 0) == 0 else { throw .last("fcntl", "pipe") }
  }

  /// Else the end of the program's output would never be seen.
  func closeWrite() { write = Descriptor(takingOwnershipOf: -1) }
}
