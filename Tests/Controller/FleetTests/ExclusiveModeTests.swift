import Core
import Foundation
import Testing

extension FleetSuite {
  /// Whole tables, and the way there and back.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct ExclusiveMode {
    private static let backends = ["nft", "legacy"]
    private static let exclusive = "mode: exclusive\n"

    @Test(arguments: backends)
    func thereAndBackAmongForeignRules(backend: String) async throws {
      try await SafetyLab.with("modes-\(backend)", hosts: 1, backend: backend) { fleet in
        let lab = fleet.lab
        try await lab.shell(
          "h001",
          """
          for p in iptables ip6tables; do
            $p -w 10 -N local; $p -w 10 -A local -p udp -m udp --dport 99 -j DROP; $p -w 10 -A INPUT -j local
            $p -w 10 -t raw -A OUTPUT -p udp -m udp --dport 98 -j NOTRACK
          done
          """)
        let found = try await lab.printedForeign("h001")
        let policies = try await lab.policies(of: "h001")
        try await lab.succeed("apply", "--yes")
        #expect(try await lab.printedForeign("h001") == found)
        let owned = try await lab.rules(of: "h001")

        try fleet.set(SafetyPolicy(port: 4001, lines: Self.exclusive))
        try await lab.succeed("apply", "--yes")
        let exclusive = try await lab.rules(of: "h001")
        #expect(exclusive.allSatisfy { !$0.contains("PCL") && !$0.contains("local") && $0.contains("--dport 4001") })
        // Tables it does not declare are not its own; there they are drift.
        #expect(exclusive.allSatisfy { $0.contains("--dport 98") })

        try fleet.set(SafetyPolicy(port: 4001))
        try await lab.succeed("apply", "--yes")
        let back = try await lab.rules(of: "h001")
        #expect(zip(back, owned).allSatisfy { $0 == Self.without("local", $1) }, "\(back)\n\(owned)")
        #expect(try await lab.portcullis("drift").status == 0)

        try fleet.set(SafetyPolicy(port: 4001, lines: Self.exclusive))
        try await lab.succeed("apply", "--yes")
        #expect(try await lab.rules(of: "h001") == exclusive)
        // Meanwhile somebody changes what is his.
        try await lab.shell("h001", "iptables -w 10 -t raw -A OUTPUT -p udp -m udp --dport 97 -j NOTRACK")
        try await lab.succeed("release", "withdraw", "h001", "--yes")
        let left = try await lab.rules(of: "h001")
        #expect(left.allSatisfy { !$0.contains("PCL") && !$0.contains("4001") && $0.contains("--dport 98") })
        #expect(left[0].contains("--dport 97"))
        #expect(try await lab.policies(of: "h001") == policies)
      }
    }

    /// Without the lines of a chain and those that call it.
    private static func without(_ chain: String, _ rules: String) -> String {
      rules.split(separator: "\n").filter { !$0.contains(" \(chain)") && !$0.hasPrefix(":\(chain)") }
        .map { $0 + "\n" }.joined()
    }

    @Test(arguments: backends)
    func itRefusesOverOthersChainsUntilTheyAreNamedAndGivesThemBackExactly(backend: String) async throws {
      try await SafetyLab.with("evict-\(backend)", hosts: 1, backend: backend) { fleet in
        let lab = fleet.lab
        for software in [ForeignSoftware.docker, .fail2ban] { try await software.install(on: "h001", of: lab) }
        let found = try await lab.printedForeign("h001")
        try await lab.succeed("apply", "--yes")
        let owned = try await lab.rules(of: "h001")

        try fleet.set(SafetyPolicy(port: 4001, lines: Self.exclusive))
        for flags in [[], ["--evict", "docker"]] {
          let refused = try await Command.run(
            Machine.portcullis, ["apply", "--yes"] + flags, in: lab.folder)
          #expect(refused.status == 5, "\(refused)")
          #expect(refused.said.contains("fail2ban") && refused.said.contains("--evict"), "\(refused)")
          #expect(refused.said.contains("docker (") == flags.isEmpty, "\(refused)")
          #expect(try await lab.rules(of: "h001") == owned)
        }
        let evict = ["--evict", "docker,fail2ban"]

        // Not confirmed: by hand, and because nobody could get in any more.
        #expect(try await fleet.apply(evict + ["--confirm", "manual"])["h001"]?["result"].text == "pending")
        #expect(try await lab.rules(of: "h001").allSatisfy { !$0.contains("DOCKER-USER") })
        try await lab.succeed("cancel")
        #expect(try await lab.rules(of: "h001") == owned)

        try fleet.set(SafetyPolicy(port: 4001, shutsOut: true, lines: Self.exclusive))
        let shut = try await fleet.apply(
          evict + ["--override-lockout", "--reason", "test", "--confirm-timeout", "15", "--timeout", "30"])
        #expect(["reverted", "unknown", "unreachable"].contains(shut["h001"]?["result"].text ?? ""), "\(shut)")
        for _ in 0..<60 where try await lab.rules(of: "h001") != owned { try await Task.sleep(for: .milliseconds(250)) }
        #expect(try await lab.rules(of: "h001") == owned)
        #expect(try await lab.printedForeign("h001") == found)

        try fleet.set(SafetyPolicy(port: 4001, lines: Self.exclusive))
        let committed = try await fleet.apply(evict)
        #expect(committed["h001"]?["result"].text == "committed", "\(committed)")
        // Only the table the policy declares; Docker's nat is somebody else's, and stays.
        #expect(try await lab.shell("h001", "iptables -S; ip6tables -S").contains("DOCKER") == false)
        #expect(try await lab.shell("h001", "iptables -t nat -S").contains("-j DOCKER"))
        try await lab.succeed("release", "withdraw", "h001", "--yes")
        #expect(try await lab.printedForeign("h001") == found)
      }
    }
  }
}
