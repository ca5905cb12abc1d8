import Core
import Foundation
import Testing
import Wire

extension FleetSuite {
  /// Changes that wait for a person, and who may confirm what.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct HandConfirmation {
    /// A change that waits on both hosts. Rules before and with it, of each host.
    private func pending(
      _ fleet: SafetyLab, _ port: Int, _ flags: [String] = []
    ) async throws -> (old: [[String]], new: [[String]]) {
      var old: [[String]] = []
      for host in fleet.hosts { old.append(try await fleet.lab.rules(of: host)) }
      try fleet.set(SafetyPolicy(port: port))
      let applied = try await Command.run(
        Machine.portcullis, ["apply", "--yes", "--confirm", "manual", "-o", "json"] + flags, in: fleet.lab.folder)
      #expect(applied.status == 0, "\(applied)")
      #expect(try JSON(applied).hosts.values.allSatisfy { $0["result"].text == "pending" }, "\(applied)")
      var new: [[String]] = []
      for host in fleet.hosts { new.append(try await fleet.lab.rules(of: host)) }
      try #require(new.allSatisfy { $0.allSatisfy { $0.contains("--dport \(port) ") } })
      return (old, new)
    }

    private func expect(
      _ rules: [[String]], on fleet: SafetyLab, at location: Testing.SourceLocation = #_sourceLocation
    ) async throws {
      for (host, rules) in zip(fleet.hosts, rules) {
        #expect(try await fleet.lab.rules(of: host) == rules, "\(host)", sourceLocation: location)
      }
    }

    private func results(_ finished: Finished) throws -> Set<String> {
      Set(try JSON(finished).hosts.values.compactMap { $0["result"].text })
    }

    @Test func aPersonConfirmsCancelsOrLetsTheDeadlinePass() async throws {
      try await SafetyLab.with("by-hand", hosts: 2) { fleet in
        let lab = fleet.lab
        #expect(try await fleet.apply().values.allSatisfy { $0["result"].text == "committed" })
        let none = try await lab.portcullis("confirm")
        #expect(none.status == 5 && none.err.contains("hint:"), "\(none)")

        // Confirmed: one host, then the other, and what is confirmed stays.
        var rules = try await pending(fleet, 4002, ["--confirm-timeout", "60"])
        let waiting = try JSON(try await lab.portcullis("status", "--refresh", "-o", "json")).hosts
        for host in fleet.hosts {
          #expect(waiting[host]?["pending"]["manual"].number == 1, "\(host)")
          let left = try #require(waiting[host]?["pending"]["seconds_left"].number)
          #expect((30...60).contains(left), "\(left)")
          #expect(waiting[host]?["delivery"].text != "current", "\(host)")
        }
        let one = try await lab.portcullis("confirm", "-l", "h001", "-o", "json")
        #expect(try one.status == 0 && results(one) == ["committed"], "\(one)")
        let again = try await lab.portcullis("confirm", "-l", "h001")
        #expect(again.status == 5, "\(again)")
        let other = try await lab.portcullis("confirm", "-o", "json")
        #expect(try other.status == 0 && results(other) == ["committed"], "\(other)")
        try await expect(rules.new, on: fleet)
        let current = try JSON(try await lab.succeed("status", "--refresh", "-o", "json")).hosts
        #expect(current.values.allSatisfy { $0["delivery"].text == "current" && $0["integrity"].text == "intact" })

        // Cancelled: back at once.
        rules = try await pending(fleet, 4003)
        let cancelled = try await lab.portcullis("cancel", "-o", "json")
        #expect(try cancelled.status == 0 && results(cancelled) == ["reverted"], "\(cancelled)")
        try await expect(rules.old, on: fleet)
        #expect(try await lab.portcullis("cancel").status == 5)
        #expect(try await lab.portcullis("confirm").status == 5)

        // Left alone: back by themselves, and a late confirmation changes nothing and says so.
        rules = try await pending(fleet, 4004, ["--confirm-timeout", "15"])
        try await expect(rules.new, on: fleet)
        try await Task.sleep(for: .seconds(17))
        try await expect(rules.old, on: fleet)
        let late = try await lab.portcullis("confirm", "-o", "json")
        #expect(try late.status == 3 && results(late) == ["reverted"], "\(late)")
        try await expect(rules.old, on: fleet)
        let status = try JSON(try await lab.portcullis("status", "--refresh", "-o", "json")).hosts
        #expect(status.values.allSatisfy { $0["delivery"].text == "reverted" && $0["integrity"].text == "intact" })
        #expect(try await fleet.apply().values.allSatisfy { $0["result"].text == "committed" })
      }
    }

