import Foundation
import Testing

extension FleetSuite {
  /// How long the two families differ, and what an apply costs beyond the programs it runs. The host's restore and save
  /// programs are wrapped so that they note when they began and ended, and in which network they ran.
  @Suite(.serialized, .timeLimit(.minutes(60))) struct Timing {
    /// One run of a program, in seconds.
    private struct Run {
      let program: String
      let start: Double
      let end: Double
      /// In the host's own network, not in a scratch one.
      let isReal: Bool
    }

    private func wrap(_ host: String, of lab: TestLab) async throws {
      try await lab.shell(
        host,
        """
        cp -P /etc/alternatives/ip*tables-restore /etc/alternatives/ip*tables-save /usr/local/bin/
        for name in iptables-restore ip6tables-restore iptables-save ip6tables-save; do
          real=$(readlink /etc/alternatives/$name)
          cat > /usr/local/lib/$name <<END
        #!/bin/bash
        start=\\${EPOCHREALTIME}
        "$real" "\\$@"
        code=\\$?
        end=\\${EPOCHREALTIME}
        [ /proc/self/ns/net -ef /proc/1/ns/net ] && where=real || where=scratch
        echo "$name \\$start \\$end \\$where" >> /run/timings
        exit \\$code
        END
          chmod 755 /usr/local/lib/$name
          ln -sf /usr/local/lib/$name /etc/alternatives/$name
        done
        """)
    }

    private func unwrap(_ host: String, of lab: TestLab) async throws {
      try await lab.shell(
        host,
        "for n in iptables-restore ip6tables-restore iptables-save ip6tables-save; do mv -f /usr/local/bin/$n /etc/alternatives/; done"
      )
    }

    private func runs(_ host: String, of lab: TestLab) async throws -> [Run] {
      let text = try await lab.shell(host, "cat /run/timings; rm /run/timings")
      return try text.split(separator: "\n").map { line in
        let words = line.split(separator: " ")
        try #require(words.count == 4, "\(line)")
        return Run(
          program: String(words[0]), start: try #require(Double(words[1])), end: try #require(Double(words[2])),
          isReal: words[3] == "real")
      }
    }

    @Test(arguments: ["nft", "legacy"])
    func theFamiliesDifferForAMomentOnly(backend: String) async throws {
      let trials = Safety.count("PORTCULLIS_GAP_TRIALS", 4)
      try await SafetyLab.with("gap-\(backend)", hosts: 1, backend: backend) { fleet in
        try fleet.set(SafetyPolicy(port: 4001, fillers: 1000))
        _ = try await fleet.apply()
        try await wrap("h001", of: fleet.lab)
        var gaps: [Double] = []
        for trial in 1...trials {
          try fleet.set(SafetyPolicy(port: 5000 + trial, fillers: 1000))
          let results = try await fleet.apply()
          try #require(results["h001"]?["result"].text == "committed")
          let loads = try await runs("h001", of: fleet.lab).filter { $0.isReal && $0.program.hasSuffix("-restore") }
          let six = try #require(loads.first { $0.program == "ip6tables-restore" }, "\(loads)")
          let four = try #require(loads.first { $0.program == "iptables-restore" }, "\(loads)")
          gaps.append((four.end - six.end) * 1000)
        }
        // What one restore of that size takes by itself bounds it from below.
        let p99 = Safety.percentile(0.99, of: gaps)
        #expect(p99 <= 100 || !Self.judges, "\(gaps)")
        try Safety.record("gap_\(backend)_p99_ms", p99)
      }
    }

    /// From the moment the bundle was written down to the end of the last program, over the programs' own time.
    @Test(arguments: ["nft", "legacy"])
    func anApplyCostsLittleMoreThanItsPrograms(backend: String) async throws {
      let trials = Safety.count("PORTCULLIS_OVERHEAD_TRIALS", 1)
      let rules = Safety.count("PORTCULLIS_OVERHEAD_RULES", 1000)
      try await SafetyLab.with("overhead-\(backend)", hosts: 1, backend: backend) { fleet in
        try fleet.set(SafetyPolicy(port: 4001, fillers: rules))
        _ = try await fleet.apply(timeout: 240)
        try await wrap("h001", of: fleet.lab)
        var ratios: [Double] = []
        for trial in 1...trials {
          try fleet.set(SafetyPolicy(port: 5000 + trial, fillers: rules))
          let results = try await fleet.apply(timeout: 240)
          try #require(results["h001"]?["result"].text == "committed")
          let begun = try #require(
            Double(
              try await fleet.lab.shell(
                "h001", "stat -L -c %.6Y /var/lib/portcullis/committed/release.statement"
              ).trimmingCharacters(in: .whitespacesAndNewlines)))
          let runs = try await runs("h001", of: fleet.lab)
          let end = try #require(runs.filter(\.isReal).map(\.end).max())
          let during = runs.filter { $0.end <= end && $0.start >= begun - 5 }
          let programs = during.reduce(0) { $0 + $1.end - $1.start }
          ratios.append((end - min(begun, during.map(\.start).min() ?? begun)) / programs)
        }
        let ratio = Safety.percentile(0.5, of: ratios)
        #expect(ratio <= 1.5 || !Self.judges, "\(ratios)")
        try Safety.record("overhead_\(backend)_ratio", ratio)
      }
    }

    /// A debug build, on a machine that does other things, is not what the goals are for: it only shows the figures.
    private static let judges = Safety.count("PORTCULLIS_JUDGE_TIMES", 0) == 1
  }
}
