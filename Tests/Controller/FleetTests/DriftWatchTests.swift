import Foundation
import Testing

extension FleetSuite {
  /// `drift --watch` over real connections to real hosts.
  @Suite(.serialized, .timeLimit(.minutes(30))) struct DriftWatch {
    /// What a watch printed, each line with the moment it came, in seconds since 1970.
    private struct Watched {
      let lines: [(at: Double, record: JSON)]
      let status: Int32
      let said: String

      func first(_ what: String, on host: String, containing words: String = "") -> (at: Double, record: JSON)? {
        lines.first {
          $0.record["what"].text == what && $0.record["hosts"].strings.contains(host)
            && (words.isEmpty
              || ($0.record["ipv4"].strings + $0.record["ipv6"].strings).contains { $0.contains(words) })
        }
      }
    }

    /// Watches while `body` goes on, and until so many seconds are over.
    private static func watch(
      _ lab: TestLab, seconds: Int, while body: () async throws -> Void
    ) async throws -> Watched {
      let file = "\(try Machine.scratch())/watched-\(UInt64.random(in: .min ... .max))"
      let script = """
        set -o pipefail
        '\(Machine.portcullis)' drift --watch --for \(seconds)s -o ndjson |
          while IFS= read -r line; do printf '%s %s\\n' "$EPOCHREALTIME" "$line"; done > '\(file)'
        """
      async let finished = Command.run("/bin/bash", ["-c", script], in: lab.folder, timeout: seconds + 60)
      try await Task.sleep(for: .seconds(5))
      do { try await body() } catch {
        _ = try? await finished
        throw error
      }
      let ended = try await finished
      let lines = try text(of: file).split(separator: "\n").map { line in
        let words = line.split(separator: " ", maxSplits: 1)
        let object = try JSONSerialization.jsonObject(with: Data(words[1].utf8))
        return (try #require(Double(words[0])), JSON(object))
      }
      return Watched(lines: lines, status: ended.status, said: ended.said)
    }

    private static func now(_ text: String) throws -> Double {
      try #require(Double(text.split(separator: "\n").first.map(String.init) ?? ""))
    }

    @Test func aChangeIsToldWithItsLinesAndWhoUndoesItToo() async throws {
      try await SafetyLab.with("watch", hosts: 2) { fleet in
        _ = try await fleet.apply()
        let rule = "INPUT -p tcp --dport 8081 -j ACCEPT"
        let watched = try await Self.watch(fleet.lab, seconds: 50) {
          // h002 has legacy programs, whose changes are looked for every 30 s.
          for host in ["h001", "h002"] { try await fleet.lab.shell(host, "iptables -I \(rule)") }
          try await Task.sleep(for: .seconds(3))
          try await fleet.lab.shell("h001", "iptables -D \(rule)")
          try await Task.sleep(for: .seconds(1))
        }
        let drifted = try #require(watched.first("drifted", on: "h001", containing: "--dport 8081"), "\(watched)")
        #expect(drifted.record["cause"].text == "others")
        #expect(drifted.record["actors"].list.first?["name"].text?.isEmpty == false)
        #expect(drifted.record["chains"].list.first?["chain"].text == "INPUT")
        let undone = try #require(watched.first("as-committed", on: "h001", containing: "--dport 8081"), "\(watched)")
        #expect(undone.record["ipv4"].strings.first?.hasPrefix("--A INPUT") == true)
        #expect(watched.first("drifted", on: "h002", containing: "--dport 8081") != nil, "\(watched)")
        // What was watched is remembered, though nobody asked the hosts since.
        let history = try await fleet.lab.succeed("history", "h001").out
        #expect(history.contains("changed: ipv4 filter/INPUT, by ") && history.contains("changed back: "), "\(history)")
        // h002 differs still.
        #expect(watched.status == 2, "\(watched.said)")
        // Whoever watches later is told what stands.
        let later = try await Self.watch(fleet.lab, seconds: 20) {
          _ = try await fleet.apply(["--refresh", "-l", "h002"])
        }
        #expect(later.first("differs", on: "h002", containing: "--dport 8081") != nil, "\(later)")
        #expect(later.first("released", on: "h002") != nil, "\(later)")
        #expect(later.first("drifted", on: "h001") == nil)
        #expect(later.status == 0, "\(later.said)")
      }
    }

    @Test func anAgentThatIsStartedAnewIsWatchedOn() async throws {
      try await SafetyLab.with("rewatch", hosts: 1, backend: "nft") { fleet in
        _ = try await fleet.apply()
        let watched = try await Self.watch(fleet.lab, seconds: 25) {
          try await fleet.lab.shell("h001", "kill -9 $(pgrep -f '^[^ ]*portcullis-agent serve' | head -1)")
          try await fleet.lab.shell("h001", "iptables -I INPUT -p tcp --dport 8081 -j ACCEPT")
          try await Task.sleep(for: .seconds(8))
        }
        #expect(watched.first("drifted", on: "h001", containing: "--dport 8081") != nil, "\(watched)")
        #expect(watched.lines.count { $0.record["what"].text == "drifted" } == 1, "\(watched)")
        #expect(watched.status == 2)
      }
    }

    /// From the change on the host to its line.
    @Test func aChangeIsALineWithinASecond() async throws {
      let trials = Safety.count("PORTCULLIS_WATCH_TRIALS", 3)
      try await SafetyLab.with("latency", hosts: 1, backend: "nft") { fleet in
        _ = try await fleet.apply()
        var changed: [Int: Double] = [:]
        let watched = try await Self.watch(fleet.lab, seconds: 8 + 7 * trials) {
          for port in 9001...(9000 + trials) {
            let said = try await fleet.lab.shell(
              "h001", "iptables -I INPUT -p tcp --dport \(port) -j ACCEPT && date +%s.%N")
            changed[port] = try Self.now(said)
            // Closer together they count as those of a busy writer.
            try await Task.sleep(for: .seconds(6))
          }
        }
        let delays = try changed.map { port, at in
          let line = try #require(watched.first("drifted", on: "h001", containing: "--dport \(port) "), "\(watched)")
          return (line.at - at) * 1000
        }
        let p99 = Safety.percentile(0.99, of: delays)
        try Safety.record("watch_p99_ms", p99)
        #expect(p99 <= 1000 || !Self.judges, "\(delays)")
      }
    }

    /// Of one core, with the programs that it runs.
    @Test func anAgentAtRestDoesNothingAndABusyWriterCostsLittle() async throws {
      let seconds = Safety.count("PORTCULLIS_WATCH_SECONDS", 10)
      let fillers = Safety.count("PORTCULLIS_WATCH_RULES", 500)
      try await SafetyLab.with("rest", hosts: 1, backend: "nft") { fleet in
        try fleet.set(SafetyPolicy(port: 4001, fillers: fillers))
        _ = try await fleet.apply(timeout: 240)
        try await Task.sleep(for: .seconds(7))
        let rest = try await Self.load(of: fleet.lab, during: "sleep \(seconds)")
        try Safety.record("watch_rest_percent", rest)
        #expect(rest == 0)
        let writer = """
          end=$(( $(date +%s) + \(seconds) ))
          while [ $(date +%s) -lt $end ]; do
            iptables -I INPUT -p tcp --dport 9 -j DROP; sleep 0.1; iptables -D INPUT -p tcp --dport 9 -j DROP; sleep 0.1
          done
          """
        // Until it reads no more than every five seconds.
        _ = try await Self.load(of: fleet.lab, during: writer)
        let busy = try await Self.load(of: fleet.lab, during: writer)
        try Safety.record("watch_busy_percent", busy)
        #expect(busy <= 5 || !Self.judges)
        let memory = try await fleet.lab.shell(
          "h001", "grep VmRSS /proc/\(Self.agent)/status | tr -dc 0-9")
        try Safety.record("agent_resident_mib", (Double(memory) ?? .infinity) / 1024)
      }
    }

    private static let agent = "$(pgrep -f '^[^ ]*portcullis-agent serve' | head -1)"

    /// Percent of one core that the agent and its programs take while the host does something else.
    private static func load(of lab: TestLab, during script: String) async throws -> Double {
      let finished = try await lab.exec(
        "h001", "/bin/sh", "-ec",
        """
        used() { cut -d ' ' -f 14-17 /proc/\(agent)/stat; date +%s.%N; }
        used; { \(script)
        } >/dev/null 2>&1; used
        """, timeout: 300)
      try #require(finished.status == 0, "\(finished)")
      let lines = finished.out.split(separator: "\n").map { $0.split(separator: " ").compactMap { Double($0) } }
      try #require(lines.count == 4, "\(finished)")
      // In hundredths of a second.
      let ticks = lines[2].reduce(0, +) - lines[0].reduce(0, +)
      return ticks / (lines[3][0] - lines[1][0])
    }

    /// A debug build, on a machine that does other things, is not what the goals are for: it only shows the figures.
    private static let judges = Safety.count("PORTCULLIS_JUDGE_TIMES", 0) == 1
  }
}
