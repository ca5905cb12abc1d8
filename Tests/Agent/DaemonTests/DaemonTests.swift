import Core
import Daemon
import Foundation
import Glibc
import Synchronization
import Testing
import Wire

@Suite struct DaemonTests {
  @Test func `everything may be sent at once, and the answers come in order`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let peer = try TestPeer(daemon.socket)
    peer.send(
      ControllerMessage.hello(version: 5).encode() + Sample.staging(rules: 1_000_000)
        + ControllerMessage.apply(Sample.transaction, manifest: Sample.manifest, .standard).encode()
        + ControllerMessage.report(Sample.nonce).encode() + ControllerMessage.goodbye.encode())
    let types = try peer.hearAll().map(\.type)
    #expect(types == [.agentHello, .staged, .outcome, .report])
    #expect(
      daemon.operations.log == ["recover", "check 1000008", "apply begins", "apply ends", "report for 192.0.2.7"])
  }

  @Test func `one byte at a time is the same conversation`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let peer = try TestPeer(daemon.socket, preamble: nil)
    let bytes =
      Array("source -\n".utf8) + ControllerMessage.hello(version: 5).encode() + Sample.staging()
      + ControllerMessage.report(Sample.nonce).encode() + ControllerMessage.goodbye.encode()
    for byte in bytes { peer.send([byte]) }
    #expect(try peer.hearAll().map(\.type) == [.agentHello, .staged, .report])
    #expect(daemon.operations.log.last == "report for ")
  }

  @Test func `a peer that ends its side without goodbye still gets its answers`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let peer = try TestPeer(daemon.socket)
    peer.say(.hello(version: 5), .report(Sample.nonce), .observe, .report(Sample.nonce))
    peer.finishWriting()
    #expect(try peer.hearAll().map(\.type) == [.agentHello, .report, .observations, .report])
  }

  @Test func `a stream that ends inside a frame is refused as truncated`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.send([0, 0, 0, 33, 5, 1])
    peer.finishWriting()
    #expect(try peer.hearRefusal().detail == "the stream ended 6 bytes into a frame")
    #expect(try peer.hear() == nil)
  }

  @Test(
    arguments: [
      ([0xff, 0xff, 0xff, 0xff], Refusal.Code.tooLarge), ([0, 0, 0, 1, 99], .unsupported), ([0, 0, 0, 0], .malformed),
      ([0, 0, 0, 1, 3], .malformed), (ControllerMessage.goodbye.encode() + [0], nil),
    ] as [([UInt8], Refusal.Code?)])
  func `what is not the protocol ends the connection with a reason`(bytes: [UInt8], code: Refusal.Code?) throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.send(bytes)
    if let code { #expect(try peer.hearRefusal().code == code) }
    #expect(try peer.hear() == nil)
  }

  @Test func `a controller of another version learns both versions`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let peer = try TestPeer(daemon.socket)
    peer.send([0, 0, 0, 5, 1, 0, 7, 0xaa, 0xbb])
    guard case .hello(let hello)? = try peer.hear() else {
      Issue.record("no greeting")
      return
    }
    #expect(hello.version == 5)
    #expect(hello.agentVersion == "9.9")
    let refusal = try peer.hearRefusal()
    #expect(refusal.code == .otherVersion)
    #expect(refusal.detail == "the other side speaks protocol 7, this one 5")
  }

  @Test(arguments: [
    "source 192.0.2.1; rm\n", "source\n", "hello\n", "\n", "source example.org 1 ::1 22\n", "source 192.0.2.1\n",
    "source fe80::1%eth0 1 ::1 22\n", "source - 1 - 22\n", "source 192.0.2.1 1 ::1\n", "source 192.0.2.1 1 ::1 22 \n",
    "source  192.0.2.1 1 ::1 22\n", "source 192.0.2.1 0 ::1 22\n", "source 192.0.2.1 1 ::1 65536\n",
    "source 192.0.2.1 01 ::1 22\n", "source 192.0.2.1 +1 ::1 22\n", "source 192.0.2.1 1 ::1 22\r\n",
    "source " + String(repeating: "1", count: 200),
  ])
  func `a wrong preamble is cut off without an answer`(preamble: String) throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let peer = try TestPeer(daemon.socket, preamble: preamble)
    #expect(try peer.hear() == nil)
  }

  // MARK: Several peers

  @Test func `while an apply runs another is refused, a report waits, and both peers are answered`() throws {
    let operations = FakeOperations(holdsApply: true)
    let daemon = try RunningDaemon(operations)
    defer { daemon.stop() }
    let first = try TestPeer.greeted(daemon)
    first.send(Sample.staging())
    first.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard))
    operations.applyBegan.wait()
    // Checking waits for the apply too, so the second peer's bundle is there only afterwards: its apply meets the third's.
    let second = try TestPeer.greeted(daemon)
    second.say(.report(Sample.nonce))
    usleep(50_000)
    #expect(!operations.log.contains("report for 192.0.2.7"))
    operations.applyMayEnd.signal()
    #expect(try first.hear()?.type == .staged)
    #expect(try first.hear()?.type == .outcome)
    #expect(try second.hear()?.type == .report)

    for peer in [first, second] {
      peer.send(Sample.staging())
      #expect(try peer.hear()?.type == .staged)
    }
    first.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard))
    operations.applyBegan.wait()
    second.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard))
    #expect(try second.hearRefusal() == Refusal(code: .busy, detail: "another apply is running on this host"))
    operations.applyMayEnd.signal()
    #expect(try first.hear()?.type == .outcome)
    #expect(operations.log.filter { $0 == "apply begins" }.count == 2)
  }

  @Test func `an apply whose peer dies is finished, without a busy loop, and the daemon serves on`() throws {
    let operations = FakeOperations(holdsApply: true)
    let daemon = try RunningDaemon(operations)
    do {
      let peer = try TestPeer.greeted(daemon)
      peer.send(Sample.staging())
      peer.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard))
      operations.applyBegan.wait()
    }
    usleep(300_000)
    operations.applyMayEnd.signal()
    #expect(eventually { operations.log.contains("apply ends") })
    let next = try TestPeer.greeted(daemon)
    next.say(.report(Sample.nonce))
    #expect(try next.hear()?.type == .report)
    #expect(daemon.stop() == nil)
    #expect(daemon.processorTime < 0.1)
  }

  @Test func `work that has not begun is forgotten with its peer`() throws {
    let operations = FakeOperations(holdsApply: true)
    let daemon = try RunningDaemon(operations)
    defer { daemon.stop() }
    let first = try TestPeer.greeted(daemon)
    first.send(Sample.staging())
    first.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard))
    operations.applyBegan.wait()
    do {
      let second = try TestPeer.greeted(daemon)
      second.say(.report(Sample.nonce))
      usleep(50_000)
    }
    usleep(50_000)
    operations.applyMayEnd.signal()
    #expect(try first.hear()?.type == .staged)
    #expect(try first.hear()?.type == .outcome)
    #expect(!operations.log.contains("report for 192.0.2.7"))
  }

  @Test func `one peer too many is told so, and the others are served`() throws {
    let daemon = try RunningDaemon { $0.connections = 3 }
    defer { daemon.stop() }
    let peers = try (1...3).map { try TestPeer.greeted(daemon, from: "192.0.2.\($0)") }
    let late = try TestPeer(daemon.socket)
    #expect(try late.hearRefusal().code == .busy)
    #expect(try late.hear() == nil)
    for peer in peers {
      peer.say(.report(Sample.nonce))
      #expect(try peer.hear()?.type == .report)
    }
  }

  @Test func `who holds most connections loses the oldest to a newcomer, so nobody keeps a controller out`() throws {
    let daemon = try RunningDaemon { $0.connections = 4 }
    defer { daemon.stop() }
    let controller = try TestPeer.greeted(daemon, from: "192.0.2.1")
    let crowd = try (0..<3).map { _ in try TestPeer.greeted(daemon, from: "203.0.113.9") }
    let newcomer = try TestPeer.greeted(daemon, from: "192.0.2.2")
    #expect(try crowd[0].hearRefusal().code == .busy)
    #expect(try crowd[0].hear() == nil)
    // The crowd pushes on, and only pushes out its own.
    let more = try (0..<20).map { _ in try TestPeer.greeted(daemon, from: "203.0.113.9") }
    for peer in [controller, newcomer, more[19]] {
      peer.say(.report(Sample.nonce))
      #expect(try peer.hear()?.type == .report)
    }
  }

  @Test func `an apply is not given up for a newcomer`() throws {
    let operations = FakeOperations(holdsApply: true)
    let daemon = try RunningDaemon(operations) { $0.connections = 3 }
    defer { daemon.stop() }
    let applying = try TestPeer.greeted(daemon)
    applying.send(Sample.staging())
    applying.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard))
    operations.applyBegan.wait()
    let others = try (0..<6).map { _ in try TestPeer.greeted(daemon) }
    operations.applyMayEnd.signal()
    #expect(try applying.hear()?.type == .staged)
    #expect(try applying.hear()?.type == .outcome)
    #expect(try others[0].hearRefusal().code == .busy)
  }

  @Test func `staged bundles of all peers share one limit, which a peer that leaves gives back`() throws {
    let daemon = try RunningDaemon { $0.stagedBytes = 1_500_000 }
    defer { daemon.stop() }
    let second = try TestPeer.greeted(daemon)
    do {
      let first = try TestPeer.greeted(daemon)
      first.send(Sample.staging(rules: 1_000_000))
      #expect(try first.hear()?.type == .staged)
      second.send(Sample.staging(rules: 1_000_000))
      second.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard))
      #expect(try second.hearRefusal().code == .busy)
      #expect(try second.hearRefusal().code == .busy)
      // Its own old bundle makes room for its new one.
      first.send(Sample.staging(rules: 1_200_000))
      #expect(try first.hear()?.type == .staged)
    }
    usleep(50_000)
    second.send(Sample.staging(rules: 1_000_000))
    #expect(try second.hear()?.type == .staged)
  }

  @Test func `a user who is not expected is cut off`() throws {
    let daemon = try RunningDaemon(users: [getuid() + 1])
    defer { daemon.stop() }
    let peer = try TestPeer(daemon.socket)
    #expect(try peer.hear() == nil)
  }

  // MARK: Slow peers

  @Test func `a frame that drips in is cut off when its time is over, and nobody waits for it`() throws {
    let daemon = try RunningDaemon { $0.frame = .milliseconds(300) }
    defer { daemon.stop() }
    let slow = try TestPeer.greeted(daemon)
    let other = try TestPeer.greeted(daemon)
    for byte in ControllerMessage.report(Sample.nonce).encode() {
      guard slow.send([byte]) else { break }
      usleep(20_000)
    }
    let refusal = try slow.hearRefusal()
    #expect(refusal.detail == "closed: a frame did not arrive whole in time")
    other.say(.report(Sample.nonce))
    #expect(try other.hear()?.type == .report)
  }

  @Test func `a bundle that drips in whole frames is cut off too`() throws {
    let daemon = try RunningDaemon { $0.staging = .milliseconds(300) }
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.stage(Sample.transaction, [StagedFile(file: .manifest, size: 1000)]))
    for _ in 0..<50 {
      guard peer.say(.data([1])) else { break }
      usleep(20_000)
    }
    #expect(try peer.hearRefusal().detail == "closed: the announced files did not arrive in time")
  }

  @Test func `silence is ended, before and after the preamble`() throws {
    let daemon = try RunningDaemon {
      $0.preamble = .milliseconds(200)
      $0.idle = .milliseconds(200)
    }
    defer { daemon.stop() }
    #expect(try TestPeer(daemon.socket, preamble: nil).hear() == nil)
    let peer = try TestPeer.greeted(daemon)
    #expect(try peer.hearRefusal().detail == "closed: nothing was asked in time")
    #expect(try peer.hear() == nil)
  }

  @Test func `a long life ends, but not while an answer is worked out`() throws {
    let operations = FakeOperations(holdsApply: true)
    let daemon = try RunningDaemon(operations) { $0.life = .milliseconds(300) }
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.send(Sample.staging())
    peer.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard))
    operations.applyBegan.wait()
    usleep(500_000)
    operations.applyMayEnd.signal()
    #expect(try peer.hear()?.type == .staged)
    #expect(try peer.hear()?.type == .outcome)
    #expect(try peer.hearRefusal().code == .busy)
  }

  @Test func `a long text arrives whole at a peer that reads slowly`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let text = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    daemon.operations.state.withLock { $0.text = text }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.text(TextRequest(family: .ipv4, side: .observed)), .report(Sample.nonce))
    usleep(100_000)
    var joined: [UInt8] = []
    while case .text(_, let piece, let last)? = try peer.hear() {
      joined += piece
      usleep(5000)
      if last { break }
    }
    #expect(joined == text)
    #expect(try peer.hear()?.type == .report)
  }

  @Test func `a peer that asks and never reads is given no more work, then cut off`() throws {
    let daemon = try RunningDaemon { $0.stalledOutput = .milliseconds(400) }
    defer { daemon.stop() }
    daemon.operations.state.withLock { $0.chains = 5000 }
    let peer = try TestPeer.greeted(daemon)
    for _ in 0..<200 { peer.say(.report(Sample.nonce)) }
    usleep(300_000)
    // A report of 5,000 chains is half a megabyte: one fills the output.
    #expect(daemon.operations.log.count < 10)
    usleep(300_000)
    #expect(!peer.say(.report(Sample.nonce)))
  }

  // MARK: Life of the daemon

  @Test func `to stop means to finish the running apply, answer it, and refuse the rest`() throws {
    let operations = FakeOperations(holdsApply: true)
    let daemon = try RunningDaemon(operations)
    let working = try TestPeer.greeted(daemon)
    working.send(Sample.staging())
    working.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard), .report(Sample.nonce))
    operations.applyBegan.wait()
    let waiting = try TestPeer.greeted(daemon)
    waiting.say(.report(Sample.nonce))
    let idle = try TestPeer.greeted(daemon)
    usleep(50_000)
    daemon.requestStop()
    #expect(try waiting.hearRefusal().detail == "the agent is stopping")
    #expect(try idle.hearRefusal().detail == "the agent is stopping")
    #expect(throws: (any Error).self) { try TestPeer(daemon.socket) }
    #expect(!operations.log.contains("apply ends"))
    operations.applyMayEnd.signal()
    #expect(try working.hear()?.type == .staged)
    #expect(try working.hear()?.type == .outcome)
    #expect(try working.hearRefusal().detail == "the agent is stopping")
    #expect(daemon.end() == nil)
    #expect(access(daemon.socket, F_OK) != 0)
  }

  @Test func `a peer that has its answer and asks nothing more does not keep the daemon from stopping`() throws {
    let operations = FakeOperations(holdsApply: true)
    let daemon = try RunningDaemon(operations)
    let peer = try TestPeer.greeted(daemon)
    peer.send(Sample.staging())
    peer.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard))
    operations.applyBegan.wait()
    daemon.requestStop()
    usleep(50_000)
    operations.applyMayEnd.signal()
    #expect(try peer.hearAll().map(\.type) == [.staged, .outcome, .refused])
    #expect(daemon.end(within: 5) == nil)
  }

  @Test func `an idle daemon takes no processor time`() throws {
    let daemon = try RunningDaemon()
    let peer = try TestPeer.greeted(daemon)
    usleep(700_000)
    peer.say(.goodbye)
    #expect(daemon.stop() == nil)
    #expect(daemon.processorTime < 0.02)
  }

  @Test func `recovery comes before the socket, and its failure is the daemon's`() throws {
    let operations = FakeOperations()
    operations.state.withLock { $0.recoverError = Reason("the journal is gone") }
    let daemon = try RunningDaemon(operations)
    #expect(daemon.end() == "the journal is gone")
    #expect(access(daemon.socket, F_OK) != 0)
  }

  @Test func `a second daemon in the same place does not start, and does not disturb the first`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let second = try RunningDaemon(folder: daemon.folder)
    #expect(second.end()?.contains("another portcullis-agent is running") == true)
    _ = try TestPeer.greeted(daemon)
  }

  @Test func `a socket that a dead daemon left is replaced; anything else in its place is left alone`() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/portcullis-daemon-\(UUID().uuidString)"
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
    let daemon = try RunningDaemon(folder: folder)
    _ = try TestPeer.greeted(daemon)
    #expect(daemon.stop() == nil)

    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data("mine".utf8).write(to: URL(fileURLWithPath: "\(folder)/agent.sock"))
    let blocked = try RunningDaemon(folder: folder)
    #expect(blocked.end()?.contains("something that is not a socket is in the way") == true)
    #expect(try String(contentsOfFile: "\(folder)/agent.sock", encoding: .utf8) == "mine")
  }

  @Test(arguments: [(nil, 0o600), (4242, 0o660)] as [(UInt32?, mode_t)])
  func `the socket is for root and, if there is one, the group`(group: UInt32?, mode: mode_t) throws {
    guard getuid() == 0 || group == nil else { return }
    let daemon = try RunningDaemon(group: group)
    defer { daemon.stop() }
    var status = stat()
    #expect(stat(daemon.socket, &status) == 0)
    #expect(status.st_mode & 0o777 == mode)
    if let group { #expect(status.st_gid == group) }
    #expect(stat(daemon.folder, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o755)
  }
}
