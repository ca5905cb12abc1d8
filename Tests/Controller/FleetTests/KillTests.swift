import Foundation
import Glibc
import TestSupport
import Testing

extension FleetSuite {
  /// SIGKILL at random moments of real applies, and of the recoveries from them.
  @Suite(.serialized, .timeLimit(.minutes(240))) struct Killing {
    /// Runs in a host beside one apply. Waits until the apply has written something, kills the daemon after a random
    /// while, waits until it is back, and looks at both families: the pair of digests must be one of the two, at once or
    /// when a change that is under way has ended. Half the time it kills the daemon again while that recovers.
    /// Prints: kills, kills while the journal was open or the daemon recovered, violations, and what was seen.
    private static let killer = #"""
      use strict; use Time::HiRes qw(time sleep stat); use IO::Socket::UNIX;
      my ($seed, $span, $wait, @good) = @ARGV; srand($seed);
      my %good = map { $_ => 1 } @good;
      sub daemon { for my $d (glob '/proc/[0-9]*/cmdline') { open(my $f, '<', $d) or next; local $/; my $c = <$f> // '';
        return $d =~ m{/proc/(\d+)/} && $1 if $c =~ m{^\S*portcullis-agent\0serve\0}; } return; }
      sub written { join ' ', map { (stat "/var/lib/portcullis/$_")[9] // '' } qw(bundles journal . ) }
      my $digests = <<'SHELL';
      \#(SafetyLab.digests)
      SHELL
      sub digests { my $t = `$digests`;
        join ' ', split ' ', $t; }
      # What is there, for whoever has to find out: chains, how many rules of which port each has, and the agent's words.
      sub shape { my $t = `for p in iptables-save ip6tables-save; do echo \$p; \$p | sed -n -E -e '/^[*:]/p' \\
        -e '/^-A/s/^-A ([^ ]*).*--dport ([0-9]*).*/\\1 port \\2/' -e '/^-A|port/p' | uniq -c; done
        tail -5 /var/lib/portcullis/agent.log 2>&1; date; /usr/local/lib/portcullis/portcullis-agent report | grep -v chains; strings /var/lib/portcullis/journal | tail -40; ps ax -o pid,ppid,etimes,args | grep portcullis-agent`; $t }
      my ($kills, $wrong, @seen) = (0, 0);
      my $before = written(); my $end = time + $wait;
      while (written() eq $before) { if (time > $end) { print "0 0\n"; exit } sleep 0.0005; }
      sleep rand $span;
      while (1) {
        my $pid = daemon() or last;
        kill 9, $pid; $kills++;
        # Back means: it answers, so it has recovered. It may be killed again before that.
        my $again = rand() < 0.5 ? time + rand 0.4 : 0;
        my ($back, $limit) = (0, time + 15);
        while (time < $limit) {
          my $now = daemon();
          if ($again && time >= $again && $now && $now != $pid) { last }
          if ($now && $now != $pid) {
            my $s = IO::Socket::UNIX->new(Peer => '/run/portcullis/agent.sock');
            if ($s) { print $s "source -\n"; $s->flush; my $b; if (sysread $s, $b, 1) { $back = 1; last } } }
          sleep 0.002;
        }
        next if $again && !$back && time < $limit;
        unless ($back) { $wrong++; push @seen, 'no daemon came back'; last }
        my ($pair, $until) = ('', time + 10);
        while (time < $until) { $pair = digests(); last if $good{$pair}; sleep 0.2 }
        unless ($good{$pair}) { $wrong++; push @seen, "between: $pair\n" . shape() }
        last;
      }
      print "$kills $wrong @seen\n";
      """#

    @Test func whateverIsKilledTheHostEndsOnTheOldBundleOrTheNewOne() async throws {
      let trials = Safety.count("PORTCULLIS_KILL_TRIALS", 300)
      let hosts = Safety.count("PORTCULLIS_KILL_HOSTS", 12)
      let seed = Safety.count("PORTCULLIS_SEED", Int.random(in: 1...1_000_000))
      print("seed: PORTCULLIS_SEED=\(seed)")
      var random = Random(seed: UInt64(seed))
      try await SafetyLab.with("killed", hosts: hosts, ["--restart-pause", "20"]) { fleet in
        // Booted, their first process keeps the daemon going, with that short pause.
        for host in fleet.hosts { try await fleet.lab.succeed("lab", "reboot", host, "--dir", fleet.lab.folder) }
        // The two bundles as each host's own programs print them, and how long an apply takes here.
        let policies = [SafetyPolicy(port: 4001, fillers: 200), SafetyPolicy(port: 4002, fillers: 200)]
        var good: [String: [String]] = [:]
        var span = 0.0
        for policy in policies + policies {
          try fleet.set(policy)
          let start = ContinuousClock.now
          let results = try await fleet.apply()
          span = start.duration(to: .now) / .seconds(1)
          try #require(results.values.allSatisfy { $0["result"].text == "committed" })
          for host in fleet.hosts { good[host, default: []].append(try await fleet.digests(of: host)) }
        }
        // By name, or the shell would have to quote them.
        let pairs = good.mapValues { Array(Set($0)) }
        try #require(pairs.values.allSatisfy { $0.count == 2 }, "the two policies are not told apart")

        var (kills, violations, serials) = (0, [String](), [String: Int]())
        var (round, told) = (0, 0)
        while kills < trials {
          round += 1
          try #require(round <= trials, "the killers do not kill: \(kills) in \(round) rounds")
          try fleet.set(policies[round % 2])
          let before = kills
          try await withThrowingTaskGroup(of: (String, String).self) { group in
            for host in fleet.hosts {
              let (dice, good, at) = (random.next() >> 33, pairs[host] ?? [], span)
              group.addTask {
                let done = try await fleet.lab.exec(
                  host, "/usr/bin/perl", input: .bytes(Array(Self.script(dice, at, good).utf8)), timeout: 60)
                return (host, done.status == 0 ? done.out : "0 1 \(done)")
              }
            }
            // It may find nobody to talk to, and says so; what counts is what the hosts hold.
            _ = try await Command.run(
              Machine.portcullis, ["apply", "--yes", "--confirm-timeout", "15", "--timeout", "20"],
              in: fleet.lab.folder,
              timeout: 90)
            for try await (host, said) in group {
              let words = said.split(separator: " ", maxSplits: 2)
              kills += Int(words.first ?? "") ?? 0
              if words.count < 2 || words[1].trimmingCharacters(in: .whitespacesAndNewlines) != "0" {
                violations.append("round \(round), \(host): \(said)")
              }
            }
          }
          // Serials never go back.
          let status = try JSON(try await fleet.lab.portcullis("status", "--refresh", "-o", "json")).hosts
          for (host, value) in status {
            guard let serial = value["serial"].number else { continue }
            if serial < serials[host, default: 0] {
              violations.append("\(host): serial \(serial) after \(serials[host]!)")
            }
            serials[host] = serial
          }
          for violation in violations.dropFirst(told) { print(violation) }
          told = violations.count
          if kills == before { print("round \(round): nobody was killed") }
          // A long run that is interrupted has still shown what it has shown.
          if kills / 500 > before / 500 {
            try Safety.record("kill_trials", Double(kills))
            try Safety.record("kill_violations", Double(violations.count))
          }
        }
        #expect(violations.isEmpty, "\(violations.count) of \(kills): \(violations.prefix(5).joined(separator: "\n"))")
        try Safety.record("kill_trials", Double(kills))
        try Safety.record("kill_violations", Double(violations.count))
        // And none of them is worn out by it.
        let last = try await fleet.apply()
        #expect(last.values.allSatisfy { ["committed", "unchanged"].contains($0["result"].text ?? "") })
      }
    }

    /// The killer with its arguments written in, since the program itself comes over standard input.
    private static func script(_ seed: UInt64, _ span: Double, _ good: [String]) -> String {
      let words = ["\(seed)", "\(span)", "20"] + good
      return "@ARGV = (" + words.map { "'\($0)'" }.joined(separator: ", ") + ");\n" + killer
    }
  }
}
