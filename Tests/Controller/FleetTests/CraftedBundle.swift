import Core
import Foundation
import Release
import Testing
import Wire

/// A bundle for a real host, made by the test and signed by the real ssh-keygen: right in everything but what a test
/// makes wrong.
struct CraftedBundle {
  var fleet = FleetID("lab")!
  var host: HostID
  var serial: Serial
  var issued: UTCTime
  var expires: UTCTime
  var rules: PerFamily<[UInt8]>
  var mode = Manifest.Mode.exclusive
  var sets: [UInt8]?
  var sysctl: [UInt8]?
  var sources: [String] = ["10.77.0.1"]
  var namespace = "release@portcullis"
  /// Path of the private key; nil leaves the signature out.
  var key: String?
  /// The last thing that happens to the files.
  var damage: @Sendable (inout [BundleFile: [UInt8]]) -> Void = { _ in }

  /// - Parameter serial: above what the host has accepted, unless a test wants otherwise.
  init(for host: String, of lab: TestLab, serial: UInt64) throws {
    self.host = HostID(host)!
    self.serial = Serial(serial)
    issued = UTCTime(secondsSinceEpoch: Int64(Date().timeIntervalSince1970) - 60)
    expires = issued + 3600
    let rule =
      "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n"
      + "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"
    rules = PerFamily(ipv4: Array(rule.utf8), ipv6: Array(rule.utf8))
    key = lab.path("keys/release")
  }

  struct Files {
    let content: [BundleFile: [UInt8]]
    let manifest: Digest
  }

  func files() async throws -> Files {
    let manifest = try Manifest(
      fleet: fleet, host: host, serial: serial, mode: mode, labels: [], sources: sources,
      files: rules.map { _, bytes in Manifest.File(describing: bytes) }, sets: sets.map(Manifest.File.init),
      sysctl: sysctl.map(Manifest.File.init))
    let release = try ReleaseBuilder.build(
      fleet: fleet, serial: serial, issued: issued, expires: expires, manifests: [manifest])
    var signatures: [[UInt8]] = []
    if let key {
      signatures.append(
        try await Command.succeed(
          "/usr/bin/ssh-keygen", ["-q", "-Y", "sign", "-n", namespace, "-f", key],
          input: .bytes(release.statement.encode())
        ).bytes)
    }
    var files = try #require(
      release.bundle(
        for: host, rules: rules, sets: sets, sysctl: sysctl, signatures: signatures))
    damage(&files)
    return Files(content: files, manifest: Digest(of: files[.manifest] ?? []))
  }

  static func newKey(_ name: String) async throws -> (path: String, publicKey: String) {
    let path = "\(try Machine.scratch())/\(name)"
    unlink(path)
    try await Command.succeed("/usr/bin/ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path])
    let words = try text(of: path + ".pub").split(separator: " ")
    return (path, words.prefix(2).joined(separator: " "))
  }
}

/// What an agent said on one connection over real ssh and the bridge.
struct Conversation {
  let messages: [AgentMessage]
  let finished: Finished

  var refusals: [Refusal] {
    messages.compactMap { if case .refused(let refusal) = $0 { refusal } else { nil } }
  }
  var outcomes: [Outcome] {
    messages.compactMap { if case .outcome(let outcome) = $0 { outcome } else { nil } }
  }
  var reports: [Report] {
    messages.compactMap { if case .report(let report) = $0 { report } else { nil } }
  }
}

extension TestLab {
  /// Sends these very bytes as the controller would, with OpenSSH's own client, and hears everything that comes back.
  func say(_ input: Command.Input, to host: String, timeout: Int = 30) async throws -> Conversation {
    let finished = try await Command.run(
      Machine.portcullis, ["lab", "exec", "controller", "--dir", folder, "--"] + sshCommand(to: host), input: input,
      in: folder, timeout: timeout)
    var decoder = FrameDecoder()
    decoder.feed(finished.bytes)
    var messages: [AgentMessage] = []
    while let frame = try decoder.next() { messages.append(try AgentMessage(frame: frame)) }
    return Conversation(messages: messages, finished: finished)
  }

  func say(_ messages: [ControllerMessage], to host: String) async throws -> Conversation {
    try await say(.bytes(messages.flatMap { $0.encode() }), to: host)
  }

  /// Stages and applies, all at once; a change that waits is confirmed over a connection of its own.
  func push(_ files: CraftedBundle.Files, to host: String) async throws -> Conversation {
    let transaction = TransactionID.random()
    var session = ControllerSession()
    var messages: [ControllerMessage] = [session.hello()]
    for message in session.stage(transaction, files.content) { messages.append(message) }
    messages.append(session.apply(transaction, manifest: files.manifest, .standard))
    messages.append(session.goodbye())
    let answer = try await say(messages, to: host)
    for case .applied(let change) in answer.messages {
      let confirmation = ChangeConfirmation(
        transaction: transaction, manifest: files.manifest, nonce: change.nonce)
      return try await say([session.hello(), .confirm(confirmation), .goodbye], to: host)
    }
    return answer
  }

  func push(_ bundle: CraftedBundle, to host: String) async throws -> Conversation {
    try await push(try await bundle.files(), to: host)
  }

  /// The highest serial that the host ever accepted, by its own word.
  func serial(of host: String) async throws -> UInt64 {
    let answer = try await say([.hello(version: ProtocolVersion.current), .report(Nonce.random()), .goodbye], to: host)
    let report = try #require(answer.reports.first, "\(answer.finished)")
    return [report.committed?.serial, report.lastFailure?.serial, report.pending?.serial]
      .compactMap { $0?.value }.max() ?? 0
  }
}
