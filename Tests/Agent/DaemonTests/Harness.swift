import Apply
import CLinux
import Core
import Daemon
import Foundation
import Glibc
import Synchronization
import Testing
import Wire

/// A daemon on a thread of its own, over a fake host, in a folder of its own.
final class RunningDaemon: Sendable {
  let operations: FakeOperations
  let folder: String
  private let stopPipe: [Int32]
  private let ended = DispatchSemaphore(value: 0)
  private let outcome = Mutex<(error: String?, cpu: Double, turns: Int)>((nil, 0, 0))
  private let lines = Mutex<[String]>([])

  var socket: String { folder + "/agent.sock" }

  init(
    _ operations: FakeOperations = FakeOperations(), folder: String? = nil, group: UInt32? = nil,
    users: Set<UInt32> = [getuid()], root: UInt32 = getuid(), watcher: FakeWatcher? = nil,
    adjust: (inout DaemonLimits) -> Void = { _ in }, listen: (@Sendable () throws -> any ChangeWatcher)? = nil
  ) throws {
    self.operations = operations
    self.folder = folder ?? FileManager.default.temporaryDirectory.path + "/portcullis-daemon-\(UUID().uuidString)"
    var configuration = Daemon.Configuration(directory: self.folder, version: "9.9", group: group, users: users)
    configuration.root = root
    adjust(&configuration.limits)
    var ends: [Int32] = [0, 0]
    pipe(&ends)
    stopPipe = ends
    let ready = DispatchSemaphore(value: 0)
    var fixed = configuration
    fixed.log = { [self] line in lines.withLock { $0.append(line) } }
    Thread { [self, fixed] in
      do {
        let began = Mutex(0.0)
        let hear: (() throws -> any ChangeWatcher)? = listen ?? watcher.map { watcher in { watcher } }
        let daemon = try Daemon(fixed, operations: operations, listen: hear)
        try daemon.run(stop: stopPipe[0]) {
          began.withLock { $0 = Self.threadTime() }
          ready.signal()
        }
        outcome.withLock {
          $0.cpu = Self.threadTime() - began.withLock { $0 }
          $0.turns = daemon.turns
        }
      } catch {
        outcome.withLock { $0.error = ErrorChain(error).message }
      }
      ended.signal()
      ready.signal()
    }.start()
    ready.wait()
  }

  deinit {
    try? FileManager.default.removeItem(atPath: folder)
    stopPipe.forEach { close($0) }
  }

  func requestStop() { write(stopPipe[1], [0], 1) }

  /// What the daemon threw, or nil; waits for its end.
  func end(within seconds: Double = 10) -> String? {
    guard ended.wait(timeout: .now() + seconds) == .success else { return "the daemon did not end" }
    return outcome.withLock { $0.error }
  }

  @discardableResult func stop() -> String? {
    requestStop()
    return end()
  }

  /// Seconds of processor time that the event loop took, from its first turn to its last.
  var processorTime: Double { outcome.withLock { $0.cpu } }

  /// Of the event loop, when it has ended.
  var turns: Int { outcome.withLock { $0.turns } }

  /// What the daemon said of itself.
  var log: [String] { lines.withLock { $0 } }

  private static func threadTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// A controller's end of the socket, blocking, with a limit on every wait.
final class TestPeer {
  let descriptor: Int32
  private var decoder = FrameDecoder()

  init(_ path: String, preamble: String? = "source 192.0.2.7 51515 192.0.2.1 22\n") throws {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    descriptor = socket
    var wait = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard connected == 0 else { throw Reason("connect \(path): \(errno)") }
    if let preamble { send(Array(preamble.utf8)) }
  }

  deinit { close(descriptor) }

  /// False when the daemon no longer reads.
  @discardableResult func send(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  @discardableResult func say(_ messages: ControllerMessage...) -> Bool { send(messages.flatMap { $0.encode() }) }
  func finishWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// The next message; nil when the daemon has closed.
  func hear() throws -> AgentMessage? {
    while true {
      if let frame = try decoder.next() { return try AgentMessage(frame: frame) }
      var buffer = [UInt8](repeating: 0, count: 64 << 10)
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count < 0 { try #require(errno == ECONNRESET, "nothing came in 10 seconds") }
      guard count > 0 else { return nil }
      decoder.feed(buffer[..<count])
    }
  }

  func hearAll() throws -> [AgentMessage] {
    var all: [AgentMessage] = []
    while let message = try hear() { all.append(message) }
    return all
  }

  func hearRefusal() throws -> Refusal {
    let message = try hear()
    guard case .refused(let refusal)? = message else {
      throw Reason("expected a refusal, got \(String(describing: message))")
    }
    return refusal
  }

  /// Connects, greets and hears the greeting.
  static func greeted(
    _ daemon: RunningDaemon, from source: String = "192.0.2.7", port: UInt16 = 51515
  ) throws -> TestPeer {
    try greeted(daemon, preamble: "source \(source) \(port) 192.0.2.1 22\n")
  }

  static func greeted(_ daemon: RunningDaemon, preamble: String) throws -> TestPeer {
    let peer = try TestPeer(daemon.socket, preamble: preamble)
    peer.say(.hello(version: 5))
    guard case .hello? = try peer.hear() else { throw Reason("no greeting") }
    return peer
  }
}

enum Sample {
  static func ends(_ port: UInt16) -> ConnectionEnds {
    ConnectionEnds(source: "192.0.2.7", sourcePort: port, destination: "192.0.2.1", destinationPort: 22)
  }
  static let transaction = TransactionID(bytes: Array(repeating: 1, count: 16))!
  static let nonce = Nonce(bytes: Array(repeating: 2, count: 32))!
  static let manifest = Digest(of: Array("manifest".utf8))

  static let confirmation = ChangeConfirmation(transaction: transaction, manifest: manifest, nonce: nonce)

  static func bundle(rules: Int = 9) -> [BundleFile: [UInt8]] {
    [.manifest: Array("manifest".utf8), .rules(.ipv4): Array(repeating: 4, count: rules)]
  }

  static func staging(rules: Int = 9, _ transaction: TransactionID = transaction) -> [UInt8] {
    var session = ControllerSession()
    return session.stage(transaction, bundle(rules: rules)).flatMap { $0.encode() }
  }
}

/// Waits until something holds; false when it does not in five seconds.
func eventually(_ condition: () -> Bool) -> Bool {
  for _ in 0..<1000 {
    if condition() { return true }
    usleep(5000)
  }
  return false
}
