import Core
import Foundation
import Testing

@testable import Lab

extension LabSuite {
  /// How a host treats the agent, with a stand-in that writes down what it was told.
  @Suite struct Services {
    /// Listens where the agent does and keeps the lock, as the agent does.
    private static let standIn = """
      #!/usr/bin/perl
      use IO::Socket::UNIX;
      open(my $log, '>>', '/var/lib/agent.log');
      my $up = -e '/sys/class/net/eth0' ? 'with' : 'without';
      syswrite($log, "$ARGV[0] $up eth0\\n");
      if ($ARGV[0] eq 'restore') { open(my $f, '<', '/var/lib/ends-with'); exit(defined $f ? <$f> : 0); }
      mkdir '/run/portcullis';
      use Fcntl ':flock';
      open(my $lock, '>', '/run/portcullis/lock');
      flock($lock, LOCK_EX | LOCK_NB) or exit 75;
      unlink '/run/portcullis/agent.sock';
      my $socket = IO::Socket::UNIX->new(Local => '/run/portcullis/agent.sock', Listen => 5) or exit 1;
      sleep 1000 while 1;
      """

    private func withHost(restartPause: Int? = nil, _ body: (LabFleet) async throws -> Void) async throws {
      try await withLabDirectory { path in
        let agent = path + "-agent"
        try LabFiles.write(Self.standIn, to: agent, mode: 0o755)
        let fleet = try await LabFleet.up(
          LabOptions(
            directory: path, hosts: 2, agentBinary: agent, hostProgram: hostProgram, restartPause: restartPause))
        try await body(fleet)
      }
    }

    /// Waits up to 10 s, because a pause of a second is longer on a busy machine.
    private func eventually(_ holds: () async throws -> Bool) async throws {
      for _ in 0..<100 {
        if try await holds() { return }
        try await Task.sleep(for: .milliseconds(100))
      }
      Issue.record("it did not come about within 10 s")
    }

    private func log(_ fleet: LabFleet) async throws -> String {
      try await fleet.exec("h001", "cat", "/var/lib/agent.log").out
    }

    @Test func theAgentIsThereBeforeEnrolmentAndEachHostMayReplaceIts() async throws {
      try await withHost { fleet in
        let place = "/usr/local/lib/portcullis"
        #expect(try await fleet.exec("h001", "readlink", "\(place)/portcullis-bridge").out == "portcullis-agent\n")
        #expect(try await fleet.exec("h001", "cat", "\(place)/portcullis-agent").out == Self.standIn)
        _ = try await fleet.exec("h001", "sh", "-c", "echo changed > \(place)/portcullis-agent")
        #expect(try await fleet.exec("h002", "cat", "\(place)/portcullis-agent").out == Self.standIn)
        #expect(LabFiles.text(fleet.directory.seed + place + "/portcullis-agent") == Self.standIn)
        #expect(fleet.status(of: fleet.hosts[0]).agent == .notEnrolled)
        #expect(try await fleet.exec("h002", "test", "-e", "/var/lib/agent.log").status == 1)
      }
    }

    @Test func anEnrolledHostRestoresItsRulesBeforeItHasANetworkAndThenServes() async throws {
      try await withHost { fleet in
        _ = try await fleet.exec("h001", "sh", "-c", "mkdir /etc/portcullis; echo 'host h001' > /etc/portcullis/host")
        #expect(fleet.status(of: fleet.hosts[0]).agent == .down)
        let reboot = try await fleet.reboot("h001")
        #expect(reboot.status.agent == .up)
        #expect(try await log(fleet) == "restore without eth0\nserve with eth0\n")

        // It comes back when it dies, after the first pause.
        _ = try await fleet.exec("h001", "sh", "-c", "kill -9 $(cat /proc/1/task/1/children | cut -d' ' -f2)")
        try await eventually { try await log(fleet).split(separator: "\n").count == 3 }
        try await eventually { fleet.status(of: fleet.hosts[0]).agent == .up }
        #expect(try await log(fleet) == "restore without eth0\nserve with eth0\nserve with eth0\n")

        // sshd too.
        _ = try await fleet.exec("h001", "sh", "-c", "kill -9 $(cat /run/sshd.pid)")
        try await eventually { try await fleet.ssh("h001", "hostname").out == "h001\n" }
      }
    }

