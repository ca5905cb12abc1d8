import Foundation
import Testing

extension FleetSuite {
  /// What a release that should not have been costs, and what a good one must never cost.
  @Suite(.serialized, .timeLimit(.minutes(240))) struct Lockout {
    /// Opens a connection to port 22 of every address ten times a second, each from a process of its own, and prints for
    /// each the longest time during which none opened: from the first attempt that failed to the next that opened.
    private static let prober = #"""
      use strict; use Time::HiRes qw(time sleep); use IO::Socket::IP; $| = 1;
      my ($stop, @addresses) = @ARGV; my @children;
      for my $address (@addresses) {
        my $child = fork // die; if ($child) { push @children, $child; next }
        my ($since, $longest) = (0, 0);
        while (!-e $stop) {
          my $start = time;
          if (IO::Socket::IP->new(PeerAddr => $address, PeerPort => 22, Timeout => 0.3)) {
            $longest = time - $since if $since && time - $since > $longest; $since = 0;
          } else { $since ||= $start }
          my $rest = 0.1 - (time - $start); sleep $rest if $rest > 0;
        }
        $longest = 9999 if $since;
        print "$address $longest\n"; exit;
      }
      waitpid $_, 0 for @children;
      """#

    /// Longest outage of each address while `body` runs, in seconds.
    private func outages(_ fleet: SafetyLab, _ body: () async throws -> Void) async throws -> [String: Double] {
      let stop = "\(try Machine.scratch())/stop-\(UInt32.random(in: .min ... .max))"
      let status = try JSON(try await fleet.lab.succeed("lab", "status", "--dir", fleet.lab.folder, "-o", "json"))
      let addresses = status.hosts.values.flatMap { [$0["ipv4"].text, $0["ipv6"].text].compactMap { $0 } }
      try #require(addresses.count == 2 * fleet.hosts.count)
      let words = ([stop] + addresses).map { "'\($0)'" }.joined(separator: ", ")
      async let probed = fleet.lab.exec(
        "controller", "/usr/bin/perl", input: .bytes(Array("@ARGV = (\(words));\n\(Self.prober)".utf8)), timeout: 180)
      do {
        try await body()
      } catch {
        try write("", to: stop)
        _ = try? await probed
        throw error
      }
      try write("", to: stop)
      let lines = try await probed.out.split(separator: "\n").map { $0.split(separator: " ") }
      return Dictionary(uniqueKeysWithValues: lines.map { (String($0[0]), Double($0[1]) ?? .infinity) })
    }

    @Test func accessIsBackInTimeAfterEveryReleaseThatCutsIt() async throws {
      let trials = Safety.count("PORTCULLIS_CUT_TRIALS", 12)
      let hosts = min(Safety.count("PORTCULLIS_CUT_HOSTS", 6), trials)
      let deadline = 15
      try await SafetyLab.with("cut", hosts: hosts) { fleet in
        try fleet.set(SafetyPolicy(port: 4001))
        try #require(try await fleet.apply().values.allSatisfy { $0["result"].text == "committed" })
        let before = try await fleet.digests(of: "h001")
        // Without the override the controller does not send it, and the hosts refuse it before anything changes.
        try fleet.set(SafetyPolicy(port: 4002, shutsOut: true))
        let unsent = try await fleet.lab.portcullis("apply", "--yes", timeout: 120)
        #expect(unsent.status == 5 && unsent.err.contains("[no-ssh-from-controllers]"), "\(unsent)")
        let refused = try await fleet.lab.portcullis(
          "apply", "--yes", "--despite-errors", "--reason", "measuring", timeout: 120)
        #expect(refused.status == 5 && refused.said.contains("--dport 22 -j DROP"), "\(refused)")
        #expect(try await fleet.digests(of: "h001") == before)

        var (done, late, worst) = (0, [String](), 0.0)
        while done < trials {
          let outages = try await outages(fleet) {
            let results = try await fleet.apply([
              "--override-lockout", "--reason", "measuring", "--confirm-timeout", "\(deadline)",
            ])
            // Never success for a host that went back.
            let other = results.filter { !["reverted", "unknown"].contains($0.value["result"].text ?? "") }
            #expect(other.isEmpty, "\(other.mapValues { [$0["result"].text, $0["code"].text, $0["detail"].text] })")
          }
          // From the first failed connection, which comes after the deadline was set.
          for (address, seconds) in outages {
            worst = max(worst, seconds)
            if seconds > Double(deadline) + 2 { late.append("\(address): \(seconds) s") }
            if seconds == 0 { late.append("\(address): was never cut") }
          }
          done += fleet.hosts.count
        }
        #expect(late.isEmpty, "\(late.joined(separator: ", "))")
        #expect(try await fleet.digests(of: "h001") == before)
        try Safety.record("cut_trials", Double(done))
        try Safety.record("cut_late", Double(late.count))
        try Safety.record("cut_longest_seconds_beyond_deadline", worst - Double(deadline))
      }
    }

    /// The second one is a line that loses 5 % each way and takes 200 ms for a round trip.
    @Test(arguments: [("good", [String]()), ("bad", ["--loss", "5", "--delay", "100", "--seed", "42"])])
    func aGoodReleaseIsNotTakenBack(line: String, flags: [String]) async throws {
      let trials = Safety.count("PORTCULLIS_CONFIRM_TRIALS", 60)
      let hosts = min(Safety.count("PORTCULLIS_CONFIRM_HOSTS", 12), trials)
      try await SafetyLab.with("confirmed-\(line)", hosts: hosts, flags) { fleet in
        var (done, taken, other) = (0, 0, [String]())
        while done < trials {
          try fleet.set(SafetyPolicy(port: 4000 + done % 1000))
          let results = try await fleet.apply(["--timeout", "120"], timeout: 240)
          for (host, result) in results {
            switch result["result"].text {
            case "committed", "unchanged": break
            case "reverted": taken += 1
            default: other.append("\(host): \(result["result"].text ?? "-"): \(result["detail"].text ?? "")")
            }
          }
          done += results.count
        }
        let allowed = flags.isEmpty ? 0 : trials / 1000
        #expect(taken <= allowed, "\(taken) of \(done)")
        // Not a rollback, but worth knowing.
        if !other.isEmpty { print("\(other.count) hosts were not reached in time: \(other.prefix(3))") }
        try Safety.record("confirm_\(line)_trials", Double(done))
        try Safety.record("confirm_\(line)_false_rollback_percent", Double(taken) * 100 / Double(done))
      }
    }
  }
}
