import AgentTestSupport
import Apply
import CLinux
import Core
import Glibc
import Testing
import Wire

@testable import Netfilter

/// Programs that never get their turn, because somebody else never pauses.
@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct WriterTests {
  @Test func `a restore that starves is killed at its limit, and whoever kept writing is named`() throws {
    try onRealHost(.nft) { host in
      let writer = try Writer()
      defer { writer.end() }
      let rules = (0..<300).map { "-A INPUT -s 10.0.\($0 / 250).\($0 % 250)/32 -j DROP\n" }.joined()
      let text = RestoreText(
        Array(
          "*filter\n:INPUT ACCEPT [0:0]\n\(rules)-I INPUT 1 -s 192.0.2.9/32 -j DROP\n-D INPUT -s 192.0.2.9/32 -j DROP\nCOMMIT\n"
            .utf8), keepsOthers: true)
      let firewall = host.firewall()
      let begin = monotonicMilliseconds()
      var starved: FirewallProblem?
      // One that got through between two changes is tried again.
      for _ in 0..<20 where starved == nil && monotonicMilliseconds() - begin < 7000 {
        let start = monotonicMilliseconds()
        do throws(FirewallProblem) {
          try firewall.load(text, into: .ipv4, within: .seconds(1))
        } catch {
          starved = error
          #expect(monotonicMilliseconds() - start < 3000)
        }
      }
      let problem = try #require(starved)
      let own = SmallFile.line("/proc/thread-self/comm") ?? ""
      #expect(problem.kind == .timedOut)
      #expect(problem.words.contains("did not end within 1 s and was killed; \(own) (process \(writer.number)) keeps"))
      writer.end()
      // The next try succeeds once it has stopped.
      try firewall.load(text, into: .ipv4, within: .seconds(30))
    }
  }

  @Test func `reading nf_tables ends, though somebody never pauses`() throws {
    try inNamespace {
      let writer = try Writer()
      defer { writer.end() }
      for _ in 0..<3 {
        let begin = monotonicMilliseconds()
        _ = try? NftablesReader().read()
        #expect(monotonicMilliseconds() - begin < 3000)
      }
    }
  }

  @Test func `a rehearsal does not wait for the host's lock`() throws {
    try onRealHost(.legacy) { host in
      _ = try SignedBundles.run("/usr/bin/mount", ["-t", "tmpfs", "none", "/run"])
      let holder = try Background("/usr/bin/flock", ["/run/xtables.lock", "/usr/bin/sleep", "20"])
      defer { holder.end() }
      usleep(300_000)
      let begin = monotonicMilliseconds()
      let texts = PerFamily(RealFirewallTests.base4, RealFirewallTests.base6)
      let rehearsed = try host.firewall().rehearse(
        Rehearsal(live: texts.map { _, text in text.bytes }, texts: texts))
      #expect(String(decoding: rehearsed.saved.ipv4, as: UTF8.self).contains("--dport 22"))
      // Those who wait do so for 30 s.
      #expect(monotonicMilliseconds() - begin < 10_000)
      #expect(StandIn.isRunning(holder.process))
    }
  }

  @Test func `whoever holds the lock of the legacy programs is named`() throws {
    try onRealHost(.legacy) { host in
      // Not the machine's own lock: this test is in a mount namespace of its own.
      _ = try SignedBundles.run("/usr/bin/mount", ["-t", "tmpfs", "none", "/run"])
      let holder = try Background("/usr/bin/flock", ["/run/xtables.lock", "/usr/bin/sleep", "20"])
      defer { holder.end() }
      usleep(300_000)
      let begin = monotonicMilliseconds()
      let problem = #expect(throws: FirewallProblem.self) {
        try host.firewall().load(
          RestoreText(Array("*filter\nCOMMIT\n".utf8)), into: .ipv4, within: .milliseconds(700))
      }
      #expect(monotonicMilliseconds() - begin < 5000)
      #expect(problem?.kind == .timedOut)
      #expect(problem?.words.contains("keeps changing the rules") == true, "\(problem?.words ?? "")")
      #expect(problem?.words.contains("flock (process \(holder.process))") == true, "\(problem?.words ?? "")")
    }
  }
}