    /// As the units say (packaging/portcullis-restore.service): anything but 0 and 2 is a failure.
    @Test(arguments: [(0, false), (2, false), (1, true), (139, true)])
    func theStockProgramsLoadTheSafeFilesWhenTheAgentCouldNotRestore(endsWith: Int, loads: Bool) async throws {
      try await withHost { fleet in
        let plant = """
          set -e; mkdir -p /etc/portcullis /var/lib/portcullis/safe; echo 'host x' > /etc/portcullis/host
          echo \(endsWith) > /var/lib/ends-with; cd /var/lib/portcullis/safe
          for port in 4:4444 6:6666; do
            printf '*filter\\n:INPUT ACCEPT [0:0]\\n-A INPUT -p tcp --dport %s -j DROP\\nCOMMIT\\n' ${port#*:} \\
              > ipv${port%:*}.rules
          done
          """
        for host in ["h001", "h002"] {
          #expect(try await fleet.exec(host, "/bin/sh", "-c", plant).status == 0)
          _ = try await fleet.reboot(host)
          let rules = try await fleet.exec(host, "/bin/sh", "-c", "iptables-save; ip6tables-save").out
          for port in ["4444", "6666"] { #expect(rules.contains("--dport \(port)") == loads, "\(host): \(rules)") }
        }
      }
    }

    @Test func aLabForKillingStartsTheAgentAgainAfterAPauseThatDoesNotGrow() async throws {
      try await withHost(restartPause: 20) { fleet in
        _ = try await fleet.exec("h001", "sh", "-c", "mkdir /etc/portcullis; echo 'host h001' > /etc/portcullis/host")
        _ = try await fleet.reboot("h001")
        let kill = """
          for i in 1 2 3 4 5 6; do
            kill -9 $(cat /proc/1/task/1/children | cut -d' ' -f2)
            for j in $(seq 100); do
              sleep 0.02; [ $(wc -l < /var/lib/agent.log) -eq $((i + 2)) ] && break
            done
          done
          """
        let start = ContinuousClock.now
        _ = try await fleet.exec("h001", "sh", "-c", kill)
        #expect(try await log(fleet).split(separator: "\n").count == 8)
        // With pauses of 1, 2, 4 s it would be a minute.
        #expect(start.duration(to: .now) < .seconds(8))
      }
    }

    @Test func aDaemonStartedByAnUpgradeIsLeftAloneAndSoIsARemovedOne() async throws {
      try await withHost { fleet in
        _ = try await fleet.exec("h001", "sh", "-c", "mkdir /etc/portcullis; echo 'host h001' > /etc/portcullis/host")
        _ = try await fleet.reboot("h001")
        let agent = "/usr/local/lib/portcullis/portcullis-agent"
        let upgrade = "kill -9 $(cat /proc/1/task/1/children | cut -d' ' -f2); sleep 0.1; setsid \(agent) serve <&- &"
        _ = try await fleet.exec("h001", "sh", "-c", upgrade)
        try await Task.sleep(for: .milliseconds(2500))
        #expect(try await log(fleet).split(separator: "\n").count == 3)
        #expect(fleet.status(of: fleet.hosts[0]).agent == .up)
        // Reboot, and take the agent away: it is not started again.
        _ = try await fleet.reboot("h001")
        let removal = "rm /etc/portcullis/host; kill -9 $(cat /proc/1/task/1/children | cut -d' ' -f2)"
        _ = try await fleet.exec("h001", "sh", "-c", removal)
        try await Task.sleep(for: .milliseconds(2500))
        #expect(try await log(fleet).split(separator: "\n").count == 5)
        #expect(fleet.status(of: fleet.hosts[0]).agent == .notEnrolled)
      }
    }
  }
}
