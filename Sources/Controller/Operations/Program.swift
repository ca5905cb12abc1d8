internal import CLinux
internal import Core
internal import Glibc
internal import Subprocess
internal import SystemPackage

/// Runs a program of the controller's machine: absolute path, explicit environment, never a shell, and bounded output.
package struct Program: Sendable {
  let path: String

  package init(_ path: String) { self.path = path }

  /// OpenSSH's own tool: every signature is made and every key is created by it.
  package static let sshKeygen = Program("/usr/bin/ssh-keygen")

  package struct Finished: Sendable {
    package let standardOutput: [UInt8]
    package let standardError: String
    package let exitCode: Int32
    package var succeeded: Bool { exitCode == 0 }
  }

  /// What an interactive program needs to reach the person and their ssh-agent, and nothing else of our environment.
  private static let passedOn = ["HOME", "SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "TERM"]

  /// A non-zero exit is not an error here; not being able to run the program is.
  package func run(
    _ arguments: [String], input: [UInt8] = [], outputLimit: Int = 1 << 20, errorLimit: Int = 64 << 10
  ) async throws -> Finished {
    var environment: [Environment.Key: String] = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"]
    for name in Self.passedOn {
      if let value = getenv(name), let key = Environment.Key(rawValue: name) {
        environment[key] = String(cString: value)
      }
    }
    do {
      let file = try Self.file(holding: input)
      let result = try await Subprocess.run(
        .path(FilePath(path)), arguments: Arguments(arguments), environment: .custom(environment),
        input: .fileDescriptor(file, closeAfterSpawningProcess: true), output: .bytes(limit: outputLimit),
        error: .string(limit: errorLimit))
      let code: Int32
      switch result.terminationStatus {
      case .exited(let status): code = status
      case .signaled(let signal): code = 128 + signal
      }
      return Finished(
        standardOutput: result.standardOutput, standardError: result.standardError, exitCode: code)
    } catch {
      throw Failure("run \(path)", because: error)
    }
  }

  /// In memory. A program may end before it has read a pipe to its end, which Subprocess answers by ending us.
  private static func file(holding input: [UInt8]) throws -> FileDescriptor {
    let raw = clinux_memory_file()
    guard raw >= 0 else {
      throw SystemCallError("memfd_create", "input", errno: errno, meaning: String(cString: strerror(errno)))
    }
    let file = FileDescriptor(rawValue: raw)
    do {
      try file.writeAll(input)
      try file.seek(offset: 0, from: .start)
      return file
    } catch {
      try? file.close()
      throw error
    }
  }

  /// As `run`. Nil when it did not end in time; it is killed then.
  package func run(
    _ arguments: [String], input: [UInt8] = [], outputLimit: Int = 1 << 20, errorLimit: Int = 64 << 10,
    within limit: Duration
  ) async throws -> Finished? {
    try await withThrowingTaskGroup(of: Finished?.self) { group in
      group.addTask {
        try await run(arguments, input: input, outputLimit: outputLimit, errorLimit: errorLimit)
      }
      group.addTask {
        try await Task.sleep(for: limit)
        return nil
      }
      defer { group.cancelAll() }
      return try await group.next() ?? nil
    }
  }

  /// As `run`, but a non-zero exit is an error that carries what the program said.
  package func succeed(_ arguments: [String], input: [UInt8] = [], doing operation: String) async throws -> [UInt8] {
    let finished = try await run(arguments, input: input)
    guard finished.succeeded else {
      let said = finished.standardError.split(separator: "\n").map { SafeText.escape($0) }.joined(separator: "; ")
      throw Failure(operation, because: Reason("\(path) ended with \(finished.exitCode): \(said)"))
    }
    return finished.standardOutput
  }
}
