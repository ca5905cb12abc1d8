import Foundation
import Testing

extension FleetSuite {
  /// Twenty hosts, both backends, three userlands.
  @Suite(.serialized) struct ManyHosts {
    @Test func theUserlandsAreThere() async {
      // Without a mirror there may be none: then the other tests run on those that exist.
      for (root, reason) in await TestLab.missingUserlands.sorted(by: { $0.key < $1.key }) {
        Issue.record("the tests run without hosts of \(root), which could not be made: \(reason)")
      }
    }

    @Test func afterAnApplyTheSamePolicyHasTheSameDigestsOnBothBackendsAndEveryUserland() async throws {
      let lab = try await TestLab.mixed
      let refreshed = try await lab.portcullis("status", "--refresh", "-o", "json")
      #expect(refreshed.status == 0, "\(refreshed)")
      let applied = try await lab.portcullis("apply", "--yes", "--reason", "end to end", "-o", "json")
      #expect(applied.status == 0, "\(applied)")

      let status = try JSON(try await lab.succeed("status", "--refresh", "-o", "json"))
      let hosts = status.hosts
      #expect(hosts.keys.sorted() == names(1...20))
      for (name, host) in hosts {
        #expect(host["delivery"].text == "current", "\(name)")
        #expect(host["integrity"].text == "intact", "\(name)")
        #expect(host["contact"].text == "fresh", "\(name)")
        #expect(host["modifiers"].list.isEmpty, "\(name)")
      }
      #expect(Set(hosts.values.compactMap { $0["backend"].text }) == ["nft", "legacy"])
      for group in [names(1...10), names(11...20)] {
        for family in ["ipv4", "ipv6"] {
          for side in ["expected", "observed", "save"] {
            let digests = Set(group.map { hosts[$0]?[family][side].text ?? "none from \($0)" })
            #expect(digests.count == 1, "\(family) \(side) of \(group[0]) and its like: \(digests)")
          }
        }
      }
      #expect(hosts["h001"]?["ipv4"]["observed"].text != hosts["h011"]?["ipv4"]["observed"].text)
      #expect(hosts["h001"]?["ipv4"]["observed"].text != hosts["h001"]?["ipv6"]["observed"].text)
    }

    @Test func changesMadeByHandAreFoundShownFoldedAndRepaired() async throws {
      let lab = try await TestLab.mixed
      try await lab.settle()
      try await lab.shell("h001", "iptables -I INPUT -s 203.0.113.9 -j ACCEPT")
      try await lab.shell("h013", "ip6tables -I PCL-FORWARD -d 2001:db8::7 -j ACCEPT")
      try await lab.shell("h005", "iptables -P INPUT ACCEPT")
      // Below our hook it opens nothing, and is nobody's business.
      try await lab.shell("h002", "iptables -A INPUT -s 203.0.113.9 -j ACCEPT")
      // The same on two hosts of other backends and userlands.
      for host in ["h016", "h018"] { try await lab.shell(host, "iptables -I PCL-INPUT -p tcp --dport 8081 -j ACCEPT") }

      let drift = try await lab.portcullis("drift")
      #expect(drift.status == 2, "\(drift)")
      #expect(drift.out.contains("+-A INPUT -s 203.0.113.9/32 -j ACCEPT"))
      #expect(drift.out.contains("+-A FORWARD -d 2001:db8::7/128 -j ACCEPT"))
      #expect(drift.out.contains("-:INPUT DROP") && drift.out.contains("+:INPUT ACCEPT"))
      #expect(drift.out.contains("drifted h[016,018]   2 hosts") || drift.out.contains("drifted h016,h018   2 hosts"))
      #expect(drift.out.components(separatedBy: "--dport 8081").count == 2, "one group for both hosts")
      #expect(drift.out.contains("\n5 drifted; 15 of 20 intact\n"))
      let changed = ["h001", "h005", "h013", "h016", "h018"]
      for host in Set(names(1...20)).subtracting(changed) {
        #expect(!drift.out.contains(host), "\(host)\n\(drift.out)")
      }

      try await lab.shell("h002", "iptables -D INPUT -s 203.0.113.9 -j ACCEPT")

      let document = try JSON(try await lab.portcullis("drift", "-o", "json"))
      #expect(document["groups"].list.count == 4)
      #expect(document["groups"].list.flatMap { $0["hosts"].strings }.sorted() == changed)
      let status = try JSON(try await lab.succeed("status", "-o", "json"))
      #expect(Set(status.hosts.filter { $0.value["integrity"].text == "drifted" }.keys) == Set(changed))
      let named = try await lab.portcullis("drift", "-l", "h013,h014", "-o", "name")
      #expect(named.out == "h013\n" && named.status == 2, "\(named)")

      let plan = try await lab.succeed("plan", "--refresh", "-l", "h005")
      #expect(plan.out.contains("repair h005") && plan.out.contains("-:INPUT ACCEPT"), "\(plan)")
      try await lab.succeed("apply", "--yes", "-l", "h001,h005")
      // Ours is above it again; it is not ours to delete.
      #expect(try await lab.shell("h001", "iptables -S INPUT 1").contains("-j PCL-INPUT"))
      try await lab.shell("h001", "iptables -D INPUT -s 203.0.113.9 -j ACCEPT")
      let rest = try await lab.portcullis("drift")
      #expect(rest.status == 2 && rest.out.contains("\n3 drifted; 17 of 20 intact\n"), "\(rest)")
      try await lab.succeed("apply", "--yes", "-l", changed.joined(separator: ","))
      let none = try await lab.portcullis("drift")
      #expect(none.status == 0 && none.out.hasSuffix("no drift; 20 of 20 intact\n"), "\(none)")
    }

