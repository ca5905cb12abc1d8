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
      exit 0 if $ARGV[0] ne 'serve';
      mkdir '/run/portcullis';
      use Fcntl ':flock';
      open(my $lock, '>', '/run/portcullis/lock');
      flock($lock, LOCK_EX | LOCK_NB) or exit 75;
      unlink '/run/portcullis/agent.sock';
      my $socket = IO::Socket::UNIX->new(Local => '/run/portcullis/agent.sock', Listen => 5) or exit 1;
      sleep 1000 while 1;
      """

    private func withHost(_ body: (LabFleet) async throws -> Void) async throws {
      try await withLabDirectory { path in
        let agent = path + "-agent"
        try LabFiles.write(Self.standIn, to: agent, mode: 0o755)
        let fleet = try await LabFleet.up(
          LabOptions(directory: path, hosts: 2, agentBinary: agent, hostProgram: hostProgram))
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
