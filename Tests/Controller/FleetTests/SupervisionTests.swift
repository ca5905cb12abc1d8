import Foundation
import Testing

extension FleetSuite {
  /// Lab hosts have no systemd: the daemon that enrolment starts has a supervisor.
  @Suite(.serialized) struct Supervision {
    private func processes(_ lab: TestLab, _ verb: String) async throws -> [String] {
      try await lab.shell(
        "h001",
        """
        for p in /proc/[0-9]*; do
          tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -q '^[^ ]*portcullis-agent \(verb) ' && echo ${p#/proc/} || :
        done
        """
      ).split(separator: "\n").map(String.init)
    }

    /// The daemon in place of `old`, once it answers.
    private func successor(of old: String, _ lab: TestLab) async throws -> String? {
      for _ in 0..<100 {
        if let now = try await processes(lab, "serve").first, now != old,
          try await lab.exec("h001", "/usr/local/lib/portcullis/portcullis-agent", "report").status == 0
        {
          return now
        }
        try await Task.sleep(for: .milliseconds(100))
      }
      return nil
    }

    @Test func aDaemonThatIsKilledComesBackAndOneThatIsReplacedOrRemovedDoesNot() async throws {
      let lab = try await TestLab.up("supervised", ["--hosts", "1"])
      do {
        var daemon = try #require(try await processes(lab, "serve").first)
        for _ in 1...2 {
          try await lab.shell("h001", "kill -9 \(daemon)")
          daemon = try #require(try await successor(of: daemon, lab), "nobody started it again")
        }
        #expect(try await processes(lab, "supervise").count == 1)

        // Another enrolment replaces both, and leaves one of each.
        try await lab.succeed("enroll", "all")
        #expect(try await processes(lab, "supervise").count == 1)
        let replaced = try await processes(lab, "serve")
        #expect(replaced.count == 1 && replaced != [daemon])

        // Also while the daemon is down and the supervisor waits: by its lock, not by the socket.
        try await lab.shell("h001", "kill -9 \(replaced[0])")
        try await lab.succeed("enroll", "all")
        try await Task.sleep(for: .seconds(3))
        #expect(try await processes(lab, "supervise").count == 1)
        #expect(try await processes(lab, "serve").count == 1)

        // Killed, it leaves the daemon at work; enrolling again mends that.
        let supervisor = try #require(try await processes(lab, "supervise").first)
        try await lab.shell("h001", "kill -9 \(supervisor)")
        #expect(try await processes(lab, "serve").count == 1)
        try await lab.succeed("enroll", "all")
        #expect(try await processes(lab, "supervise").count == 1)
        #expect(try await processes(lab, "serve").count == 1)

        try await lab.succeed("enroll", "all", "--remove", "--rules", "keep")
        #expect(try await processes(lab, "supervise") == [])
        #expect(try await processes(lab, "serve") == [])
        try await lab.succeed("lab", "down", "--dir", lab.folder)
      } catch {
        _ = try? await lab.portcullis("lab", "down", "--dir", lab.folder)
        throw error
      }
    }
  }
}
