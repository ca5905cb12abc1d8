import Core
import Foundation
import Testing

extension FleetSuite {
  /// A host that leaves the fleet keeps what was never ours, to the letter.
  @Suite(.serialized) struct Removal {
    /// Those that do not accept at the top of INPUT: a first apply stops at such a rule.
    private static let neighbours: [ForeignSoftware] = [.docker, .cni, .kubernetes, .calico, .libvirt, .fail2ban]

    @Test(arguments: ["generation-0", "keep"])
    func otherPeoplesRulesStayExactlyAsTheyAre(rules: String) async throws {
      let lab = try await TestLab.up("removal-\(rules)", ["--hosts", "2", "--backend", "mixed", "--no-enroll"])
      do {
        for host in names(1...2) {
          for software in Self.neighbours { try await software.install(on: host, of: lab) }
        }
        let found = [try await lab.foreignState(of: "h001"), try await lab.foreignState(of: "h002")]
        let policies = [try await lab.policies(of: "h001"), try await lab.policies(of: "h002")]
        try await lab.succeed("enroll", "all", timeout: 90)
        try await lab.succeed("apply", "--yes")
        for (host, before) in zip(names(1...2), found) {
          #expect(try await lab.foreignState(of: host) == before, "\(host) after an apply")
          #expect(try await lab.rules(of: host).allSatisfy { $0.contains("PCL-INPUT") }, "\(host)")
        }
        let running = [try await lab.rules(of: "h001"), try await lab.rules(of: "h002")]
        // Somebody writes while we are enrolled, and while we go.
        let writer = try await ForeignWriter.start(.tenTimesASecond, on: "h001", of: lab)
        try await lab.succeed("enroll", "all", "--remove", "--rules", rules, timeout: 90)
        try await writer.stop()
        #expect(try await writer.wrongs() == [])
        #expect(try await writer.changes().refused == 0)
        try await lab.shell(
          "h001",
          """
          for p in iptables ip6tables; do
            $p -S INPUT | sed -n 's/^-A \\(.* --comment writer-.*\\)$/\\1/p' |
              while read -r rule; do eval "$p -w 10 -D $rule"; done
            $p -D INPUT -j FOREIGN-BOOK; $p -F FOREIGN-BOOK; $p -X FOREIGN-BOOK
          done
          """)
        for (index, host) in names(1...2).enumerated() {
          #expect(try await lab.foreignState(of: host) == found[index], "\(host) after the removal")
          if rules == "keep" {
            #expect(try await lab.rules(of: host) == running[index])
          } else {
            #expect(try await lab.rules(of: host).allSatisfy { !$0.contains("PCL") }, "\(host)")
            #expect(try await lab.policies(of: host) == policies[index], "\(host)")
          }
          #expect(try await lab.exec(host, "/usr/bin/test", "-e", "/var/lib/portcullis").status != 0)
        }
        try await lab.succeed("lab", "down", "--dir", lab.folder)
      } catch {
        _ = try? await lab.portcullis("lab", "down", "--dir", lab.folder)
        throw error
      }
    }
  }
}
