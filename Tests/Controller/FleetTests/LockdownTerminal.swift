/// An operator at a terminal of their own: what a person types, and sees on one screen.
extension LockdownLab {
  /// `portcullis lockdown VERB`, and a line that is typed as soon as it asks.
  func typed(_ line: String, _ verb: String, _ flags: [String]) async throws -> Finished {
    try await atTerminal([verb] + flags, input: .bytes(Array("\(line)\n".utf8)))
  }

  /// `portcullis lockdown status --watch`, until Ctrl-C is typed after so many seconds.
  func watched(for seconds: Int) async throws -> Finished {
    // Line feeds say nothing to it, and keep the time.
    try await atTerminal(
      ["status", "-l", pattern, "--watch"], input: .drip([UInt8](repeating: 0x0a, count: seconds) + [0x03]))
  }

  /// Standard input, output and errors are one pseudo-terminal, which script(1) makes.
  private func atTerminal(_ words: [String], input: Command.Input) async throws -> Finished {
    let command = ([Machine.portcullis, "lockdown"] + words).map { "'\($0)'" }.joined(separator: " ")
    return try await Command.run(
      "/usr/bin/script", ["--quiet", "--return", "--command", "exec \(command)", "/dev/null"], input: input,
      in: lab.folder, timeout: 90)
  }
}
