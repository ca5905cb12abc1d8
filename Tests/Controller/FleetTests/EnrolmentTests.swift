import Foundation
import Testing

extension FleetSuite {
  /// Hosts that come, are upgraded, and go.
  @Suite(.serialized) struct Enrolment {
    private static let folder = "/usr/local/lib/portcullis"

    private func enroll(_ lab: TestLab, _ host: String, _ flags: String...) async throws -> (Finished, JSON?) {
      let finished = try await Command.run(
        Machine.portcullis, ["enroll", host, "-o", "json"] + flags, in: lab.folder, timeout: 90)
      return (finished, try? JSON(finished).hosts[host])
    }

    private func digest(_ lab: TestLab, _ host: String) async throws -> String {
      try await lab.shell(host, "sha256sum < \(Self.folder)/portcullis-agent")
    }

    private func digest(of path: String) async throws -> String {
      try await Command.succeed("/usr/bin/sha256sum", [], input: .bytes(bytes(of: path))).out
    }

    /// A folder with another agent, and a configuration that uses it.
    private func configuration(_ lab: TestLab, agent content: [UInt8], _ name: String) throws -> String {
      let folder = "\(try Machine.scratch())/\(name)"
      try write(content, to: "\(folder)/portcullis-agent", mode: 0o755)
      return try lab.configuration("\(name).yaml", ["agents": folder])
    }

    private func isServed(_ lab: TestLab, _ host: String) async throws -> Bool {
      let status = try await lab.portcullis("status", "--refresh", "-l", host, "-o", "json")
      let contact = try JSON(status).hosts[host]?["contact"].text
      return status.status == 0 && contact == "fresh"
    }

    @Test func anAgentIsUploadedOnceUpgradedAndNeverReplacedByOneThatDoesNotAnswer() async throws {
      let lab = try await TestLab.bare
      let host = "h001"
      #expect(try await lab.exec(host, "/usr/bin/test", "-e", Self.folder).status != 0)
      let (first, enrolled) = try await enroll(lab, host)
      #expect(first.status == 0 && enrolled?["result"].text == "enrolled", "\(first)")
      #expect(enrolled?["managed_from"].strings == ["10.77.0.1", "fd77::1"], "\(first)")
      #expect(enrolled?["service"].text == "detached")
      #expect(enrolled?["generation_zero"].text == "captured")
      #expect(try await digest(lab, host) == (try await digest(of: Machine.agent)))

      let (again, kept) = try await enroll(lab, host)
      #expect(
        again.status == 0 && kept?["result"].text == "kept" && kept?["generation_zero"].text == "kept", "\(again)")
      #expect(try await lab.exec(host, "/usr/bin/test", "-e", "\(Self.folder)/portcullis-agent.previous").status != 0)

      // Works as well, and is another executable.
      let old = try bytes(of: Machine.agent)
      let newer = try configuration(lab, agent: old + Array("newer".utf8), "newer")
      let (upgrade, upgraded) = try await enroll(lab, host, "--config", newer)
      #expect(upgrade.status == 0 && upgraded?["result"].text == "upgraded", "\(upgrade)")
      #expect(try await digest(lab, host) == (try await digest(of: "\(try Machine.scratch())/newer/portcullis-agent")))
      // The new one answered; the old one is kept beside it, and nothing else is left of the upgrade.
      let files = try await lab.shell(host, "ls -A \(Self.folder)")
      #expect(files == "portcullis-agent\nportcullis-agent.previous\nportcullis-bridge\n")
      #expect(try await isServed(lab, host))

      // A program that ends without a word.
      let processes = try await lab.shell(host, "pidof portcullis-agent")
      let mute = try configuration(lab, agent: try bytes(of: "/bin/true"), "mute")
      let (refused, failed) = try await enroll(lab, host, "--config", mute)
      #expect(refused.status == 3 && failed?["result"].text == "failed", "\(refused)")
      #expect(failed?["detail"].text?.contains("install the agent") == true, "\(refused)")
      #expect(try await digest(lab, host) == (try await digest(of: "\(try Machine.scratch())/newer/portcullis-agent")))
      #expect(try await lab.shell(host, "pidof portcullis-agent") == processes)
      #expect(try await isServed(lab, host))

      // What that attempt uploaded is never mistaken for ours.
      let (mended, kept2) = try await enroll(lab, host, "--config", newer)
      #expect(mended.status == 0 && kept2?["result"].text == "kept", "\(mended)")
      #expect(try await digest(lab, host) == (try await digest(of: "\(try Machine.scratch())/newer/portcullis-agent")))
      #expect(try await isServed(lab, host))

      // Not an executable at all: found out before anything is sent.
      let text = try configuration(lab, agent: Array("#!/bin/sh\n".utf8), "text")
      let (unsent, _) = try await enroll(lab, host, "--config", text)
      #expect(unsent.status != 0 && unsent.said.contains("not an executable"), "\(unsent)")
      #expect(try await isServed(lab, host))
    }

