import Core
import Foundation
import Glibc
import Testing

@testable import Transport

/// Everything that talks to real servers, one test at a time: their time limits are for an otherwise idle machine.
@Suite(
  .serialized, .timeLimit(.minutes(2)),
  .enabled(
    if: geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/sbin/sshd"),
    "needs root, for namespaces, and /usr/sbin/sshd"))
enum Servers {}

/// A directory that goes away with its owner.
final class Scratch: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/transport-test-XXXXXX".utf8CString)
    path = try #require(mkdtemp(&template).map { String(cString: $0) })
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func write(_ text: String, to name: String, mode: Int = 0o600) throws -> String {
    let file = "\(path)/\(name)"
    try text.write(toFile: file, atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
    return file
  }

  func key(_ name: String, type: String = "ed25519", passphrase: String = "") throws -> String {
    try run("/usr/bin/ssh-keygen", "-q", "-t", type, "-N", passphrase, "-C", name, "-f", "\(path)/\(name)")
    return "\(path)/\(name)"
  }
}

@discardableResult
func run(_ program: String, _ arguments: String...) throws -> String {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: program)
  process.arguments = arguments
  process.environment = ["PATH": "/usr/bin:/bin", "LC_ALL": "C"]
  let output = Pipe()
  process.standardOutput = output
  process.standardInput = FileHandle.nullDevice
  try process.run()
  let data = output.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  try #require(process.terminationStatus == 0, "\(program) \(arguments)")
  return String(decoding: data, as: UTF8.self)
}

/// A real sshd on loopback, in mount and process namespaces of its own: root has another home and a plain shell there.
final class TestServer: Sendable {
  let port: UInt16
  let scratch: Scratch
  let hostKeyFile: String
  let clientKey: String
  private let process: Bound

  var log: String { (try? String(contentsOfFile: "\(scratch.path)/log", encoding: .utf8)) ?? "" }
  var hostKey: String { get throws { try Self.publicKey(hostKeyFile) } }

  static func publicKey(_ file: String) throws -> String {
    let line = try String(contentsOfFile: file + ".pub", encoding: .utf8)
    return line.split(separator: " ").prefix(2).joined(separator: " ")
  }

  init(extra: String = "", hostKeyTypes: [String] = ["ed25519"], port wanted: UInt16? = nil) throws {
    let scratch = try Scratch()
    self.scratch = scratch
    let port = try wanted ?? freePort()
    self.port = port
    let keys = try hostKeyTypes.map { try scratch.key("host_\($0)", type: $0) }
    hostKeyFile = keys[0]
    clientKey = try scratch.key("client")
    try run("/bin/cp", clientKey + ".pub", scratch.path + "/authorized_keys")
    let accounts = try String(contentsOfFile: "/etc/passwd", encoding: .utf8).split(separator: "\n")
      .map { $0.hasPrefix("root:") ? "root:x:0:0:root:\(scratch.path):/bin/sh" : String($0) }
    let passwd = try scratch.write(accounts.joined(separator: "\n") + "\n", to: "passwd", mode: 0o644)
    let configuration = try scratch.write(
      """
      \(extra)
      Port \(port)
      ListenAddress 127.0.0.1
      ListenAddress ::1
      \(keys.map { "HostKey \($0)" }.joined(separator: "\n"))
      AuthorizedKeysFile \(scratch.path)/authorized_keys
      PidFile none
      UsePAM no
      UseDNS no
      StrictModes no
      PasswordAuthentication no
      PermitRootLogin prohibit-password
      MaxStartups 2000
      MaxSessions 100
      LogLevel VERBOSE
      KexAlgorithms curve25519-sha256
      """, to: "sshd_config")
    let script = """
      mount --bind \(passwd) /etc/passwd && mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd &&
      /usr/sbin/sshd -f \(configuration) -E \(scratch.path)/log
      """
    process = try Bound(script, directory: scratch.path)
    for _ in 0..<400 {
      if canConnect(port) { return }
      usleep(25_000)
    }
    stop()
    Issue.record("sshd did not start: \(log)")
    throw CancellationError()
  }

  /// Kills the server and every session of it.
  func stop() { process.stop() }

  func knownHosts(as name: String = "host", key: String? = nil) throws -> KnownHosts {
    KnownHosts.parse(Array("[\(name)]:\(port) \(try key ?? hostKey)\n".utf8), file: "known_hosts")
  }

  func endpoint(_ name: String = "host", addresses: [String] = ["127.0.0.1"], jump: HostEndpoint.Jump = .direct)
    -> HostEndpoint
  {
    HostEndpoint(name: name, addresses: addresses, port: port, user: "root", identityFile: clientKey, jump: jump)
  }

  /// A connection to this server with its key pinned.
  func connect(limits: ConnectionLimits = ConnectionLimits()) async throws -> any HostConnection {
    try await LibSSHConnector(knownHosts: knownHosts(), loops: 1).connect(to: endpoint(), limits: limits)
  }
}

/// A program in mount and process namespaces of its own, which die when `stop` or the end of this process closes the
/// pipe that their first process reads. (Signals are of no use: children inherit the blocked ones of a pool thread.)
final class Bound: @unchecked Sendable {
  // Unchecked: used by one test at a time.
  private let process = Process()
  private let lifeline = Pipe()

  /// `directory` is removed at the end.
  init(_ script: String, directory: String) throws {
    process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    process.arguments = [
      "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "/bin/sh", "-c",
      "\(script)\ncat; rm -rf \(directory)",
    ]
    process.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"]
    process.standardInput = lifeline
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
  }

  deinit { stop() }

  func stop() {
    guard process.isRunning else { return }
    try? lifeline.fileHandleForWriting.close()
    process.awaitEnd()
  }
}

extension Process {
  /// waitUntilExit() waits on the run loop of the thread that started the process, which is another one after an await.
  func awaitEnd() {
    for _ in 0..<1000 where isRunning { usleep(10_000) }
  }
}

func soon(_ seconds: Double = 10) -> ContinuousClock.Instant { .now + .seconds(seconds) }

func freePort() throws -> UInt16 {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  defer { close(descriptor) }
  return try #require(bindLoopback(descriptor))
}

func loopback(_ port: UInt16) -> sockaddr_in {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  return address
}

/// The port the system chose.
func bindLoopback(_ descriptor: Int32) -> UInt16? {
  var address = loopback(0)
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  return withUnsafeMutablePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
    }
  } ? UInt16(bigEndian: address.sin_port) : nil
}

func canConnect(_ port: UInt16) -> Bool {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  defer { close(descriptor) }
  var address = loopback(port)
  return withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
    }
  }
}

extension HostChannel {
  func readAll() async throws -> [UInt8] {
    var all: [UInt8] = []
    while let piece = try await read() { all += piece }
    return all
  }

  func text() async throws -> String { String(decoding: try await readAll(), as: UTF8.self) }
}

/// The error an expression ends with, or nil.
func failure(_ body: () async throws -> Void) async -> TransportError? {
  do {
    try await body()
    return nil
  } catch {
    return error as? TransportError
  }
}
