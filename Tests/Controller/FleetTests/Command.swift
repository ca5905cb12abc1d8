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
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
    process.arguments = ["--kill-after=2", "\(timeout)", path] + arguments
    process.environment = [
      "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": try Machine.scratch(),
      "LANG": "C.UTF-8", "LOGNAME": "root", "USER": "root",
    ]
    if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(name).out"))
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(name).err"))
    var dripping: Task<Void, Never>?
    switch input {
    case .nothing: process.standardInput = FileHandle.nullDevice
    case .bytes(let bytes):
      try write(bytes, to: "\(name).in")
      process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: "\(name).in"))
    case .drip(let bytes):
      signal(SIGPIPE) { _ in }
      let pipe = Pipe()
      process.standardInput = pipe
      dripping = Task {
        for byte in bytes {
          guard (try? pipe.fileHandleForWriting.write(contentsOf: Data([byte]))) != nil else { return }
          try? await Task.sleep(for: .seconds(1))
          if Task.isCancelled { return }
        }
      }
    }
    let start = ContinuousClock.now
    let status = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Int32, any Error>) in
      process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
      do { try process.run() } catch { continuation.resume(throwing: error) }
    }
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
