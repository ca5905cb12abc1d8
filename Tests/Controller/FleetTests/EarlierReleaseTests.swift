import Foundation
import Testing

extension FleetSuite {
  /// Back to what a host was released before, away from our rules altogether, and forward again.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct EarlierReleases {
    private func opens(_ port: Int, _ rules: [String]) -> Bool { rules.allSatisfy { $0.contains("--dport \(port) ") } }

    private func serial(_ lab: TestLab) async throws -> Int {
      let releases = try JSON(try await lab.succeed("release", "list", "-o", "json"))["releases"].list
      return try #require(releases.compactMap { $0["serial"].number }.max())
    }

    @Test func aRollbackIsANewReleaseThatSaysWhatAnEarlierOneDidOfTheHostsThatWereNamed() async throws {
      try await SafetyLab.with("earlier", hosts: 2) { fleet in
        let lab = fleet.lab
        var serials: [Int] = []
        for port in [4001, 4002, 4003] {
          try fleet.set(SafetyPolicy(port: port))
          #expect(try await fleet.apply().values.allSatisfy { $0["result"].text == "committed" })
          serials.append(try await serial(lab))
        }
        let unasked = try await lab.portcullis("rollback", "-l", "h001")
        #expect(unasked.status == 5 && unasked.err.contains("--yes"), "\(unasked)")
        #expect(opens(4003, try await lab.rules(of: "h001")))

        let one = try await lab.succeed("rollback", "-l", "h001", "--yes", "--reason", "INC-1", "-o", "json")
        #expect(try JSON(one).hosts.mapValues { $0["result"].text } == ["h001": "committed"], "\(one)")
        #expect(opens(4002, try await lab.rules(of: "h001")))
        #expect(opens(4003, try await lab.rules(of: "h002")))
        #expect(try await serial(lab) > serials[2])

        // The one before the newest says of h002 what it runs: its last change was earlier.
        let two = try await lab.succeed("rollback", "-l", "h002", "--yes", "-o", "json")
        #expect(try JSON(two).hosts.mapValues { $0["result"].text } == ["h002": "committed"], "\(two)")
        #expect(opens(4002, try await lab.rules(of: "h002")))
        // Undoing that is going forward again.
        _ = try await lab.succeed("rollback", "-l", "h002", "--yes")
        #expect(opens(4003, try await lab.rules(of: "h002")))

        let both = try await lab.succeed("rollback", "--to", "\(serials[0])", "--yes", "-o", "json")
        #expect(try JSON(both).hosts.mapValues { $0["result"].text } == ["h001": "committed", "h002": "committed"])
        for host in fleet.hosts { #expect(opens(4001, try await lab.rules(of: host)), "\(host)") }
        let status = try JSON(try await lab.succeed("status", "--refresh", "-o", "json")).hosts
        for host in fleet.hosts {
          #expect(status[host]?["delivery"].text == "current" && status[host]?["integrity"].text == "intact", "\(host)")
        }
        let never = try await lab.portcullis("rollback", "--to", "999999", "--yes")
        #expect(never.status == 64, "\(never)")
        for host in fleet.hosts { #expect(opens(4001, try await lab.rules(of: host)), "\(host)") }

        // The files still say something else.
        #expect(try await lab.portcullis("plan", "--detailed-exitcode").status == 2)
        #expect(try await fleet.apply().values.allSatisfy { $0["result"].text == "committed" })
        for host in fleet.hosts { #expect(opens(4003, try await lab.rules(of: host)), "\(host)") }
      }
    }

    @Test func aWithdrawnHostHasNoRulesOfOursUntilItIsReinstated() async throws {
      try await SafetyLab.with("withdrawn", hosts: 2) { fleet in
        let lab = fleet.lab
        for host in fleet.hosts { try await ForeignSoftware.fail2ban.install(on: host, of: lab) }
        let foreign = try await lab.foreignState(of: "h001")
        let policies = try await lab.policies(of: "h001")
        try fleet.set(SafetyPolicy(port: 4001))
        #expect(try await fleet.apply().values.allSatisfy { $0["result"].text == "committed" })

        let unknown = try await lab.portcullis("release", "withdraw", "h0001", "--yes")
        #expect(unknown.status == 64 && unknown.err.contains("h001"), "\(unknown)")
        try await lab.succeed("release", "withdraw", "h001", "--yes", "--reason", "leaves")
        #expect(try await lab.rules(of: "h001").allSatisfy { !$0.contains("PCL") })
        #expect(try await lab.foreignState(of: "h001") == foreign)
        #expect(try await lab.policies(of: "h001") == policies)
        #expect(opens(4001, try await lab.rules(of: "h002")))

        // Still enrolled, still known; an ordinary apply leaves it alone, also after a power cut.
        try fleet.set(SafetyPolicy(port: 4002))
        let others = try await lab.succeed("apply", "--yes")
        #expect(others.out.contains("withdrawn") && others.out.contains("h001"), "\(others)")
        #expect(try await lab.rules(of: "h001").allSatisfy { !$0.contains("PCL") })
        #expect(opens(4002, try await lab.rules(of: "h002")))
        try await lab.succeed("lab", "reboot", "h001", "--dir", lab.folder)
        #expect(try await lab.rules(of: "h001").allSatisfy { !$0.contains("PCL") })
        let status = try JSON(try await lab.succeed("status", "--refresh", "-o", "json")).hosts["h001"]
        #expect(status?["contact"].text == "fresh" && status?["integrity"].text == "intact")

        let broad = try await lab.portcullis("apply", "--yes", "--reinstate")
        #expect(broad.status == 64 && broad.err.contains("--limit"), "\(broad)")
        try await lab.succeed("apply", "--yes", "-l", "h001", "--reinstate")
        #expect(opens(4002, try await lab.rules(of: "h001")))
      }
    }
  }
}