    @Test func removalGivesBackExactlyTheRulesFoundAndLeavesNothing() async throws {
      let lab = try await TestLab.bare
      let host = "h002"
      try await lab.shell(
        host,
        """
        iptables -N own; iptables -A own -s 192.0.2.0/24 -j RETURN; iptables -A INPUT -p tcp --dport 25 -j own
        iptables -t nat -A POSTROUTING -s 192.168.7.0/24 -j MASQUERADE; iptables -P FORWARD DROP
        ip6tables -A INPUT -s 2001:db8:bad::/48 -j DROP
        """)
      let found = try await rules(of: host, in: lab)
      let traces = try await self.traces(of: host, in: lab)
      let (enrolled, result) = try await enroll(lab, host)
      #expect(enrolled.status == 0 && result?["generation_zero"].text == "captured", "\(enrolled)")
      // Enrolment alone changes no rule.
      #expect(try await rules(of: host, in: lab) == found)
      try await lab.succeed("apply", "--yes", "-l", host)
      let ours = try await rules(of: host, in: lab)
      // What was found stays, below ours.
      #expect(ours.contains("-A INPUT -j PCL-INPUT") && ours.contains("--dport 25"))

      let unsaid = try await lab.portcullis("enroll", "--remove", host)
      #expect(unsaid.status == 64 && unsaid.err.contains("--rules"), "\(unsaid)")
      let removed = try await lab.portcullis("enroll", "--remove", "--rules", "generation-0", host)
      #expect(removed.status == 0 && removed.out.contains("\(host): removed"), "\(removed)")
      #expect(try await rules(of: host, in: lab) == found)
      #expect(try await self.traces(of: host, in: lab) == traces)
      #expect(try JSON(try await lab.succeed("hosts", "-o", "json")).hosts[host]?["enrolled"].number == 0)
      let again = try await lab.portcullis("enroll", "--remove", "--rules", "generation-0", host)
      #expect(again.status == 0 && again.out.contains("absent"), "\(again)")
    }

    @Test func removalKeepsOurRulesWhenToldTo() async throws {
      let lab = try await TestLab.bare
      let host = "h003"
      let traces = try await self.traces(of: host, in: lab)
      let (enrolled, _) = try await enroll(lab, host)
      #expect(enrolled.status == 0, "\(enrolled)")
      try await lab.succeed("apply", "--yes", "-l", host)
      let ours = try await rules(of: host, in: lab)
      let removed = try await lab.portcullis("enroll", "--remove", "--rules", "keep", host)
      #expect(removed.status == 0, "\(removed)")
      #expect(try await rules(of: host, in: lab) == ours && ours.contains("-A PCL-INPUT -i lo -j ACCEPT"))
      #expect(try await self.traces(of: host, in: lab) == traces)
      // And it can come back.
      let (back, result) = try await enroll(lab, host)
      #expect(back.status == 0 && result?["result"].text == "enrolled", "\(back)")
    }

    @Test func aHostOfOneFleetIsNotEnrolledInAnother() async throws {
      let lab = try await TestLab.bare
      let host = "h001"
      if try await !isServed(lab, host) { _ = try await enroll(lab, host) }
      let trust = try await lab.shell(host, "cat /etc/portcullis/*")
      let config = try lab.configuration("second.yaml", ["fleet": "second", "state": "second-state"])
      let (refused, failed) = try await enroll(lab, host, "--config", config)
      #expect(refused.status == 3 && failed?["result"].text == "failed", "\(refused)")
      #expect(failed?["detail"].text?.contains("already enrolled: host h001, fleet lab") == true, "\(refused)")
      #expect(
        failed?["hints"].strings.contains { $0.contains("--remove") } == true || refused.said.contains("--remove"))
      #expect(try await lab.shell(host, "cat /etc/portcullis/*") == trust)
      #expect(try await isServed(lab, host))
    }

    /// Both families as the kernel has them, without counters.
    private func rules(of host: String, in lab: TestLab) async throws -> String {
      try await lab.shell(host, "iptables-save; ip6tables-save").split(separator: "\n")
        .filter { !$0.hasPrefix("#") }
        .map { line in line.hasPrefix(":") ? String(line.prefix { $0 != "[" }) : String(line) }
        .sorted().joined(separator: "\n")
    }

    /// Whatever enrolment may leave.
    private func traces(of host: String, in lab: TestLab) async throws -> String {
      try await lab.shell(
        host,
        """
        LC_ALL=C ls -d /etc/portcullis /var/lib/portcullis /run/portcullis /usr/local/lib/portcullis \
          /etc/systemd/system/portcullis* 2>/dev/null || true
        grep portcullis /etc/passwd /etc/group /etc/shadow /etc/gshadow || true
        for p in /proc/[0-9]*; do readlink $p/exe; done 2>/dev/null | grep portcullis-agent || true
        """)
    }
  }
}
