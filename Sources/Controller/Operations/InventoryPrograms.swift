internal import Core
@preconcurrency internal import Glibc
package import Inventory

/// Runs executable inventories: absolute path, never a shell, an own process group that is killed at its deadline or when
/// it prints too much. The environment is ours, as with Ansible: programs find their interpreter, cloud account and proxy
/// there.
///
/// An inventory is read by code that waits for files anyway, and a few verbs later by nobody: so this waits too, instead
/// of making all of it asynchronous.
package struct InventoryProgramRunner: Sendable {
  private let milliseconds: Int
  private let outputLimit: Int

  package init(seconds: Int = 60, outputLimit: Int = 64 << 20) {
    milliseconds = seconds * 1000
    self.outputLimit = outputLimit
  }

  package var programs: InventoryPrograms {
    InventoryPrograms { path, arguments in
      do throws(Reason) {
        return .success(try output(of: path, arguments))
      } catch {
        return .failure(error)
      }
    }
  }

  private func output(of path: String, _ arguments: [String]) throws(Reason) -> [UInt8] {
    guard path.hasPrefix("/") else { throw Reason("its path is not absolute") }
    var output = try PipeReader(limit: outputLimit)
    var errors = try PipeReader(limit: 64 << 10)
    defer {
      output.close()
      errors.close()
    }
    let pid = try Self.start(path, arguments, output.writeEnd, errors.writeEnd)
    output.closeWriteEnd()
    errors.closeWriteEnd()
    var status: Int32 = 0
    let cause = wait(for: pid, &output, &errors, &status)
    if let cause {
      // With what it started: its group is its own.
      kill(-pid, SIGKILL)
      while waitpid(pid, &status, 0) < 0, errno == EINTR {}
      throw Reason(cause)
    }
    let signal = status & 0x7f
    guard status == 0 else {
      let said = errors.bytes.split(separator: 0x0a).suffix(3).map { SafeText.escape($0) }.joined(separator: "; ")
      let end = signal == 0 ? "with \((status >> 8) & 0xff)" : "by signal \(signal)"
      throw Reason("the program ended \(end)" + (said.isEmpty ? "" : ": \(said)"))
    }
    return output.bytes
  }

  /// Nil when it ended by itself and everything it printed was read.
  private func wait(
    for pid: pid_t, _ output: inout PipeReader, _ errors: inout PipeReader, _ status: inout Int32
  ) -> String? {
    let clock = ContinuousClock()
    let deadline = clock.now + .milliseconds(milliseconds)
    while true {
      var waiting = [output.waiting, errors.waiting]
      if poll(&waiting, 2, 20) < 0, errno != EINTR { return "poll: \(String(cString: strerror(errno)))" }
      output.drain()
      errors.drain()
      if output.isOverLimit { return "the program printed more than \(outputLimit >> 20) MiB" }
      let ended = waitpid(pid, &status, WNOHANG)
      if ended == pid {
        // What it left in the background may hold the pipe open; what it printed itself is there by now.
        output.drain()
        errors.drain()
        return output.isOverLimit ? "the program printed more than \(outputLimit >> 20) MiB" : nil
      }
      if Task.isCancelled { return "interrupted" }
      if clock.now >= deadline { return "the program did not end within \(milliseconds / 1000) seconds" }
      // At its end of file a pipe is always readable: do not spin on it.
      if output.isAtEnd, errors.isAtEnd { usleep(2000) }
    }
  }

  private static func start(
    _ path: String, _ arguments: [String], _ output: Int32, _ errors: Int32
  ) throws(Reason) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, errors, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
    var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
    defer { for pointer in words { free(pointer) } }
    var pid: pid_t = 0
    var status = posix_spawn(&pid, path, &actions, &attributes, &words, environ)
    // Somebody has just written the file, and a child that is being started at this moment still holds it open.
    for _ in 0..<100 where status == ETXTBSY {
      usleep(10_000)
      status = posix_spawn(&pid, path, &actions, &attributes, &words, environ)
    }
    guard status == 0 else { throw Reason("the program cannot be run: \(String(cString: strerror(status)))") }
    return pid
  }
}

/// One pipe from a child, read without ever waiting for it.
private struct PipeReader {
  private(set) var bytes: [UInt8] = []
  private(set) var isAtEnd = false
  private let limit: Int
  private let readEnd: Int32
  private(set) var writeEnd: Int32

  init(limit: Int) throws(Reason) {
    self.limit = limit
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw Reason("pipe: \(String(cString: strerror(errno)))") }
    readEnd = Self.lifted(ends[0])
    writeEnd = Self.lifted(ends[1])
    for descriptor in [readEnd, writeEnd] { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    _ = fcntl(readEnd, F_SETFL, O_NONBLOCK)
  }

  var isOverLimit: Bool { bytes.count > limit }
  var waiting: pollfd { pollfd(fd: isAtEnd ? -1 : readEnd, events: Int16(POLLIN), revents: 0) }

  /// A descriptor below 3 would be overwritten in the child before it is used.
  private static func lifted(_ raw: Int32) -> Int32 {
    guard raw < 3 else { return raw }
    let higher = fcntl(raw, F_DUPFD_CLOEXEC, 3)
    Glibc.close(raw)
    return higher
  }

  mutating func closeWriteEnd() {
    if writeEnd >= 0 { Glibc.close(writeEnd) }
    writeEnd = -1
  }

  mutating func close() {
    closeWriteEnd()
    Glibc.close(readEnd)
  }

  /// Everything that is there; beyond the limit, of errors, it is read and dropped.
  mutating func drain() {
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while !isAtEnd, !isOverLimit {
      let count = read(readEnd, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      if count < 0 { return }
      if count == 0 { isAtEnd = true }
      bytes += buffer[..<count]
    }
  }
}
