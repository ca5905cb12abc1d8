import Console
import Core
import Glibc

/// The person's side: standard error, and the printing of documents on standard output.
enum Terminal {
  static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 }

  /// https://no-color.org: any value that is not empty.
  static var colour: Bool {
    guard isatty(STDOUT_FILENO) == 1 else { return false }
    if let value = getenv("NO_COLOR"), value.pointee != 0 { return false }
    if let term = getenv("TERM"), String(cString: term) == "dumb" { return false }
    return true
  }

  /// Characters in a line of standard error; nil where that is no terminal.
  static var width: Int? {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 else { return nil }
    return size.ws_col > 0 ? Int(size.ws_col) : 80
  }

  /// A line of data.
  static func line(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

  /// Whole lines of data, as they come. False when nobody reads them any more.
  @discardableResult
  static func data(_ lines: String) -> Bool { write(lines, to: STDOUT_FILENO) }

  /// A line for the person, not for scripts.
  static func say(_ line: String) { write(line + "\n", to: STDERR_FILENO) }

  /// In place of the line before it, on a terminal only. Empty: takes it away.
  static func progress(_ line: String) { write("\r\u{1b}[K" + line, to: STDERR_FILENO) }

  /// With write(2), at once: what is buffered is lost when somebody kills us. A closed pipe ends the output, not us.
  ///
  /// - Returns: whether all of it was.
  @discardableResult
  static func write(_ text: String, to descriptor: Int32) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  static func complain(_ error: any Error) {
    for part in ErrorChain(error).parts {
      for (index, line) in part.text.split(separator: "\n").enumerated() {
        say((index == 0 ? "error: " : "       ") + SafeText.escape(line))
      }
      for hint in part.hints { say("hint: " + SafeText.escape(hint)) }
    }
  }

  static func print(_ document: some Document, _ options: OutputOptions) throws {
    let text = try DocumentPrinter.render(document, as: options.output, colour: colour)
    write(text, to: STDOUT_FILENO)
  }

  /// A line typed at the terminal, nil at its end.
  static func ask(_ question: String) -> String? {
    write(question, to: STDERR_FILENO)
    return readLine(strippingNewline: true)
  }
}
