import Core
import Foundation
import Testing

extension FleetSuite {
  /// What root does on the host itself, and what the controller says of it.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct ConsoleOrders {
    private static let agent = "/usr/local/lib/portcullis/portcullis-agent"

    private func status(_ lab: TestLab, _ host: String) async throws -> JSON {
      try #require(try JSON(try await lab.portcullis("status", "--refresh", "-o", "json")).hosts[host])
    }

    @Test func theSafePolicyIsLoadedShownAndEndedByTheNextApply() async throws {
      try await SafetyLab.with("safe-local", hosts: 2) { fleet in
        let lab = fleet.lab
        for host in fleet.hosts { try await ForeignSoftware.fail2ban.install(on: host, of: lab) }
        _ = try await fleet.apply()
        for (host, number) in zip(fleet.hosts, 1...) {
          let found = try await lab.printedForeign(host)
          let committed = try await lab.rules(of: host)
          let told = try await lab.shell(host, "\(Self.agent) safe --local --reason 'locked out' 2>&1")
          #expect(told.contains("the safe policy is loaded"), "\(told)")
          try await lab.listen(host, port: 4001)
          for address in LabAddress.both(number) {
            #expect(try await lab.connects("controller", address, 22))
            #expect(try await !lab.connects("controller", address, 4001))
          }
          #expect(try await lab.printedForeign(host) == found)

          let shown = try await status(lab, host)
          #expect(shown["local_act"]["deed"].text == "safe", "\(shown)")
          #expect(shown["modifiers"].strings.contains("degraded"))
          #expect(
            shown["reasons"].strings.contains { $0.contains("at the console by root") && $0.contains("locked out") })
          #expect(try await lab.portcullis("doctor").said.contains("locked out"))

          // It outlives a reboot, and ends with the next apply.
          try await lab.succeed("lab", "reboot", host, "--dir", lab.folder)
          #expect(try await lab.rules(of: host).allSatisfy { !$0.contains("--dport 4001") })
          #expect(try await status(lab, host)["modifiers"].strings.contains("degraded"))
          try await ForeignSoftware.fail2ban.install(on: host, of: lab)
          try await lab.succeed("apply", "--yes", "-l", host)
          #expect(try await zip(lab.rules(of: host), committed).allSatisfy { Self.ours($0) == Self.ours($1) })
          let after = try await status(lab, host)
          #expect(after["modifiers"].strings == [] && after["reasons"].strings == [], "\(after["reasons"].strings)")
        }
      }
    }

    private static func ours(_ rules: String) -> [Substring] {
      rules.split(separator: "\n").filter { $0.contains("PCL") }
    }

    @Test func theReleaseBeforeIsLoadedShownAndEndedByTheNextApply() async throws {
      try await SafetyLab.with("rollback-local", hosts: 2) { fleet in
        let lab = fleet.lab
        _ = try await fleet.apply()
        let first = [try await lab.rules(of: "h001"), try await lab.rules(of: "h002")]
        try fleet.set(SafetyPolicy(port: 4002))
        _ = try await fleet.apply()
        for (host, earlier) in zip(fleet.hosts, first) {
          let second = try await lab.rules(of: host)
          let told = try await lab.shell(host, "\(Self.agent) rollback --local --reason 'wrong port' 2>&1")
          #expect(told.contains("committed again"), "\(told)")
          #expect(try await lab.rules(of: host) == earlier)
          let shown = try await status(lab, host)
          #expect(shown["local_act"]["deed"].text == "rollback")
          #expect(shown["delivery"].text == "pending" && shown["integrity"].text == "intact")
          #expect(shown["reasons"].strings.contains { $0.contains("rolled back") && $0.contains("wrong port") })
          try await lab.succeed("lab", "reboot", host, "--dir", lab.folder)
          #expect(try await lab.rules(of: host) == earlier)
          try await lab.succeed("apply", "--yes", "-l", host)
          #expect(try await lab.rules(of: host) == second)
          #expect(try await status(lab, host)["reasons"].strings == [])
        }
      }
    }

    @Test func whatElseLoadsRulesAtBootIsNamedByEnrollDoctorAndStatus() async throws {
      let lab = try await TestLab.up("conflicts", ["--hosts", "2", "--backend", "mixed", "--no-enroll"])
      do {
        try await lab.shell("h001", "mkdir -p /etc/ufw; echo ENABLED=yes > /etc/ufw/ufw.conf")
        try await lab.shell(
          "h002",
          """
          mkdir -p /etc/systemd/system/multi-user.target.wants
          ln -s /lib/systemd/system/netfilter-persistent.service /etc/systemd/system/multi-user.target.wants/
          """)
        let enrolled = try await lab.succeed("enroll", "all", timeout: 90)
        _ = try await lab.portcullis("status", "--refresh")
        let doctor = try await lab.portcullis("doctor")
        let status = try await lab.portcullis("status")
        for service in ["ufw", "netfilter-persistent"] {
          #expect(enrolled.said.contains("\(service) is enabled"), "\(enrolled)")
          #expect(doctor.said.contains("\(service) is enabled"), "\(doctor)")
          #expect(status.said.contains("\(service) is enabled"), "\(status)")
        }
        #expect(doctor.status == 2, "\(doctor)")
        try await lab.succeed("lab", "down", "--dir", lab.folder)
      } catch {
        _ = try? await lab.portcullis("lab", "down", "--dir", lab.folder)
        throw error
      }
    }
  }
}
