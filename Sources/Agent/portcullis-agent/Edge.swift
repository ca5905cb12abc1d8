import Core
import Daemon
import Glibc

/// Where our files are on a host.
struct HostLayout {
  /// The user that SSH logins run as, and its group.
  static let login = "portcullis"

  private let base: String

  init(root: String) {
    var base = root[...]
    while base.hasSuffix("/") { base = base.dropLast() }
    self.base = String(base)
  }

  var runtime: String { base + "/run/portcullis" }
  var socket: String { runtime + "/agent.sock" }
  var passwd: String { base + "/etc/passwd" }
  var group: String { base + "/etc/group" }
}

/// The only place that prints errors and knows exit codes.
enum Edge {
  /// A line to standard error, at once: what is buffered would be lost in a crash.
  static func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  static func print(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  /// Prints an error's chain once, and its hints. Returns the exit code for it.
  static func report(_ error: any Error) -> Int32 {
    let chain = ErrorChain(error)
    for line in lines(of: chain.message) { say("portcullis-agent: error: \(line)") }
    for hint in chain.hints { say("hint: \(SafeText.escape(hint))") }
    return switch chain.kind {
    case .error: 1
    case .refused: 5
    case .usage: 64
    }
  }

  /// Joins standard input and output with the daemon. One line about an error: it ends up in the controller's message.
  static func bridge(_ layout: HostLayout) -> Int32 {
    let connection = getenv("SSH_CONNECTION").map { String(cString: $0) }
    do {
      try Bridge(socket: layout.socket).run(Preamble(sshConnection: connection))
      return 0
    } catch {
      let chain = ErrorChain(error)
      let hint = chain.hints.first.map { " (hint: \($0))" } ?? ""
      say("portcullis-agent: error: \(SafeText.escape(chain.message))\(SafeText.escape(hint))")
      return 1
    }
  }

  /// Diagnostics come as several lines; each is made safe on its own.
  private static func lines(of text: String) -> [String] {
    text.utf8.split(separator: UInt8(ascii: "\n")).map { SafeText.escape(Array($0)) }
  }
}
