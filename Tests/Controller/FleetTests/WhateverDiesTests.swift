import Foundation
import Glibc
import Testing
import Wire

extension FleetSuite {
  /// While new rules are loaded and not confirmed yet, something dies. The host ends on the old bundle by itself, in both
  /// families, and takes the next one.
  @Suite(.serialized, .timeLimit(.minutes(15))) struct WhateverDies {
    /// Waits until the host holds these rules of both families.
    private func hold(
      _ rules: [String], _ host: String, _ fleet: SafetyLab, within seconds: Double,
      at location: Testing.SourceLocation = #_sourceLocation
    ) async throws {
      let end = ContinuousClock.now + .seconds(seconds)
      var now = try await fleet.lab.rules(of: host)
      while now != rules, ContinuousClock.now < end {
        try await Task.sleep(for: .milliseconds(200))
        now = try await fleet.lab.rules(of: host)
      }
      #expect(now == rules, "\(host)", sourceLocation: location)
    }

    private func rules(_ fleet: SafetyLab) async throws -> [[String]] {
      var rules: [[String]] = []
      for host in fleet.hosts { rules.append(try await fleet.lab.rules(of: host)) }
      return rules
    }

    /// Of one program's processes in a host: "portcullis-agent serve", by the kernel's own list.
    private func signal(_ name: String, _ pattern: String, _ host: String, _ fleet: SafetyLab) async throws {
      let sent = try await fleet.lab.shell(
        host,
        """
        for p in /proc/[0-9]*; do
          if tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -q '\(pattern)'; then
            kill -\(name) ${p#/proc/} && echo ${p#/proc/} || :
          fi
        done
        """)
      #expect(!sent.isEmpty, "\(host): nothing runs that is called \(pattern)")
    }

    private static let daemon = "^[^ ]*portcullis-agent serve "
    private static let itsGuard = "^[^ ]* guard-child "

    /// A change that waits for a person on both hosts.
    private func pending(_ fleet: SafetyLab, _ port: Int) async throws -> (
      old: [[String]], since: ContinuousClock.Instant
    ) {
      let old = try await rules(fleet)
      try fleet.set(SafetyPolicy(port: port))
      let since = ContinuousClock.now
      let results = try await fleet.apply(["--confirm", "manual", "--confirm-timeout", "15"])
      try #require(
        results.values.allSatisfy { $0["result"].text == "pending" }, "\(results.mapValues { $0["detail"].text })")
      for rules in try await rules(fleet) { #expect(rules.allSatisfy { $0.contains("--dport \(port) ") }) }
      return (old, since)
    }

    /// Both hosts are back on `old`, the daemon answers, and the next apply works.
    private func expectBack(
      _ old: [[String]], _ fleet: SafetyLab, within seconds: Double, next port: Int,
      at location: Testing.SourceLocation = #_sourceLocation
    ) async throws {
      for (host, rules) in zip(fleet.hosts, old) {
        try await hold(rules, host, fleet, within: seconds, at: location)
      }
      var answered = false
      for _ in 0..<15 where !answered {
        let status = try await fleet.lab.portcullis("status", "--refresh", "-o", "json")
        answered = try JSON(status).hosts.values.allSatisfy {
          $0["contact"].text == "fresh" && $0["integrity"].text == "intact" && $0["pending"]["serial"].number == nil
        }
        if !answered { try await Task.sleep(for: .seconds(1)) }
      }
      #expect(answered, "the agents do not answer", sourceLocation: location)
      try fleet.set(SafetyPolicy(port: port))
      let results = try await fleet.apply()
      #expect(
        results.values.allSatisfy { $0["result"].text == "committed" }, "\(results.mapValues { $0["detail"].text })",
        sourceLocation: location)
      for rules in try await rules(fleet) {
        #expect(rules.allSatisfy { $0.contains("--dport \(port) ") }, sourceLocation: location)
      }
    }

