internal import Core
internal import Foundation
internal import Subprocess
internal import SystemPackage

/// Runs a program to its end, by absolute path, with an environment of our own.
enum LabProgram {
  struct Result {
    let succeeded: Bool
    let output: String
    let errors: String

    /// The last lines of what it complained about, for a person.
    var complaint: Reason {
      let lines = (errors.isEmpty ? output : errors).split(whereSeparator: \.isNewline).suffix(5)
      return Reason(
        lines.isEmpty ? "it failed without a word" : lines.map { SafeText.escape($0) }.joined(separator: "; "))
    }
  }

  /// A status other than 0 is not thrown; see `Result.succeeded`.
  static func run(_ path: String, _ arguments: [String], environment extra: [String: String] = [:]) async throws
    -> Result
  {
    guard FileManager.default.isExecutableFile(atPath: path) else {
      throw Failure("run \(path)", because: Reason("there is no such program"), hint: hint(for: path))
    }
    var environment = ["PATH": LabFleet.searchPath, "LANG": "C.UTF-8", "HOME": "/nonexistent"]
    environment.merge(extra) { $1 }
    let done = try await Subprocess.run(
      .path(FilePath(path)), arguments: Arguments(arguments),
      environment: .custom(environment.sorted { $0.key < $1.key }.map { Array("\($0.key)=\($0.value)".utf8) }),
      output: .string(limit: 4 << 20), error: .string(limit: 4 << 20))
    return Result(
      succeeded: done.terminationStatus.isSuccess, output: done.standardOutput, errors: done.standardError)
  }

  /// The package that has it on Debian and its kin.
  static func hint(for path: String) -> String? {
    let packages = [
      "nsenter": "util-linux", "unshare": "util-linux", "ip": "iproute2", "sshd": "openssh-server",
      "debootstrap": "debootstrap", "iptables-nft": "iptables", "iptables-legacy": "iptables",
    ]
    return packages[(path as NSString).lastPathComponent].map { "install it: apt-get install \($0)" }
  }
}