/// A program beside the test, ended with what it started.
final class Background {
  let process: pid_t
  private var isReaped = false

  init(_ path: String, _ arguments: [String]) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for number: Int32 in [0, 1, 2] { posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0) }
    _ = clinux_spawn_close_from(&actions, 3)
    process = try Spawning.start(
      path, arguments, environment: ProgramRequest.plainEnvironment, &actions, flags: Int16(POSIX_SPAWN_SETPGROUP))
  }

  func end() {
    guard !isReaped else { return }
    isReaped = true
    kill(-process, SIGKILL)
    var status: Int32 = 0
    waitpid(process, &status, 0)
  }

  deinit { end() }
}

/// Changes the nft rules of the namespace that it is made in as fast as the kernel lets it: rules are appended,
/// each in a transaction of its own. Ends by itself after ten seconds.
private final class Writer {
  private let socket: NetlinkSocket
  private var thread = pthread_t()
  private var isStopped: Int32 = 0
  private var isJoined = false
  /// The thread's own, which is what the kernel tells of it.
  private(set) var number: pid_t = 0

  init() throws {
    socket = try NetlinkSocket(NetlinkSocket.netfilter)
    let status = pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Writer>.fromOpaque(argument!).takeUnretainedValue().write()
        return nil
      }, Unmanaged.passUnretained(self).toOpaque())
    guard status == 0 else { throw SystemCallError.of("pthread_create", "", errno: status) }
  }

  private func write() {
    // "PID/task/TID"
    var target = [CChar](repeating: 0, count: 64)
    let count = readlink("/proc/thread-self", &target, 63)
    let path = String(decoding: target.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    number = path.split(separator: "/").last.flatMap { pid_t($0) } ?? 0
    appendRules()
  }

  private func appendRules() {
    // NFT_MSG_NEWTABLE, NFT_MSG_NEWCHAIN and, again and again, NFT_MSG_NEWRULE with nothing in it.
    send(Self.batch(0, [NetlinkMessage.attribute(1, text: "filter")]))
    let end = monotonicMilliseconds() + 10_000
    var count = 0
    while monotonicMilliseconds() < end, !stopped {
      // Long chains are slow to change.
      let table = NetlinkMessage.attribute(1, text: "filter")
      let name = "c\(count / 50)"
      if count % 50 == 0 { send(Self.batch(3, [table, NetlinkMessage.attribute(3, text: name)])) }
      send(Self.batch(6, [table, NetlinkMessage.attribute(2, text: name)]))
      count += 1
    }
  }

  private func send(_ bytes: [UInt8]) { Glibc.send(socket.descriptor.raw, bytes, bytes.count, 0) }

  /// One transaction: NFNL_MSG_BATCH_BEGIN, the message, NFNL_MSG_BATCH_END.
  private static func batch(_ type: UInt16, _ attributes: [[UInt8]]) -> [UInt8] {
    let flags = NetlinkMessage.Flag.request
    let nft: UInt16 = 10 << 8
    let (append, family): (UInt16, [UInt8]) = (0x800, [2, 0, 0, 0])
    return NetlinkMessage(0x10, flags: flags, fixed: [0, 0, 0, 10], attributes: []).encode(sequence: 1)
      + NetlinkMessage(
        nft | type, flags: flags | NetlinkMessage.Flag.create | append, fixed: family, attributes: attributes
      ).encode(sequence: 2)
      + NetlinkMessage(0x11, flags: flags, fixed: [0, 0, 0, 10], attributes: []).encode(sequence: 3)
  }

  private var stopped: Bool { withUnsafePointer(to: &isStopped) { UnsafeRawPointer($0).load(as: Int32.self) } != 0 }

  func end() {
    guard !isJoined else { return }
    isJoined = true
    isStopped = 1
    pthread_join(thread, nil)
  }
}
