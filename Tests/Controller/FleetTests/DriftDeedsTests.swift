import Core
import Foundation
import Testing

extension FleetSuite {
  /// What operators do about drift, on real hosts of both backends.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct DriftDeeds {
    private static func open(_ port: Int, on host: String, of lab: TestLab) async throws {
      try await lab.shell(
        host, "for p in iptables ip6tables; do $p -w 10 -I PCL-INPUT -p tcp --dport \(port) -j ACCEPT; done")
    }

    private static func integrity(_ lab: TestLab) async throws -> [String?] {
      let status = try JSON(try await lab.succeed("status", "--refresh", "-o", "json"))
      return ["h001", "h002"].map { status.hosts[$0]?["integrity"].text }
    }

    @Test func aDifferenceIsWaivedExactlyAndTheOthersAreRepaired() async throws {
      try await SafetyLab.with("deeds", hosts: 2) { fleet in
        let lab = fleet.lab
        try await lab.succeed("apply", "--yes")
        #expect(try await lab.succeed("drift", "repair", "--yes").out == "nothing to repair\n")
        for host in ["h001", "h002"] { try await Self.open(8081, on: host, of: lab) }

        let seen = try await lab.portcullis("drift")
        #expect(
          seen.status == 2 && seen.out.hasPrefix("drifted h[001-002]   2 hosts   +2 −0   running rules\n"), "\(seen)")
        #expect(seen.out.contains("changed between 20"), "\(seen)")
        let shown = try await lab.portcullis("drift", "show", "h001")
        #expect(shown.status == 2 && shown.out.hasPrefix("drifted h001   1 host   +2 −0"), "\(shown)")
        #expect(try await lab.portcullis("drift", "show", "h01").status == 64)

        // Waived on one of them.
        let past = try await lab.portcullis("drift", "waive", "-l", "h001", "--until", "2020-01-01", "--reason", "x")
        #expect(past.status == 64 && past.said.contains("2020-01-01 is over"), "\(past)")
        try await lab.succeed("drift", "waive", "-l", "h001", "--until", "2037-01-31", "--reason", "INC-42")
        #expect(try await Self.integrity(lab) == ["waived", "drifted"])
        let listed = try await lab.succeed("drift", "waivers")
        #expect(listed.out.contains("h001   2037-01-31") && listed.out.contains("INC-42"), "\(listed)")
        let both = try await lab.portcullis("drift")
        #expect(both.status == 2 && both.out.contains("\n1 drifted, 1 waived; 0 of 2 intact\n"), "\(both)")
        #expect(try await lab.portcullis("drift", "-l", "h001").status == 0)
        let plan = try await lab.succeed("plan", "-o", "json")
        #expect(plan.out.contains("waived until 2037-01-31"), "\(plan)")

        // The repair leaves it alone, and takes the other.
        let before = try await lab.rules(of: "h001")
        let repaired = try await lab.succeed("drift", "repair", "--yes", "--reason", "close it")
        #expect(repaired.err.contains("waived, and left alone: h001"), "\(repaired)")
        #expect(repaired.out.contains("committed   h002\n"), "\(repaired)")
        #expect(try await lab.rules(of: "h001") == before)
        #expect(try await !lab.shell("h002", "iptables -S; ip6tables -S").contains("8081"))
        #expect(try await Self.integrity(lab) == ["waived", "intact"])
        #expect(try await lab.succeed("plan", "--detailed-exitcode").status == 0)

        // The same rule elsewhere in the chain, and one more, are other differences.
        try await lab.shell("h001", "iptables -D PCL-INPUT 1 && iptables -A PCL-INPUT -p tcp --dport 8081 -j ACCEPT")
        #expect(try await Self.integrity(lab) == ["drifted", "intact"])
        try await lab.shell("h001", "iptables -D PCL-INPUT -p tcp --dport 8081 -j ACCEPT")
        try await lab.shell("h001", "iptables -I PCL-INPUT -p tcp --dport 8081 -j ACCEPT")
        #expect(try await lab.portcullis("drift", "-l", "h001").status == 0)
        #expect(try await Self.integrity(lab) == ["waived", "intact"])
        try await Self.open(8082, on: "h001", of: lab)
        #expect(try await lab.portcullis("drift").status == 2)
        #expect(try await Self.integrity(lab) == ["drifted", "intact"])

        try await lab.succeed("drift", "waive", "-l", "all", "--end")
        #expect(try await lab.succeed("drift", "waivers").out == "nothing is waived\n")
        try await lab.succeed("drift", "repair", "--yes")
        #expect(try await Self.integrity(lab) == ["intact", "intact"])
        #expect(try await !lab.shell("h001", "iptables -S; ip6tables -S").contains("808"))
      }
    }

    @Test func nobodyIsRepairedByItselfUnlessThePoliciesSaySoAndNotAgainAtOnce() async throws {
      try await SafetyLab.with("willing", hosts: 1) { fleet in
        let lab = fleet.lab
        try await lab.succeed("apply", "--yes")
        let repair = ["drift", "repair", "--as-policies-say", "--yes"]
        try await Self.open(8081, on: "h001", of: lab)
        let left = try await Command.run(Machine.portcullis, repair, in: lab.folder)
        #expect(left.status == 0 && left.err.contains("do not say on_drift: repair: h001"), "\(left)")
        #expect(try await lab.portcullis("drift").status == 2)

        // It is about the files: the host need not hear of it first.
        try fleet.set(SafetyPolicy(port: 4001, lines: "on_drift: repair\n"))
        let mended = try await Command.run(Machine.portcullis, repair, in: lab.folder)
        #expect(mended.status == 0 && mended.out.contains("committed   h001"), "\(mended)")
        #expect(try await lab.portcullis("drift").status == 0)

        try await Self.open(8081, on: "h001", of: lab)
        let later = try await Command.run(Machine.portcullis, repair, in: lab.folder)
        #expect(later.status == 0 && later.err.contains("left until later: h001"), "\(later)")
        #expect(try await lab.portcullis("drift").status == 2)
        try await lab.succeed("drift", "repair", "--yes")
        #expect(try await lab.portcullis("drift").status == 0)
      }
    }

    @Test(arguments: ["nft", "legacy"])
    func whatWasAddedByHandBecomesAPolicyThatMakesItIntended(backend: String) async throws {
      try await SafetyLab.with("adopt-\(backend)", hosts: 1, backend: backend) { fleet in
        let lab = fleet.lab
        try await lab.succeed("apply", "--yes")
        try await Self.open(8081, on: "h001", of: lab)
        try await lab.shell("h001", "iptables -I PCL-INPUT 2 -p tcp --dport 8083 -m mark --mark 0x7 -j ACCEPT")
        try await lab.shell("h001", "iptables -D PCL-INPUT -p tcp --dport 4001 -j ACCEPT")
        let shown = try await lab.succeed("drift", "adopt", "-l", "all")
        #expect(shown.out.contains("accept: { tcp: \"8081\" }") && shown.out.contains("--mark 0x7"), "\(shown)")
        #expect(
          shown.out.contains("# gone: IPv4 -A INPUT -p tcp -m tcp --dport 4001 -j ACCEPT   said at "), "\(shown)")
        #expect(shown.out.contains("policies/all/rules.v4:"), "\(shown)")

        let made = lab.path("policies/debug.yaml")
        try await lab.succeed("drift", "adopt", "-l", "all", "--out", made)
        let again = try await lab.portcullis("drift", "adopt", "-l", "all", "--out", made)
        #expect(again.status == 5 && again.said.contains("exists"), "\(again)")
        try await lab.succeed("validate")
        try await lab.succeed("apply", "--refresh", "--yes")
        #expect(try await lab.portcullis("drift").status == 0)
        let rules = try await lab.shell("h001", "iptables -S; ip6tables -S")
        #expect(rules.components(separatedBy: "--dport 8081").count == 3, "\(rules)")
        #expect(rules.contains("--mark 0x7") && rules.contains("--dport 4001"), "\(rules)")
      }
    }
  }
}
