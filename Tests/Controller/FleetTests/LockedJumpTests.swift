import Foundation
import Testing

extension FleetSuite {
  /// A jump host is one of the fleet, and locked with it.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct LockedJumps {
    private static func fleet(jump: String) -> String {
      """
      all:
        vars:
          ansible_user: root
        hosts:
          h001: {ansible_host: 10.77.1.1, ansible_ssh_private_key_file: keys/admin}
          h002: {ansible_host: 10.77.1.2\(jump)}
          h003: {ansible_host: 10.77.1.3}

      """
    }

    @Test func aLockedJumpHostStaysTheWayToThoseBehindIt() async throws {
      try await LockdownLab.with("jumping", insiders: 2) { lab in
        // What is seen of a host behind a jump host is the jump host's own address.
        let config = try lab.lab.configuration(
          "jump.yaml", ["inventory": "jump-hosts.yaml", "controllers": "[\"10.77.1.1\"]"])
        for jump in ["", ", portcullis_jump: h001"] {
          try write(Self.fleet(jump: jump), to: lab.lab.path("jump-hosts.yaml"))
          try await lab.lab.succeed("apply", "--yes", "--config", config)
        }
        func start(_ host: String) async throws -> Finished {
          try await lab.order(
            "start",
            [
              "isolate", "-l", host, "--confirm-hosts", "1", "--reason", "a test", "--config", config, "--for", "20s",
              "--timeout", "5",
            ])
        }
        let first = try await start("h001")
        #expect(first.status == 0, "\(first)")
        #expect(try await lab.isLocked("h001"))
        let behind = try await start("h002")
        #expect(behind.status == 0, "\(behind)")
        #expect(try await lab.isLocked("h002"))
        let log = try text(of: lab.lab.path("hosts/h002/log"))
        #expect(log.contains("Accepted publickey for portcullis from 10.77.1.1 "), "\(log.suffix(500))")
        #expect(try await lab.lab.connects("h001", LabAddress.ipv4(3), 22) == false)
        let lifted = try await lab.order(
          "lift", ["--confirm-hosts", "3", "--reason", "the test is over", "--config", config])
        #expect(lifted.status == 0, "\(lifted)")
        #expect(try await !lab.isLocked("h001"))
        #expect(try await !lab.isLocked("h002"))
      }
    }
  }
}
