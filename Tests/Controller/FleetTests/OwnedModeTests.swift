import Core
import Foundation
import Testing

extension FleetSuite {
  /// Owned mode on hosts that belong to others as well.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct OwnedMode {
    private static let neighbours: [ForeignSoftware] = [.docker, .kubernetes, .calico, .fail2ban, .ufw, .libvirt]
    private static let backends = ["nft", "legacy"]

    @Test(arguments: backends)
    func everyoneElsesRulesArePrintedTheSameThroughOurWholeLife(backend: String) async throws {
      // ufw accepts above its own drops, which a first apply would stop at.
      let beside = "foreign:\n  allow: \"*\"\n"
      try await SafetyLab.with("beside-\(backend)", hosts: 1, backend: backend) { fleet in
        let lab = fleet.lab
        for software in Self.neighbours { try await software.install(on: "h001", of: lab) }
        let found = try await lab.printedForeign("h001")
        #expect(found.count > 150)
        try fleet.set(SafetyPolicy(port: 4001, lines: beside))
        #expect(try await fleet.apply()["h001"]?["result"].text == "committed")
        #expect(try await lab.printedForeign("h001") == found, "after the first apply")
        #expect(try await lab.rules(of: "h001").allSatisfy { $0.contains("PCL-INPUT") })

        let status = try await lab.succeed("status", "--refresh", "-o", "json")
        #expect(
          Set(try JSON(status).hosts["h001"]?["owners"].strings ?? []) == Set(Self.neighbours.map(\.rawValue)))

        try fleet.set(SafetyPolicy(port: 4002, fillers: 20, lines: beside))
        let plan = try await lab.succeed("plan")
        for software in Self.neighbours { #expect(plan.out.contains(software.rawValue), "\(plan)") }
        #expect(plan.out.contains("warning: the policy drops forwarded packets"), "\(plan)")
        #expect(try await fleet.apply()["h001"]?["result"].text == "committed")
        #expect(try await lab.printedForeign("h001") == found, "after a change")

        // Goes back by itself: nobody confirms.
        try fleet.set(SafetyPolicy(port: 4003, lines: beside))
        #expect(try await fleet.apply(["--confirm", "manual"])["h001"]?["result"].text == "pending")
        #expect(try await lab.printedForeign("h001") == found, "while a change waits")
        try await lab.succeed("cancel")
        #expect(try await lab.printedForeign("h001") == found, "after a cancelled change")

        try await lab.succeed("rollback", "--yes", "--reason", "test")
        #expect(try await lab.printedForeign("h001") == found, "after a rollback")

        try await lab.succeed("release", "withdraw", "h001", "--yes")
        #expect(try await lab.printedForeign("h001") == found, "after it was withdrawn")
        #expect(try await lab.rules(of: "h001").allSatisfy { !$0.contains("PCL") })

        try await lab.succeed("apply", "--yes", "-l", "h001", "--reinstate")
        #expect(try await lab.rules(of: "h001").allSatisfy { $0.contains("PCL-INPUT") })
        try await lab.succeed("enroll", "h001", "--remove", "--rules", "generation-0", timeout: 90)
        #expect(try await lab.printedForeign("h001") == found, "after it was removed")
        #expect(try await lab.rules(of: "h001").allSatisfy { !$0.contains("PCL") })
      }
    }

