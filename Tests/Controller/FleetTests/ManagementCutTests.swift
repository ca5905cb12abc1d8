import Foundation
import Testing

extension FleetSuite {
  /// Releases that would shut the managers out, or of which nobody can tell beforehand.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct ManagementCuts {
    private func withLab(_ name: String, _ body: (SafetyLab) async throws -> Void) async throws {
      try await SafetyLab.with(name, hosts: 2) { fleet in
        // From both families, as managers come.
        _ = try fleet.lab.configuration("portcullis.yaml", ["controllers": "[\"10.77.0.1\", \"fd77::1\"]"])
        let first = try await fleet.apply()
        try #require(
          first.values.allSatisfy { $0["result"].text == "committed" }, "\(first.mapValues { $0["detail"].text })")
        try await body(fleet)
      }
    }

    private func isReachable(_ host: String, _ fleet: SafetyLab) async throws -> Bool {
      try await fleet.lab.exec("controller", "/usr/bin/ssh", "-o", "ConnectTimeout=5", "root@\(host)", "true").status
        == 0
    }

    /// Rules, files and what the agent says of itself; not its journal, which notes that something was tried.
    private func state(of host: String, _ fleet: SafetyLab) async throws -> [String] {
      let state = try await fleet.lab.state(of: host)
      let report = try await fleet.lab.shell(
        host, "/usr/local/lib/portcullis/portcullis-agent report | grep -v '^time '")
      return [state.ipv4, state.ipv6, report]
        + state.files.split(separator: "\n").filter { !$0.hasSuffix("./journal") }.map(String.init)
    }

    @Test func whatCutsOneFamilyIsRefusedByTheKnockBeforeAnythingChanges() async throws {
      try await withLab("knocked") { fleet in
        let cuts = [("ipv4", "10.77.0.1"), ("ipv6", "fd77::1")]
        for (family, source) in cuts {
          var policy = SafetyPolicy(port: 4002)
          let cut = ["-A INPUT -p tcp -m tcp --dport 22 -m comment --comment slip -j DROP"]
          policy.first = family == "ipv4" ? (cut, []) : ([], cut)
          try fleet.set(policy)
          var before: [[String]] = []
          for host in fleet.hosts { before.append(try await state(of: host, fleet)) }
          let refused = try await fleet.lab.portcullis("apply", "--yes", "-o", "json")
          #expect(refused.status == 5, "\(refused)")
          for (host, state) in zip(fleet.hosts, before) {
            let answer = try JSON(refused).hosts[host]
            #expect(answer?["result"].text == "refused", "\(refused)")
            let detail = answer?["detail"].text ?? ""
            for word in [family, source, "22", "--comment slip -j DROP"] {
              #expect(detail.contains(word), "\(host): no \(word) in: \(detail)")
            }
            #expect(try await self.state(of: host, fleet).difference(from: state).isEmpty, "\(host)")
          }
          let text = try await fleet.lab.portcullis("apply", "--yes")
          #expect(text.status == 5 && text.out.contains("--override-lockout"), "\(text)")
        }
      }
    }

    @Test func overriddenItIsAppliedGoesBackByItselfAndIsNeverCalledCurrent() async throws {
      try await withLab("overridden") { fleet in
        var before: [[String]] = []
        for host in fleet.hosts { before.append(try await fleet.lab.rules(of: host)) }
        try fleet.set(SafetyPolicy(port: 4002, shutsOut: true))
        let without = try await fleet.lab.portcullis("apply", "--yes", "--override-lockout")
        #expect(without.status == 64 && without.err.contains("--reason"), "\(without)")
        let applied = try await fleet.lab.portcullis(
          "apply", "--yes", "--override-lockout", "--reason", "drill", "--confirm-timeout", "15", "-o", "json")
        #expect(applied.status == 3, "\(applied)")
        // A deadline, two seconds to go back, and the time to ask.
        #expect((15...25).contains(applied.seconds), "\(applied)")
        let status = try JSON(try await fleet.lab.portcullis("status", "--refresh", "-o", "json")).hosts
        for (host, rules) in zip(fleet.hosts, before) {
          #expect(try JSON(applied).hosts[host]?["result"].text == "reverted", "\(applied)")
          #expect(try await fleet.lab.rules(of: host) == rules, "\(host)")
          #expect(status[host]?["delivery"].text == "reverted", "\(host)")
          #expect(status[host]?["integrity"].text == "intact", "\(host)")
          #expect(status[host]?["contact"].text == "fresh", "\(host)")
          let report = try await fleet.lab.exec(host, "/usr/local/lib/portcullis/portcullis-agent", "report")
          #expect(report.status == 0 && report.out.contains("no confirmation came"), "\(report)")
          #expect(try await isReachable(host, fleet), "\(host)")
        }
        // What was allowed was allowed once.
        #expect(try await fleet.lab.portcullis("apply", "--yes").status == 5)
        try fleet.set(SafetyPolicy(port: 4003))
        #expect(try await fleet.apply().values.allSatisfy { $0["result"].text == "committed" })
      }
    }

    @Test func aKnockThatCannotTellWarnsAndLeavesItToTheDeadline() async throws {
      try await withLab("undecided") { fleet in
        var policy = SafetyPolicy(port: 4002)
        let queue = ["-A INPUT -p tcp -m tcp --dport 22 -j NFQUEUE --queue-num 7 --queue-bypass"]
        policy.first = (queue, queue)
        try fleet.set(policy)
        for (host, answer) in try await fleet.apply() {
          #expect(answer["result"].text == "committed", "\(host): \(answer["detail"].text ?? "")")
          let warnings = answer["warnings"].strings.joined(separator: "; ")
          #expect(warnings.contains("NFQUEUE"), "\(host): \(warnings)")
        }
        // Open for an hour that is not now: nobody but the clock decides, and the managers really are shut out.
        let hour = Calendar(identifier: .gregorian).dateComponents(
          in: TimeZone(identifier: "UTC")!, from: Date().addingTimeInterval(6 * 3600)
        ).hour!
        let digits = (hour < 10 ? "0" : "") + "\(hour)"
        policy = SafetyPolicy(port: 4003)
        let closed = ["-A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate ESTABLISHED -j DROP"]
        policy.first = (closed, closed)
        policy.lettingIn =
          "-A INPUT -p tcp -m tcp --dport 22 -m time --timestart \(digits):00:00 --timestop \(digits):59:00 -j ACCEPT"
        try fleet.set(policy)
        for (host, answer) in try await fleet.apply(["--confirm-timeout", "15"]) {
          #expect(answer["result"].text == "reverted", "\(host): \(answer["detail"].text ?? "")")
          #expect(try await isReachable(host, fleet), "\(host)")
        }
      }
    }

    @Test(arguments: [
      ["--confirm-timeout", "14"], ["--confirm-timeout", "601"], ["--confirm-timeout", "-15"], ["--confirm", "never"],
      ["--evict", "dokcer"], ["--evict", ""], ["--override-lockout"],
    ])
    func aWrongFlagIsAUsageError(flags: [String]) async throws {
      let lab = try await TestLab.mixed
      let refused = try await Command.run(
        Machine.portcullis, ["apply", "--yes", "-l", "h001"] + flags, in: lab.folder)
      #expect(refused.status == 64, "\(refused)")
      #expect(refused.out.isEmpty && !refused.err.isEmpty, "\(refused)")
    }
  }
}
