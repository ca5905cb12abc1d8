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
      // Appends without a break for ten seconds at most, one transaction each, from one process.
      let adds = "for i in $(seq 1 400000); do echo 'add rule ip other c counter'; done"
      let script = "nft add table ip other; nft add chain ip other c; { \(adds); } | timeout 10 nft -i >/dev/null 2>&1"
      let writer = try Background("/bin/sh", ["-c", script])
      defer { writer.end() }
      let rules = (0..<300).map { "-A INPUT -s 10.0.\($0 / 250).\($0 % 250)/32 -j DROP\n" }.joined()
      let text = RestoreText(Array("*filter\n:INPUT ACCEPT [0:0]\n\(rules)COMMIT\n".utf8))
      usleep(300_000)
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
      #expect(problem.kind == .timedOut)
      #expect(problem.words.contains("did not end within 1 s and was killed; nft (process "), "\(problem.words)")
      writer.end()
      // The next try succeeds once it has stopped.
      try firewall.load(text, into: .ipv4, within: .seconds(30))
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
