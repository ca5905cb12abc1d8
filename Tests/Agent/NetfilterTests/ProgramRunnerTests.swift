import Core
import Glibc
import Testing
import Wire

@testable import Netfilter

@Suite struct ProgramRunnerTests {
  let runner = ProgramRunner()

  @Test(arguments: [0, 1, 65_535, 65_536, 3_000_000])
  func `input of any size arrives whole, and output of any size comes back`(size: Int) throws {
    let input = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let result = try runner.run(ProgramRequest("/usr/bin/cat", [], input: input))
    #expect(result.end == .exited(0))
    #expect(result.output == input)
  }

  @Test func `a program sees only the environment and the descriptors it was given`() throws {
    #expect(
      try runner.run(ProgramRequest("/usr/bin/env", [])).output
        == Array("PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\n".utf8))
    // Inheritable, as a careless library would leave it.
    let leak = open("/dev/null", O_RDONLY)
    defer { close(leak) }
    let listed = try runner.run(ProgramRequest("/usr/bin/ls", ["/proc/self/fd"])).output
    // The last one is ls's own.
    #expect(String(decoding: listed, as: UTF8.self) == "0\n1\n2\n3\n")
  }

  @Test func `a program that does not end is killed at its deadline, with what it started`() throws {
    let start = monotonicMilliseconds()
    let result = try runner.run(
      ProgramRequest("/bin/sh", ["-c", "sleep 61.25 & echo $!; sleep 61.25"], milliseconds: 300))
    #expect(result.end == .timedOut)
    #expect(monotonicMilliseconds() - start < 5000)
    let child = try #require(pid_t(String(decoding: result.output, as: UTF8.self).dropLast()))
    // Reaped by someone else in its own time.
    for _ in 0..<200 where kill(child, 0) == 0 { usleep(10_000) }
    #expect(kill(child, 0) == -1)
  }

  @Test func `a program that leaves a child holding its output is not waited for`() throws {
    let start = monotonicMilliseconds()
    let result = try runner.run(ProgramRequest("/bin/sh", ["-c", "sleep 3 & echo done"]))
    #expect(result.end == .exited(0))
    #expect(result.output == Array("done\n".utf8))
    #expect(monotonicMilliseconds() - start < 2500)
  }

  @Test func `a flood is cut off, and standard error is kept only up to its limit`() throws {
    let flood = try runner.run(ProgramRequest("/usr/bin/yes", [], outputLimit: 100_000))
    #expect(flood.end == .flooded)
    #expect(flood.output.count <= 100_001)
    let noisy = try runner.run(
      ProgramRequest("/bin/sh", ["-c", "head -c 300000 /dev/zero >&2"], errorLimit: 1000))
    #expect(noisy.end == .exited(0))
    #expect(noisy.errors.count == 1000)
  }

  @Test func `how a program ended is told apart`() throws {
    #expect(try runner.run(ProgramRequest("/bin/sh", ["-c", "exit 7"])).end == .exited(7))
    #expect(try runner.run(ProgramRequest("/bin/sh", ["-c", "kill -TERM $$"])).end == .signalled(SIGTERM))
    #expect(throws: SystemCallError.self) { try runner.run(ProgramRequest("/nonexistent", [])) }
  }

  @Test func `signals are as a new program expects them`() throws {
    // The agent ignores SIGPIPE; a program must not.
    let status = try runner.run(ProgramRequest("/usr/bin/grep", ["^Sig[BI]", "/proc/self/status"])).output
    for line in String(decoding: status, as: UTF8.self).split(separator: "\n") {
      // Signals 1 to 31; those above belong to the C library and to whoever started this test.
      let mask = try #require(UInt64(line.suffix(16), radix: 16))
      #expect(mask & 0x7fff_ffff == 0, "\(line)")
    }
  }

  @Test(arguments: [
    ("iptables v1.8.9 (nf_tables)\n", "1.8.9 nft"), ("ip6tables v1.8.11 (legacy)\n", "1.8.11 legacy"),
    ("iptables v1.4.21\n", "1.4.21 legacy"), ("iptables v1.8.9 (other)\n", nil), ("", nil), ("iptables vX\n", nil),
  ]) func `versions are read as programs print them`(printed: String, expected: String?) {
    let version = ProgramVersion(printed: Array(printed.utf8))
    #expect(version.map { "\($0.number) \($0.backend.name)" } == expected)
  }

  @Test func `the lock option is given to legacy programs that know it`() throws {
    for (printed, expected) in [
      ("v1.8.9 (legacy)", true), ("v1.6.2", true), ("v1.6.1", false), ("v1.8.9 (nf_tables)", false),
    ] {
      let version = try #require(ProgramVersion(printed: Array("iptables \(printed)".utf8)))
      let programs = FamilyPrograms(family: .ipv4, restore: "", save: "", version: version)
      #expect(programs.restoreArguments.isEmpty != expected)
    }
  }

  @Test(arguments: [
    ("iptables-restore v1.8.9 (legacy): invalid port/service `X' specified\nError occurred at line: 5\nTry", 5),
    ("iptables-nft-restore v1.8.9 (nf_tables): \nline 4: RULE_APPEND failed (Invalid argument): rule", 4),
    ("iptables-restore: line 6 failed", 6), ("pipeline broke, no newline here", nil), ("", nil),
  ]) func `the line a program names is found`(errors: String, line: Int?) {
    #expect(FirewallCalls.line(in: Array(errors.utf8)) == line)
  }

  @Test func `what a program says is shown without its advice and without control characters`() {
    let words = FirewallCalls.words(Array("bad \u{1b}[31mrule\n\n \nTry `iptables -h' or\nline 2\n".utf8))
    #expect(words == "bad \\u{1b}[31mrule line 2")
  }
}
