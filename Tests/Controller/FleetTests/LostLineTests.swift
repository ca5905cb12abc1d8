import Foundation
import Glibc
import TestSupport
import Testing

extension FleetSuite {
  /// The line is gone, or the operator interrupts, between the change and its confirmation. What is claimed afterwards is
  /// what the hosts hold.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct LostLines {
    private static func drop(_ deed: String, _ what: String) -> String {
      "for p in iptables ip6tables; do $p -\(deed) OUTPUT -p tcp --dport 22 \(what) -j DROP; done"
    }

    /// On the controller: when the apply has reached both hosts, so that the bundle goes through and what comes after
    /// needs a connection that cannot be made.
    private static let shutBehindTheApply = """
      for i in $(seq 2000); do
        [ $(grep -c ':0016 01 ' /proc/net/tcp) -ge 2 ] && break; sleep 0.01
      done
      \(drop("I", "--syn"))
      """
    private static let open = drop("D", "--syn")

    private func expect(
      _ word: String, opens port: Int, _ applied: Finished, _ fleet: SafetyLab,
      at location: Testing.SourceLocation = #_sourceLocation
    ) async throws {
      for host in fleet.hosts {
        #expect(try JSON(applied).hosts[host]?["result"].text == word, "\(applied)", sourceLocation: location)
        for rules in try await fleet.lab.rules(of: host) {
          #expect(rules.contains("--dport \(port) "), "\(host)", sourceLocation: location)
        }
      }
      let status = try JSON(try await fleet.lab.portcullis("status", "--refresh", "-o", "json")).hosts
      for host in fleet.hosts {
        #expect(
          status[host]?["delivery"].text == (word == "committed" ? "current" : word), "\(host)",
          sourceLocation: location)
        #expect(status[host]?["integrity"].text == "intact", "\(host)", sourceLocation: location)
      }
    }

    @Test func newConnectionsThatFailForAWhileOrTooLong() async throws {
      try await SafetyLab.with("lineless", hosts: 2) { fleet in
        #expect(try await fleet.apply().values.allSatisfy { $0["result"].text == "committed" })
        for (port, seconds, confirm, word) in [(4002, 6, 20, "committed"), (4003, 20, 15, "reverted")] {
          try fleet.set(SafetyPolicy(port: port))
          async let shut = fleet.lab.exec("controller", "/bin/sh", "-ec", Self.shutBehindTheApply)
          async let applied = fleet.lab.portcullis("apply", "--yes", "--confirm-timeout", "\(confirm)", "-o", "json")
          #expect(try await shut.status == 0)
          try await Task.sleep(for: .seconds(seconds))
          try await fleet.lab.shell("controller", Self.open)
          let finished = try await applied
          #expect(finished.status == (word == "committed" ? 0 : 3), "\(finished)")
          #expect(finished.seconds > Double(min(seconds, confirm)) - 1, "it was not shut in time: \(finished)")
          try await expect(word, opens: word == "committed" ? port : 4002, finished, fleet)
        }
      }
    }

    @Test func aLineThatIsCutAtAnyMoment() async throws {
      let seed = Safety.count("PORTCULLIS_SEED", Int.random(in: 1...1_000_000))
      print("seed: PORTCULLIS_SEED=\(seed)")
      var random = Random(seed: UInt64(seed))
      try await SafetyLab.with("cut-off", hosts: 2) { fleet in
        #expect(try await fleet.apply().values.allSatisfy { $0["result"].text == "committed" })
        var held = ["h001": 4001, "h002": 4001]
        for round in 1...Safety.count("PORTCULLIS_CUT_OFF_ROUNDS", 5) {
          let port = 4001 + round
          try fleet.set(SafetyPolicy(port: port))
          let pause = Double.random(in: 0...1.2, using: &random)
          async let cut = fleet.lab.exec(
            "controller", "/bin/sh", "-ec",
            """
            for i in $(seq 2000); do [ $(grep -c ':0016 01 ' /proc/net/tcp) -ge 2 ] && break; sleep 0.01; done
            sleep \(pause); \(Self.drop("I", "")); sleep 4; \(Self.drop("D", ""))
            """)
          let applied = try await fleet.lab.portcullis("apply", "--yes", "--confirm-timeout", "20", "-o", "json")
          #expect(try await cut.status == 0)
          for host in fleet.hosts {
            let answer = try JSON(applied).hosts[host]
            let word = answer?["result"].text ?? "nothing"
            #expect(["committed", "reverted"].contains(word), "\(host) \(word): \(answer?["detail"].text ?? "")")
            if word == "committed" { held[host] = port }
            for rules in try await fleet.lab.rules(of: host) {
              #expect(rules.contains("--dport \(held[host]!) "), "\(host) is called \(word) after \(pause) s")
            }
          }
        }
      }
    }

    /// Ctrl-C while it tries to confirm.
    @Test(arguments: [1, 2])
    func anApplyThatIsInterrupted(times: Int) async throws {
      try await SafetyLab.with("interrupted-\(times)", hosts: 2) { fleet in
        let lab = fleet.lab
        #expect(try await fleet.apply().values.allSatisfy { $0["result"].text == "committed" })
        try fleet.set(SafetyPolicy(port: 4002))
        let pid = "\(try Machine.scratch())/pid-\(UInt32.random(in: .min ... .max))"
        async let shut = lab.exec("controller", "/bin/sh", "-ec", Self.shutBehindTheApply)
        async let applied = Command.run(
          "/bin/sh",
          [
            "-c", "echo $$ > '\(pid)'; exec '\(Machine.portcullis)' apply --yes --confirm-timeout 15 -o json",
          ], in: lab.folder)
        #expect(try await shut.status == 0)
        let limit = ContinuousClock.now + .seconds(10)
        var isChanged = false
        while !isChanged, ContinuousClock.now < limit {
          isChanged = try await lab.rules(of: "h001").allSatisfy { $0.contains("--dport 4002 ") }
        }
        try #require(isChanged)
        let process = try #require(pid_t(try text(of: pid).trimmingCharacters(in: .whitespacesAndNewlines)))
        for _ in 1...times {
          #expect(kill(process, SIGINT) == 0)
          try await Task.sleep(for: .milliseconds(500))
        }
        try await lab.shell("controller", Self.open)
        let finished = try await applied
        #expect(finished.status == 130, "\(finished)")
        if times == 1 {
          try await expect("committed", opens: 4002, finished, fleet)
        } else {
          #expect(finished.out.isEmpty, "\(finished)")
          try await Task.sleep(for: .seconds(18))
          for host in fleet.hosts {
            #expect(try await lab.rules(of: host).allSatisfy { $0.contains("--dport 4001 ") }, "\(host)")
          }
          // Nothing was claimed of them, and the same command again goes on.
          let status = try JSON(try await lab.portcullis("status", "--refresh", "-o", "json")).hosts
          #expect(status.values.allSatisfy { $0["delivery"].text != "current" && $0["integrity"].text == "intact" })
          #expect(try await fleet.apply().values.allSatisfy { $0["result"].text == "committed" })
        }
      }
    }
  }
}
