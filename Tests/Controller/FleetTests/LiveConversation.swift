import Core
import Foundation
import Glibc
import Testing
import Wire

/// One connection over real ssh and the bridge that stays open: what is said next may depend on what was heard.
final class LiveConversation {
  private let process = Process()
  private let input = Pipe()
  private let heard: String
  private var session = ControllerSession()

  /// - Parameter options: of ssh, so that two of these can share one TCP connection.
  init(with host: String, of lab: TestLab, _ options: [String] = []) throws {
    heard = "\(try Machine.scratch())/heard-\(UInt64.random(in: .min ... .max))"
    try write([], to: heard)
    process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
    process.arguments =
      ["--kill-after=2", "60", Machine.portcullis, "lab", "exec", "controller", "--dir", lab.folder, "--"]
      + lab.sshCommand(options, to: host)
    process.currentDirectoryURL = URL(fileURLWithPath: lab.folder)
    process.standardInput = input
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: heard))
    process.standardError = FileHandle.nullDevice
    signal(SIGPIPE) { _ in }
    try process.run()
    try say(session.hello())
  }

  func say(_ message: ControllerMessage) throws {
    try input.fileHandleForWriting.write(contentsOf: Data(message.encode()))
  }

  /// The `number`-th message, counted from 0, which is the agent's hello.
  func hear(_ number: Int, at location: Testing.SourceLocation = #_sourceLocation) async throws -> AgentMessage {
    for _ in 0..<300 {
      var decoder = FrameDecoder()
      decoder.feed(try bytes(of: heard))
      var count = 0
      while let frame = try decoder.next() {
        if count == number { return try AgentMessage(frame: frame) }
        count += 1
      }
      try await Task.sleep(for: .milliseconds(100))
    }
    Issue.record("message \(number) never came", sourceLocation: location)
    throw NotHeard()
  }

  struct NotHeard: Error {}

  /// Stages the bundle, applies it, and gives what is to be confirmed.
  func apply(
    _ files: CraftedBundle.Files, _ terms: ConfirmationTerms, at location: Testing.SourceLocation = #_sourceLocation
  ) async throws -> ChangeConfirmation {
    let transaction = TransactionID.random()
    for message in session.stage(transaction, files.content) { try say(message) }
    try say(session.apply(transaction, manifest: files.manifest, terms))
    let answer = try await hear(2, at: location)
    guard case .applied(let change) = answer else {
      Issue.record("\(answer)", sourceLocation: location)
      throw NotHeard()
    }
    return ChangeConfirmation(transaction: transaction, manifest: files.manifest, nonce: change.nonce)
  }

  func end() {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
    unlink(heard)
  }
}

extension TestLab {
  /// OpenSSH's own client, logging in as the controller does.
  func sshCommand(_ options: [String] = [], to host: String) -> [String] {
    [
      "/usr/bin/ssh", "-F", "none", "-T", "-i", path("keys/controller"), "-o",
      "UserKnownHostsFile=\(path("known_hosts"))", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o",
      "KexAlgorithms=curve25519-sha256", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR",
    ] + options + ["portcullis@\(host)"]
  }
}
