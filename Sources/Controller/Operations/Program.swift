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
    _ arguments: [String], input: [UInt8] = [], outputLimit: Int = 1 << 20
  ) async throws -> Finished {
    var environment: [Environment.Key: String] = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"]
    for name in Self.passedOn {
      if let value = getenv(name), let key = Environment.Key(rawValue: name) {
        environment[key] = String(cString: value)
      }
    }
    do {
      let result = try await Subprocess.run(
        .path(FilePath(path)), arguments: Arguments(arguments), environment: .custom(environment),
        input: .array(input), output: .bytes(limit: outputLimit), error: .string(limit: 64 << 10))
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
