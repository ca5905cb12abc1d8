import Core
import Glibc
import Release

/// A directory of a test's own, removed with everything in it.
final class TemporaryDirectory {
  let path: String

  init() {
    var template = Array("/tmp/portcullis-release-XXXXXX".utf8CString)
    path = mkdtemp(&template).map { String(cString: $0) } ?? ""
    precondition(!path.isEmpty, "mkdtemp failed")
  }

  deinit { _ = run("/bin/rm", ["-rf", path]) }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  @discardableResult
  func write(_ bytes: [UInt8], to name: String) -> String {
    let file = self.file(name)
    let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    precondition(descriptor >= 0, "cannot write \(file)")
    defer { close(descriptor) }
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + written, bytes.count - written) }
      precondition(count > 0, "cannot write \(file)")
      written += count
    }
    return file
  }

  @discardableResult
  func write(_ text: String, to name: String) -> String { write(Array(text.utf8), to: name) }

  func read(_ name: String) -> [UInt8] { contents(of: file(name)) ?? [] }
}

func contents(of path: String) -> [UInt8]? {
  let descriptor = open(path, O_RDONLY)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65_536)
  while true {
    let count = Glibc.read(descriptor, &buffer, buffer.count)
    guard count > 0 else { return count == 0 ? bytes : nil }
    bytes += buffer[..<count]
  }
}

/// Runs a program to its end with a fixed environment, its output into a file when one is named, and returns its exit
/// status; 128 and the number when a signal ended it.
func run(
  _ program: String, _ arguments: [String], input: String = "/dev/null", output: String = "/dev/null"
) -> Int32 {
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
  posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
  posix_spawn_file_actions_adddup2(&actions, 1, 2)
  let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/nonexistent"]
  var argv = ([program] + arguments).map { strdup($0) } + [nil]
  var envp = environment.map { strdup($0) } + [nil]
  defer { (argv + envp).forEach { free($0) } }
  var child = pid_t()
  guard posix_spawn(&child, program, &actions, nil, &argv, &envp) == 0 else { return 127 }
  var status: Int32 = 0
  while waitpid(child, &status, 0) < 0 && errno == EINTR {}
  return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f)
}

/// The real ssh-keygen.
enum SSHKeygen {
  static let path = "/usr/bin/ssh-keygen"

  /// Makes a key in the directory and returns the public one.
  static func makeKey(_ name: String, type: String, in directory: TemporaryDirectory) throws -> SSHPublicKey {
    let status = run(
      path, ["-q", "-t", type, "-N", "", "-C", "\(name)@test", "-f", directory.file(name)])
    precondition(status == 0, "ssh-keygen could not make a key")
    return try PublicKeyFile.parse(directory.read("\(name).pub"), file: "\(name).pub").key
  }

  /// The armored signature over the message.
  static func sign(
    _ message: [UInt8], with name: String, namespace: String, hash: String = "sha512", in directory: TemporaryDirectory
  ) -> [UInt8] {
    let file = directory.write(message, to: "to-sign")
    _ = run("/bin/rm", ["-f", file + ".sig"])
    let status = run(path, ["-Y", "sign", "-f", directory.file(name), "-n", namespace, "-O", "hashalg=\(hash)", file])
    precondition(status == 0, "ssh-keygen could not sign")
    return directory.read("to-sign.sig")
  }

  static func accepts(
    _ signature: [UInt8], over messageFile: String, principal: String, namespace: String, allowedSigners: String,
    in directory: TemporaryDirectory
  ) -> Bool {
    let file = directory.write(signature, to: "to-verify.sig")
    return run(
      path, ["-Y", "verify", "-f", allowedSigners, "-I", principal, "-n", namespace, "-s", file], input: messageFile)
      == 0
  }
}