    /// What an apply just did is known: nobody has to ask the hosts again to see it.
    @Test func afterARepairTheHostIsNoLongerCalledDrifted() async throws {
      let lab = try await TestLab.mixed
      try await lab.settle("h002")
      try await lab.shell("h002", "iptables -D INPUT 1")
      #expect(try await lab.portcullis("drift", "-l", "h002").status == 2)
      try await lab.succeed("apply", "--yes", "-l", "h002")
      let status = try JSON(try await lab.succeed("status", "-l", "h002", "-o", "json"))
      #expect(status.hosts["h002"]?["integrity"].text != "drifted")
      #expect(try await lab.portcullis("plan", "-l", "h002", "--detailed-exitcode").status == 0)
    }

    /// A boot prepares Docker's own chain for our hook, before Docker comes; that is not what was committed.
    private static func withoutDocker(_ families: [String]) -> [String] {
      families.map { text in
        text.split(separator: "\n").filter { !$0.contains("DOCKER-USER") }.joined(separator: "\n")
      }
    }

    @Test(arguments: ["h001", "h004", "h002", "h003"])
    func aPowerCutTakesTheRulesAndTheBootBringsThemBack(_ host: String) async throws {
      let lab = try await TestLab.mixed
      try await lab.settle(host)
      let before = try await lab.rules(of: host)
      let saves = try JSON(try await lab.succeed("status", "-l", host, "-o", "json")).hosts[host]
      // A change by hand does not survive: what comes back is what was committed.
      try await lab.shell(host, "iptables -I INPUT 1 -j ACCEPT")
      let reboot = try await lab.succeed("lab", "reboot", host, "--dir", lab.folder)
      #expect(reboot.out.hasPrefix("\(host) is back"))
      #expect(reboot.out.contains("agent up"))
      // Without any word from the controller.
      #expect(Self.withoutDocker(try await lab.rules(of: host)) == Self.withoutDocker(before))
      let refreshed = try await lab.succeed("status", "--refresh", "-l", host, "-o", "json")
      let status = try JSON(refreshed).hosts[host]
      #expect(status?["integrity"].text == "intact" && status?["contact"].text == "fresh", "\(refreshed)")
      for family in ["ipv4", "ipv6"] {
        #expect(status?[family]["observed"].text != nil)
        #expect(status?[family]["observed"].text == saves?[family]["observed"].text)
      }
      #expect(try await lab.portcullis("drift", "-l", host).status == 0)
    }
  }
}
