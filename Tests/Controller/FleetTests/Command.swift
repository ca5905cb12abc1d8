import Foundation
import Glibc
import Testing

/// What a program did. A program that did not end in time is not one of these: that is an error.
struct Finished: Sendable, CustomStringConvertible {
  let command: String
  let status: Int32
  let bytes: [UInt8]
  let err: String
  let seconds: Double

  var out: String { String(decoding: bytes, as: UTF8.self) }
  /// Both streams, for searching.
  var said: String { out + err }
  var description: String { "\(command) ended with \(status) after \(seconds) s\n\(out)\(err)" }
}

struct TookTooLong: Error, CustomStringConvertible {
  let command: String
  let seconds: Int
  let said: String
  var description: String { "\(command) did not end within \(seconds) s; it said: \(said)" }
}

enum Command {
  enum Input: Sendable {
    case nothing
    case bytes([UInt8])
    /// One byte a second, and the end never.
    case drip([UInt8])
  }

  /// Runs a program by its absolute path, in an environment of its own. Its streams are files, so that nothing which
  /// outlives it can keep us waiting; timeout(1) ends it, and whatever it started, when it takes too long.
  static func run(
    _ path: String, _ arguments: [String], input: Input = .nothing, in folder: String? = nil, timeout: Int = 60
  ) async throws -> Finished {
    let name = "\(try Machine.scratch())/run-\(UInt64.random(in: .min ... .max))"
    defer { for end in ["in", "out", "err"] { unlink("\(name).\(end)") } }
    for end in ["out", "err"] { try write([], to: "\(name).\(end)") }
    let output = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(name).out"))
    let errors = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(name).err"))
    var given: FileHandle
    var dripping: Task<Void, Never>?
    switch input {
    case .nothing: given = FileHandle.nullDevice
    case .bytes(let bytes):
      try write(bytes, to: "\(name).in")
      given = try FileHandle(forReadingFrom: URL(fileURLWithPath: "\(name).in"))
    case .drip(let bytes):
      signal(SIGPIPE) { _ in }
      let pipe = Pipe()
      for end in [pipe.fileHandleForReading, pipe.fileHandleForWriting] {
        _ = fcntl(end.fileDescriptor, F_SETFD, FD_CLOEXEC)
      }
      given = pipe.fileHandleForReading
      dripping = Task {
        for byte in bytes {
          guard (try? pipe.fileHandleForWriting.write(contentsOf: Data([byte]))) != nil else { return }
          try? await Task.sleep(for: .seconds(1))
          if Task.isCancelled { return }
        }
      }
    }
    let start = ContinuousClock.now
    let pid = try spawn(
      ["/usr/bin/timeout", "--kill-after=2", "\(timeout)", path] + arguments, in: folder,
      streams: [given.fileDescriptor, output.fileDescriptor, errors.fileDescriptor])
    // Ours are not needed any more; a reader of the pipe who is gone is what stops the dripping.
    for handle in [given, output, errors] where handle !== FileHandle.nullDevice { try? handle.close() }
    let status = await exitStatus(of: pid)
    dripping?.cancel()
    let command = "\(path.split(separator: "/").last ?? "") \(arguments.joined(separator: " "))"
    let out = try bytes(of: "\(name).out")
    let err = String(decoding: try bytes(of: "\(name).err"), as: UTF8.self)
    let seconds = start.duration(to: .now) / .seconds(1)
    if status == 124 || status == 137, seconds >= Double(timeout) {
      throw TookTooLong(command: command, seconds: timeout, said: String(decoding: out, as: UTF8.self) + err)
    }
    return Finished(command: command, status: status, bytes: out, err: err, seconds: seconds)
  }

  /// Not Foundation's Process: it says that a program ended when everything that program started has ended too.
  private static func spawn(_ command: [String], in folder: String?, streams: [Int32]) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // Above the three first, so that none is closed before it is copied.
    let copies = streams.map { fcntl($0, F_DUPFD_CLOEXEC, 3) }
    defer { for copy in copies { close(copy) } }
    for (target, copy) in copies.enumerated() { posix_spawn_file_actions_adddup2(&actions, copy, Int32(target)) }
    let scratch = try Machine.scratch()
    let environment = [
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=\(scratch)", "LANG=C.UTF-8",
      "LOGNAME=root", "USER=root",
    ]
    let command = (folder.map { ["/usr/bin/env", "--chdir=\($0)"] } ?? []) + command
    let words = command.map { strdup($0) } + [nil]
    let variables = environment.map { strdup($0) } + [nil]
    defer { for word in words + variables { free(word) } }
    // Threads of the pool block signals, and timeout(1) lives by them.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var pid: pid_t = 0
    let code = posix_spawn(&pid, command[0], &actions, &attributes, words, variables)
    guard code == 0 else { throw POSIXError(POSIXErrorCode(rawValue: code) ?? .EIO) }
    return pid
  }

  private static func exitStatus(of pid: pid_t) async -> Int32 {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        continuation.resume(returning: status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f))
      }
    }
  }

  /// As `run`, and anything but 0 ends the test.
  @discardableResult
  static func succeed(
    _ path: String, _ arguments: [String], input: Input = .nothing, in folder: String? = nil, timeout: Int = 60,
    at location: Testing.SourceLocation = #_sourceLocation
  ) async throws -> Finished {
    let finished = try await run(path, arguments, input: input, in: folder, timeout: timeout)
    try #require(finished.status == 0, "\(finished)", sourceLocation: location)
    return finished
  }
}

func bytes(of path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

func text(of path: String) throws -> String { String(decoding: try bytes(of: path), as: UTF8.self) }

func write(_ content: [UInt8], to path: String, mode: Int = 0o644) throws {
  let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  try Data(content).write(to: URL(fileURLWithPath: path))
  try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
}

func write(_ content: String, to path: String, mode: Int = 0o644) throws {
  try write(Array(content.utf8), to: path, mode: mode)
}