    /// That an established connection goes on living proves nothing about a new one.
    @Test(arguments: [
      "the same channel", "another channel of the same connection", "an older connection",
      "a new channel of an older connection",
    ])
    func onlyAConnectionMadeAfterTheChangeConfirmsIt(over way: String) async throws {
      let lab = try await TestLab.mixed
      for host in ["h001", "h004"] {
        try await lab.settle(host)
        let before = try await lab.rules(of: host)
        let serial = try await lab.serial(of: host)
        let files = try await CraftedBundle(for: host, of: lab, serial: serial + 1).files()
        let socket = "\(try Machine.scratch())/mux-\(UInt32.random(in: .min ... .max))"
        let shared = way == "another channel of the same connection"
        let mux = ["-o", "ControlPath=\(socket)"]
        let revived = way == "a new channel of an older connection"
        let older = try LiveConversation(with: host, of: lab, revived ? mux + ["-o", "ControlMaster=yes"] : [])
        defer { older.end() }
        _ = try await older.hear(0)
        let carrier = try LiveConversation(with: host, of: lab, shared ? mux + ["-o", "ControlMaster=yes"] : [])
        defer { carrier.end() }
        let change = try await carrier.apply(files, ConfirmationTerms(seconds: 30, isManual: true))

        let confirmer: LiveConversation
        switch way {
        case "the same channel": confirmer = carrier
        case "an older connection": confirmer = older
        default: confirmer = try LiveConversation(with: host, of: lab, mux + ["-o", "ControlMaster=no"])
        }
        defer { if confirmer !== carrier, confirmer !== older { confirmer.end() } }
        try confirmer.say(.confirm(change))
        let answer = try await confirmer.hear(confirmer === carrier ? 3 : 1)
        guard case .refused(let refusal) = answer else {
          Issue.record("\(host): \(answer)")
          continue
        }
        #expect(refusal.code == .notConfirmable, "\(refusal)")

        // Nor does a new one with another nonce or manifest.
        let wrong = [
          ChangeConfirmation(transaction: change.transaction, manifest: change.manifest, nonce: .random()),
          ChangeConfirmation(transaction: change.transaction, manifest: Digest(of: [1]), nonce: change.nonce),
          ChangeConfirmation(transaction: .random(), manifest: change.manifest, nonce: change.nonce),
        ]
        for confirmation in wrong {
          let said = try await lab.say(
            [.hello(version: ProtocolVersion.current), .confirm(confirmation), .goodbye], to: host)
          #expect(said.refusals.map(\.code) == [.notConfirmable] && said.outcomes.isEmpty, "\(said.messages)")
        }
        if way == "an older connection" {
          try carrier.say(.cancel(change.transaction))
          guard case .outcome(let outcome) = try await carrier.hear(3) else { throw LiveConversation.NotHeard() }
          #expect(outcome.result == .reverted)
          #expect(try await lab.rules(of: host) == before)
        } else {
          for _ in 1...2 {
            // The second time it is told what it was told the first.
            let said = try await lab.say(
              [.hello(version: ProtocolVersion.current), .confirm(change), .goodbye], to: host)
            #expect(said.outcomes.map(\.result) == [.committed], "\(said.messages) \(said.finished)")
          }
          #expect(try await lab.serial(of: host) == serial + 1)
        }
        try await lab.settle(host)
      }
    }
  }
}
