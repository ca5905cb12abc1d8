import Core
import Foundation
import Testing

extension FleetSuite {
  /// Where a host's sshd listens is the host's to say.
  @Suite(.serialized, .timeLimit(.minutes(5))) struct ReportedPorts {
    private static let policy = """
      policy: all
      applies_to: all
      defaults: { input: drop }
      input:
        - accept: { in: lo }
        - accept: icmp-essential
        - accept: { service: ssh, from: controllers }

      """

    @Test func sshIsThePortThatAHostsSshdListensOn() async throws {
      try await SafetyLab.with("ports", hosts: 2, backend: "mixed") { fleet in
        let lab = fleet.lab
        let folder = lab.path("policies")
        try FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(Self.policy.utf8).write(to: URL(filePath: "\(folder)/all.yaml"))
        try await lab.succeed("apply", "--yes", timeout: 90)
        try await lab.succeed("status", "--refresh")
        #expect(try await lab.portcullis("plan", "--detailed-exitcode").status == 0)

        try await lab.shell("h001", "/usr/sbin/sshd -f /etc/ssh/sshd_config -o PidFile=/run/other.pid -p 2222")
        let plan = try await lab.succeed("plan", "--refresh")
        #expect(plan.out.contains("change h001 ") && plan.out.contains("--dports 22,2222 "), "\(plan)")
        #expect(plan.out.contains("1 to change"), "\(plan)")
        for (host, isThere) in [("h001", true), ("h002", false)] {
          let rendered = try await lab.succeed("render", host)
          #expect(rendered.out.contains("--dports 22,2222 ") == isThere, "\(rendered)")
        }
        try await lab.succeed("apply", "--yes", timeout: 90)
        #expect(try await lab.shell("h001", "iptables -S; ip6tables -S").contains("--dports 22,2222 "))
        #expect(try await lab.portcullis("plan", "--refresh", "--detailed-exitcode").status == 0)

        // What the host says of itself has them too.
        let report = try await lab.shell("h001", "/usr/local/lib/portcullis/portcullis-agent report -o json")
        let said = try #require(try JSONSerialization.jsonObject(with: Data(report.utf8)) as? [String: Any])
        #expect(said["ssh_ports"] as? [Int] == [22, 2222], "\(report)")
        let leases = try #require(said["leases"] as? [String: Bool], "\(report)")
        #expect(leases == ["ipv4": false, "ipv6": false])

        try await lab.shell("h001", "kill $(cat /run/other.pid)")
        let back = try await lab.succeed("plan", "--refresh")
        #expect(back.out.contains("change h001 ") && back.out.contains("1 to change"), "\(back)")
      }
    }
  }
}
