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
        let waive = ["drift", "waive", "-l", "h001", "--until", "2037-01-31", "--reason", "INC-42"]
        let unseen = try await Command.run(Machine.portcullis, waive, in: lab.folder)
        #expect(unseen.status == 5 && unseen.err.contains("nobody is here to approve it"), "\(unseen)")
        #expect(try await lab.succeed("drift", "waivers").out == "nothing is waived\n")
        try await lab.succeed("drift", "waive", "-l", "h001", "--until", "2037-01-31", "--reason", "INC-42", "--yes")
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

        // One reason does not cover several things by accident.
        try await Self.open(8083, on: "h002", of: lab)
        let all = ["drift", "waive", "-l", "all", "--until", "2037-01-31", "--reason", "INC-44", "--yes"]
        let several = try await Command.run(Machine.portcullis, all, in: lab.folder)
        #expect(several.status == 64 && several.err.contains("these hosts differ in 2 ways: h00"), "\(several)")
        #expect(try await Self.integrity(lab) == ["drifted", "drifted"])
        let each = try await Command.run(Machine.portcullis, all + ["--each"], in: lab.folder)
        #expect(each.status == 0 && each.out.hasSuffix("2 waived\n"), "\(each)")
        let adopted = try await lab.succeed("drift", "adopt", "-l", "all")
        #expect(adopted.out.contains("left out: h[001-002]: waived"), "\(adopted)")

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

        // A change that somebody is about to confirm is not taken away from under him.
        try fleet.set(SafetyPolicy(port: 4002, lines: "on_drift: repair\n"))
        try await lab.succeed("apply", "--yes", "--confirm", "manual")
        for how in [repair, ["drift", "repair", "--yes"]] {
          let waits = try await Command.run(Machine.portcullis, how, in: lab.folder)
          #expect(waits.status == 0 && waits.err.contains("waits there to be confirmed"), "\(waits)")
          #expect(waits.out.contains("nothing to repair"), "\(waits)")
        }
        let waiting = try await lab.portcullis("drift")
        #expect(waiting.status == 0 && waiting.out.contains("waits to be confirmed until 20"), "\(waiting)")
        #expect(try await lab.succeed("plan").out.contains("waits there to be confirmed, until 20"))
        try await lab.succeed("confirm")

        // Nor does a timer overrule root at the console.
        try await lab.shell("h001", "/usr/local/lib/portcullis/portcullis-agent safe --local --reason 'locked out'")
        let console = try await Command.run(Machine.portcullis, repair, in: lab.folder)
        #expect(
          console.status == 2 && console.err.contains("root ordered other rules there at the console"), "\(console)")
        #expect(console.out.contains("nothing to repair"), "\(console)")
        try await lab.succeed("drift", "repair", "--yes")
        #expect(try await lab.portcullis("drift").status == 0)
      }
    }

    /// Whoever puts a rule back after every repair is fought five times a day, and no more.
    @Test func whatIsChangedBackAgainAndAgainRaisesAnAlarm() async throws {
      try await SafetyLab.with("alarm", hosts: 2, backend: "nft") { fleet in
        let lab = fleet.lab
        try fleet.set(SafetyPolicy(port: 4001, lines: "on_drift: repair\n"))
        try await lab.succeed("apply", "--yes")
        let rule = "PCL-INPUT -p tcp --dport 8081 -j ACCEPT"
        // Ends with its host.
        try await lab.shell(
          "h001",
          "(while sleep 1; do iptables -w -C \(rule) || iptables -w -I \(rule); done) >/dev/null 2>&1 </dev/null &")
        for _ in 0..<5 {
          try await Task.sleep(for: .seconds(3))
          // Who repairs by hand does not wait; it may be too fast for the safe apply to find its own rules.
          let repaired = try await lab.portcullis("drift", "repair", "--yes")
          #expect([0, 2, 3].contains(repaired.status), "\(repaired)")
        }
        try await Task.sleep(for: .seconds(3))
        try await Self.open(8081, on: "h002", of: lab)
        for _ in 0..<2 {
          let left = try await lab.portcullis("drift", "repair", "--as-policies-say", "--yes")
          #expect(left.status == 2, "\(left)")
          #expect(left.err.contains("something keeps changing them back after every repair: h001"), "\(left)")
        }
        // The other host is repaired all the same.
        #expect(try await Self.integrity(lab) == ["drifted", "intact"])
        let events = try await lab.succeed("events", "-l", "h001")
        #expect(
          events.out.components(separatedBy: "something keeps changing it back: repaired 5 times").count == 2,
          "\(events)")
        #expect(events.out.contains("by iptables"), "\(events)")
      }
    }

    /// Of a controller that lost its memory one host has a release again, and the other has not.
    @Test func aHostWithNothingToPutBackCostsOnlyItself() async throws {
      try await SafetyLab.with("bundleless", hosts: 2) { fleet in
        let lab = fleet.lab
        try await lab.succeed("apply", "--yes")
        for suffix in ["-wal", "-shm"] {
          try? FileManager.default.removeItem(atPath: lab.path("state/fleet.sqlite\(suffix)"))
        }
        try write([UInt8](repeating: 7, count: 8192), to: lab.path("state/fleet.sqlite"))
        let rebuilt = try await lab.succeed("status", "--refresh")
        #expect(rebuilt.err.contains("is drift again"), "\(rebuilt)")
        for host in ["h001", "h002"] { try await Self.open(8081, on: host, of: lab) }
        let none = try await lab.portcullis("drift", "repair", "--yes")
        #expect(
          none.status == 2 && none.err.contains("cannot be repaired") && none.err.contains("h[001-002]"), "\(none)")

        // What the policies say now is not what h001 has.
        try fleet.set(SafetyPolicy(port: 4002))
        try await lab.succeed("apply", "--refresh", "--yes", "-l", "h002")
        try await Self.open(8082, on: "h002", of: lab)
        let one = try await lab.portcullis("drift", "repair", "--yes")
        #expect(one.status == 2 && one.err.contains("apply' brings what the policies say: h001"), "\(one)")
        #expect(one.out.contains("committed   h002"), "\(one)")
        #expect(try await Self.integrity(lab) == ["drifted", "intact"])
      }
    }

    @Test func whoChangedAHostIsToldByEveryVerbThatAsksAndWhoActedStandsInTheLog() async throws {
      try await SafetyLab.with("actors", hosts: 2, backend: "nft") { fleet in
        let lab = fleet.lab
        try await lab.succeed("apply", "--yes")
        for host in ["h001", "h002"] {
          try await lab.shell(host, "iptables -w -I PCL-INPUT -p tcp --dport 8081 -j ACCEPT")
        }
        // The agent looks when things have settled, and the later the more it had to look at, then writes it down.
        for host in ["h001", "h002"] {
          try await lab.shell(
            host,
            "for i in $(seq 60); do ! grep -aqs iptables /var/lib/portcullis/changes || exit 0; sleep 0.5; done; exit 1"
          )
        }
        try await lab.succeed("status", "--refresh")
        let drift = try await lab.portcullis("drift")
        #expect(drift.out.contains("2 hosts   +1 −0"), "\(drift)")
        #expect(drift.out.contains(", by iptables, last seen ") || drift.out.contains(", by iptables\n"), "\(drift)")
        let json = try JSON(try await lab.portcullis("drift", "-o", "json"))
        #expect(json["groups"].list.first?["actors"].strings == ["iptables"], "\(json)")
        let shown = try await lab.portcullis("drift", "show", "h001")
        #expect(shown.out.contains("by iptables (process ") && shown.out.contains("best effort"), "\(shown)")
        let history = try await lab.succeed("history", "h001")
        #expect(history.out.contains("by iptables (process "), "\(history)")
        // Its clock goes as ours does.
        #expect(!history.out.contains("by its clock"), "\(history)")
        let events = try await lab.succeed("events")
        #expect(
          events.out.contains("external     h[001-002]  changed: ipv4 filter/PCL-INPUT, by iptables\n")
            || events.out.contains(", by iptables\n"), "\(events)")
        // Told again and again, it stands once.
        try await lab.succeed("status", "--refresh")
        #expect(try await lab.succeed("history", "h001").out == history.out)

        try await lab.succeed("drift", "waive", "-l", "h001", "--until", "2037-01-31", "--reason", "INC-42", "--yes")
        try await lab.succeed("drift", "waive", "-l", "h001", "--end", "--reason", "INC-43")
        try await lab.succeed("drift", "adopt", "-l", "all", "--out", lab.path("policies/adopted.yaml"))
        try await lab.succeed("drift", "repair", "--yes", "--reason", "close it")
        let log = try await lab.succeed("audit", "list")
        for (verb, reason) in [
          ("drift waive ", "INC-42"), ("drift waive --end ", "INC-43"), ("drift adopt ", "-"),
          ("drift repair ", "close it"),
        ] {
          #expect(
            log.out.split(separator: "\n").contains { $0.contains(" \(verb)") && $0.hasSuffix(reason) },
            "\(verb): \(log)")
        }
        #expect(try await lab.succeed("history", "h002").out.contains("corrective"))
      }
    }

    @Test func whatARepairCannotPutBackIsNamedAfterIt() async throws {
      try await SafetyLab.with("unmendable", hosts: 2, backend: "nft") { fleet in
        let lab = fleet.lab
        try await lab.succeed("apply", "--yes")
        for host in ["h001", "h002"] { try await Self.open(8081, on: host, of: lab) }
        try await lab.shell(
          "h001",
          "nft add table inet guard && nft add chain inet guard in '{ type filter hook input priority 5 ; }' && "
            + "nft add rule inet guard in tcp dport 9 drop")
        let repaired = try await lab.portcullis("drift", "repair", "--yes")
        #expect(repaired.status == 2 && repaired.out.contains("committed   h[001-002]"), "\(repaired)")
        #expect(repaired.out.contains("still drifted (beside the rules): h001\n  hint: "), "\(repaired)")
        let status = try await lab.succeed("status")
        #expect(status.out.contains("h001: what is beside the rules"), "\(status)")
        let history = try await lab.succeed("history", "h001")
        #expect(history.out.contains("beside ours, inet/guard"), "\(history)")
        #expect(!history.out.contains("ipv4 others/"), "\(history)")
        try await lab.shell("h001", "nft delete table inet guard")
        #expect(try await lab.portcullis("drift", "repair", "--yes").status == 0)
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
