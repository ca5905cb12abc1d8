import Core
import Daemon
import Foundation
import Glibc
import Testing
import Wire

@Suite struct LocalOrderTests {
  static let order = LocalOrder(deed: .safe, reason: "locked out\u{1b}[2J")

  @Test func `root on the host itself is obeyed, and it is on record`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon, preamble: "source -\n")
    peer.say(.local(Self.order))
    #expect(try peer.hear() == .done("did safe"))
    #expect(daemon.log.contains("local order 'safe' (locked out\\u{1b}[2J) from this host: did safe"))
  }

  @Test func `an order that came over SSH is refused, whoever brings it`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.local(Self.order), .report(Sample.nonce))
    #expect(try peer.hearRefusal().code == .notLocal)
    #expect(try peer.hear()?.type == .report)
    #expect(daemon.operations.log == ["recover", "report for 192.0.2.7"])
    #expect(daemon.log.contains { $0.hasPrefix("local order 'safe' (locked out\\u{1b}[2J) from 192.0.2.7: refused: ") })
  }

  @Test func `another user's order is refused`() throws {
    let daemon = try RunningDaemon(root: getuid() + 1)
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon, preamble: "source -\n")
    peer.say(.local(Self.order))
    #expect(try peer.hearRefusal().code == .notLocal)
    #expect(daemon.operations.log == ["recover"])
  }

  @Test func `the one who is obeyed is root`() {
    #expect(Daemon.Configuration(directory: "/", version: "", group: nil, users: []).root == 0)
  }

  @Test func `a process of the login's user is refused, though it says it did not come over SSH`() async throws {
    // Only root can become somebody else.
    guard getuid() == 0 else { return }
    let daemon = try RunningDaemon(group: 65534, users: [0, 65534])
    defer { daemon.stop() }
    let socket = daemon.socket
    await #expect(processExitsWith: .exitCode(7)) { [socket = socket as String] in
      guard setgid(65534) == 0, setuid(65534) == 0 else { exit(1) }
      let peer = try TestPeer(socket, preamble: "source -\n")
      peer.say(.hello(version: 5), .local(LocalOrder(deed: .rollback, reason: "mine")))
      guard case .hello? = try peer.hear() else { exit(2) }
      exit(try peer.hearRefusal().code == .notLocal ? 7 : 3)
    }
    #expect(daemon.operations.log == ["recover"])
  }

  @Test func `an order waits for a running apply, and comes before questions`() throws {
    let operations = FakeOperations(holdsApply: true)
    let daemon = try RunningDaemon(operations)
    defer { daemon.stop() }
    let applying = try TestPeer.greeted(daemon)
    applying.send(Sample.staging())
    applying.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard))
    operations.applyBegan.wait()
    let asking = try TestPeer.greeted(daemon)
    asking.say(.report(Sample.nonce))
    usleep(50_000)
    let root = try TestPeer.greeted(daemon, preamble: "source -\n")
    root.say(.local(LocalOrder(deed: .rollback, reason: "r")))
    usleep(50_000)
    operations.applyMayEnd.signal()
    #expect(try root.hear() == .done("did rollback"))
    #expect(try asking.hear()?.type == .report)
    #expect(operations.log.suffix(3) == ["apply ends", "obey rollback: r", "report for 192.0.2.7"])
  }

  @Test func `the client on the host hands an order over, or says that nobody serves it`() throws {
    let daemon = try RunningDaemon()
    #expect(try AgentClient.obey(Self.order, socket: daemon.socket) == "did safe")
    daemon.stop()
    #expect(try AgentClient.obey(Self.order, socket: daemon.socket) == nil)

    let strict = try RunningDaemon(root: getuid() + 1)
    defer { strict.stop() }
    do {
      _ = try AgentClient.obey(Self.order, socket: strict.socket)
      Issue.record("obeyed")
    } catch {
      let chain = ErrorChain(error)
      #expect(chain.message.contains("only root on the host itself"))
      #expect(chain.kind == .refused)
    }
  }

  @Test func `a socket that a dead daemon left is nobody`() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/portcullis-local-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let left = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: "\(folder)/agent.sock".utf8) }
    _ = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(left, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    close(left)
    #expect(try AgentClient.obey(Self.order, socket: "\(folder)/agent.sock") == nil)
  }
}