    @Test func theDaemonOrTheWholeHost() async throws {
      try await SafetyLab.with("dying", hosts: 2) { fleet in
        #expect(try await fleet.apply().values.allSatisfy { $0["result"].text == "committed" })

        // Killed: the guard takes it back at once, and a confirmation that comes afterwards is too late.
        var change = try await pending(fleet, 4002)
        for host in fleet.hosts { try await signal("KILL", Self.daemon, host, fleet) }
        for (host, rules) in zip(fleet.hosts, change.old) { try await hold(rules, host, fleet, within: 12) }
        let late = try await fleet.lab.portcullis("confirm", "-o", "json")
        #expect([3, 4].contains(late.status), "\(late)")
        #expect(try JSON(late).hosts.values.allSatisfy { $0["result"].text != "committed" }, "\(late)")
        try await expectBack(change.old, fleet, within: 1, next: 4003)

        // Stopped: it cannot keep its own deadline, so somebody else does.
        change = try await pending(fleet, 4004)
        for host in fleet.hosts { try await signal("STOP", Self.daemon, host, fleet) }
        let left = 17 - (change.since.duration(to: .now) / .seconds(1))
        for (host, rules) in zip(fleet.hosts, change.old) { try await hold(rules, host, fleet, within: left + 3) }
        for host in fleet.hosts { _ = try await fleet.lab.exec(host, "/usr/bin/pkill", "-CONT", "portcullis-agen") }
        try await expectBack(change.old, fleet, within: 1, next: 4005)

        // Its guard is killed: the daemon keeps the deadline all the same.
        change = try await pending(fleet, 4006)
        for host in fleet.hosts { try await signal("KILL", Self.itsGuard, host, fleet) }
        let rest = 17 - (change.since.duration(to: .now) / .seconds(1))
        for (host, rules) in zip(fleet.hosts, change.old) { try await hold(rules, host, fleet, within: rest) }
        try await expectBack(change.old, fleet, within: 0, next: 4007)

        // Both are killed: the daemon that is started again takes it back.
        change = try await pending(fleet, 4008)
        for host in fleet.hosts {
          try await signal("KILL", Self.itsGuard, host, fleet)
          try await signal("KILL", Self.daemon, host, fleet)
        }
        for (host, rules) in zip(fleet.hosts, change.old) { try await hold(rules, host, fleet, within: 12) }
        try await expectBack(change.old, fleet, within: 0, next: 4009)

        // The power fails: the boot brings what was committed, although the deadline has not come.
        change = try await pending(fleet, 4010)
        for host in fleet.hosts {
          try await fleet.lab.succeed("lab", "reboot", host, "--dir", fleet.lab.folder)
        }
        try await expectBack(change.old, fleet, within: 0, next: 4011)
      }
    }

    @Test func theController() async throws {
      try await SafetyLab.with("orphaned", hosts: 2) { fleet in
        #expect(try await fleet.apply().values.allSatisfy { $0["result"].text == "committed" })
        let old = try await rules(fleet)
        let before = try await fleet.digests(of: "h002")
        // Shut out, so that it is still trying to confirm when it is killed.
        try fleet.set(SafetyPolicy(port: 4002, shutsOut: true))
        let pid = "\(try Machine.scratch())/pid-\(UInt32.random(in: .min ... .max))"
        let lab = fleet.lab
        async let killed = Command.run(
          "/bin/sh",
          [
            "-c", "echo $$ > '\(pid)'; exec '\(Machine.portcullis)' \"$@\"", "sh", "apply", "--yes",
            "--override-lockout", "--reason", "drill", "--confirm-timeout", "15",
          ], in: lab.folder)
        let limit = ContinuousClock.now + .seconds(20)
        while try await fleet.digests(of: "h002") == before, ContinuousClock.now < limit {
          try await Task.sleep(for: .milliseconds(100))
        }
        let process = try #require(pid_t(try text(of: pid).trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(kill(process, SIGKILL) == 0)
        #expect(try await killed.status != 0)
        #expect(try await fleet.digests(of: "h002") != before)
        try await expectBack(old, fleet, within: 18, next: 4003)
      }
    }

    /// Both ends of the line on the host: sshd's session, and the bridge behind it.
    @Test(arguments: ["HUP", "TERM", "KILL"])
    func theSession(by name: String) async throws {
      let lab = try await TestLab.mixed
      let fleet = SafetyLab(lab: lab, hosts: ["h001", "h004"])
      for host in fleet.hosts { try await lab.settle(host) }
      let old = try await rules(fleet)
      var conversations: [LiveConversation] = []
      defer { for conversation in conversations { conversation.end() } }
      for host in fleet.hosts {
        let files = try await CraftedBundle(for: host, of: lab, serial: try await lab.serial(of: host) + 1).files()
        let conversation = try LiveConversation(with: host, of: lab)
        conversations.append(conversation)
        _ = try await conversation.apply(files, ConfirmationTerms(seconds: 15, isManual: false))
      }
      for (host, rules) in zip(fleet.hosts, old) { #expect(try await lab.rules(of: host) != rules, "\(host)") }
      for host in fleet.hosts {
        try await signal(name, "^sshd.*: portcullis\\|^[^ ]*portcullis-bridge", host, fleet)
      }
      // The change does not depend on who brought it: neither kept nor taken back before its time.
      for (host, rules) in zip(fleet.hosts, old) { #expect(try await lab.rules(of: host) != rules, "\(host)") }
      for (host, rules) in zip(fleet.hosts, old) { try await hold(rules, host, fleet, within: 18) }
      for host in fleet.hosts {
        let status = try JSON(try await lab.portcullis("status", "--refresh", "-l", host, "-o", "json")).hosts[host]
        #expect(status?["contact"].text == "fresh" && status?["integrity"].text == "intact", "\(host)")
        try await lab.settle(host)
      }
    }
  }
}