    @Test(arguments: backends)
    func aBanAboveOursIsNeitherDriftNorRepairedAndStillBites(backend: String) async throws {
      try await SafetyLab.with("ban-\(backend)", hosts: 2, backend: backend) { fleet in
        let lab = fleet.lab
        _ = try await fleet.apply()
        try await lab.listen("h001", port: 4001)
        for address in LabAddress.both(1) { #expect(try await lab.connects("h002", address, 4001)) }
        // The jail begins after us, and puts itself first.
        try await lab.shell(
          "h001",
          """
          for p in iptables ip6tables; do
            $p -w 10 -N f2b-web
            $p -w 10 -A f2b-web -j RETURN
            $p -w 10 -I INPUT 1 -p tcp -m multiport --dports 4001 -j f2b-web
          done
          iptables -w 10 -I f2b-web 1 -s \(LabAddress.ipv4(2)) -j DROP
          ip6tables -w 10 -I f2b-web 1 -s \(LabAddress.ipv6(2)) -j DROP
          """)
        let banned = try await lab.printedForeign("h001")
        #expect(try await lab.portcullis("drift", "-l", "h001").status == 0)
        for address in LabAddress.both(1) {
          #expect(try await !lab.connects("h002", address, 4001), "\(address)")
          #expect(try await lab.connects("controller", address, 4001), "\(address)")
        }
        try fleet.set(SafetyPolicy(port: 4001, fillers: 5))
        #expect(try await fleet.apply(["-l", "h001"])["h001"]?["result"].text == "committed")
        #expect(try await lab.printedForeign("h001") == banned)
        #expect(try await lab.shell("h001", "iptables -S INPUT | sed -n 2p").contains("f2b-web"))
        for address in LabAddress.both(1) { #expect(try await !lab.connects("h002", address, 4001), "\(address)") }
      }
    }

    @Test(arguments: backends)
    func aForeignAcceptAboveABanStopsTheFirstApplyUntilItIsNamedOrTakenOver(backend: String) async throws {
      let accept = "-A INPUT -p tcp -m tcp --dport 4999 -j ACCEPT"
      try await SafetyLab.with("accept-\(backend)", hosts: 1, backend: backend) { fleet in
        let lab = fleet.lab
        try await lab.shell("h001", "for p in iptables ip6tables; do $p -w 10 \(accept); done")
        try await lab.shell(
          "h001",
          "iptables -w 10 -A INPUT -s 203.0.113.9 -j DROP; ip6tables -w 10 -A INPUT -s 2001:db8::9 -j DROP")
        try await lab.listen("h001", port: 4999)
        let found = try await lab.printedForeign("h001")
        let refused = try await lab.portcullis("apply", "--yes")
        #expect(refused.status == 5, "\(refused)")
        #expect(refused.said.contains(accept) && refused.said.contains("--take-over"), "\(refused)")
        #expect(try await lab.rules(of: "h001").allSatisfy { !$0.contains("PCL") })
        #expect(try await lab.printedForeign("h001") == found)

        // Named in the policy, it stays where it is and goes on accepting.
        try fleet.set(SafetyPolicy(port: 4001, lines: "foreign:\n  allow: [\"\(accept)\"]\n"))
        try await lab.succeed("apply", "--yes")
        #expect(try await lab.printedForeign("h001") == found)
        #expect(try await lab.portcullis("drift").status == 0)
        for address in LabAddress.both(1) { #expect(try await lab.connects("controller", address, 4999)) }
        try await lab.succeed("release", "withdraw", "h001", "--yes")
        #expect(try await lab.printedForeign("h001") == found)

        // Taken over, it opens nothing, and comes back to its place with the withdrawal.
        try fleet.set(SafetyPolicy(port: 4001))
        let again = try await lab.portcullis("apply", "--yes", "-l", "h001", "--reinstate")
        #expect(again.status == 5, "\(again)")
        try await lab.succeed("apply", "--yes", "-l", "h001", "--reinstate", "--take-over")
        for address in LabAddress.both(1) {
          #expect(try await !lab.connects("controller", address, 4999), "\(address)")
        }
        let moved = try await lab.shell("h001", "iptables -S INPUT; ip6tables -S INPUT")
        #expect(moved.components(separatedBy: "-j PCL-INPUT\n\(accept)").count == 3, "\(moved)")
        #expect(try await lab.portcullis("drift").status == 0)
        try await lab.succeed("release", "withdraw", "h001", "--yes")
        #expect(try await lab.printedForeign("h001") == found)
      }
    }

    @Test(arguments: backends)
    func anAcceptBelowOurHookOpensNothingAndOneAboveItIsDriftThatApplyRepairs(backend: String) async throws {
      try await SafetyLab.with("leftover-\(backend)", hosts: 1, backend: backend) { fleet in
        let lab = fleet.lab
        _ = try await fleet.apply()
        try await lab.listen("h001", port: 4999)
        let accept = "-p tcp -m tcp --dport 4999 -j ACCEPT"
        try await lab.shell("h001", "for p in iptables ip6tables; do $p -w 10 -A INPUT \(accept); done")
        for address in LabAddress.both(1) {
          #expect(try await !lab.connects("controller", address, 4999), "\(address)")
        }
        #expect(try await lab.portcullis("drift").status == 0)

        try await lab.shell("h001", "for p in iptables ip6tables; do $p -w 10 -I INPUT 1 \(accept); done")
        for address in LabAddress.both(1) { #expect(try await lab.connects("controller", address, 4999), "\(address)") }
        let drift = try await lab.portcullis("drift")
        #expect(drift.status == 2 && drift.out.contains("-A INPUT \(accept)"), "\(drift)")
        let before = try await lab.printedForeign("h001")
        try await lab.succeed("apply", "--yes")
        #expect(try await lab.portcullis("drift").status == 0)
        for address in LabAddress.both(1) {
          #expect(try await !lab.connects("controller", address, 4999), "\(address)")
        }
        #expect(try await lab.printedForeign("h001") == before)
      }
    }

    @Test(arguments: backends)
    func aHookThatIsGoneIsDriftAndRepairedAndOneThatIsRightIsLeftAlone(backend: String) async throws {
      try await SafetyLab.with("hook-\(backend)", hosts: 1, backend: backend) { fleet in
        let lab = fleet.lab
        _ = try await fleet.apply()
        try await lab.shell("h001", "iptables -w 10 -D INPUT -j PCL-INPUT")
        let gone = try await lab.portcullis("drift")
        #expect(gone.status == 2 && gone.out.contains("PCL-INPUT"), "\(gone)")
        try await lab.succeed("apply", "--yes")
        #expect(try await lab.portcullis("drift").status == 0)
        #expect(try await lab.shell("h001", "iptables -S INPUT").contains("-A INPUT -j PCL-INPUT"))

        // A rule that is written anew begins to count at 0.
        let count = "iptables -w 10 -vxnL INPUT | awk '/PCL-INPUT/ { print $1 }'"
        let before = try #require(
          Int(try await lab.shell("h001", count).trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(before > 0)
        try fleet.set(SafetyPolicy(port: 4005, fillers: 30))
        #expect(try await fleet.apply()["h001"]?["result"].text == "committed")
        let after = try #require(
          Int(try await lab.shell("h001", count).trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(after > before)
      }
    }
  }
}
