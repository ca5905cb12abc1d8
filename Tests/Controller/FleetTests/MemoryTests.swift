import Core
import Foundation
import Testing

extension FleetSuite {
  /// What a controller remembers of real hosts, and what it does when its memory is damaged.
  @Suite(.serialized, .timeLimit(.minutes(5))) struct Memory {
    @Test func whatHappenedIsToldWithItsCauseAndWhoDidItStandsInTheLog() async throws {
      try await SafetyLab.with("memory", hosts: 3) { fleet in
        let lab = fleet.lab
        try await lab.succeed("apply", "--yes", "--reason", "INC-42", timeout: 90)
        try await lab.succeed("status", "--refresh")
        for host in ["h001", "h002"] { try await lab.shell(host, "iptables -w 10 -D INPUT -j PCL-INPUT") }
        try await lab.shell("h001", "iptables -w 10 -A INPUT -p tcp --dport 8081 -j DROP")
        try await lab.succeed("status", "--refresh")
        // Nothing happened since, so that nothing is told.
        try await lab.succeed("status", "--refresh")
        try await lab.succeed("apply", "--yes", "--refresh", "--reason", "put back", timeout: 90)

        let history = try await lab.succeed("history", "h001", "-o", "json")
        // How many changes the agent saw of two deeds close together, and when, is its own affair.
        let all = try JSON(history)["events"].list
        let events = all.filter { $0["event"].text != "changed" }
        #expect(
          all.filter { $0["event"].text == "changed" }.allSatisfy { $0["cause"].text == "external" }, "\(history)")
        #expect(
          events.map { "\($0["event"].text ?? "") \($0["cause"].text ?? "")" } == [
            "enrolled intentional", "committed intentional", "drifted external", "committed intentional",
            "restored intentional",
          ], "\(history)")
        #expect(events[1]["reason"].text == "INC-42" && events[3]["reason"].text == "put back", "\(history)")
        let told = try await lab.succeed("events")
        #expect(told.out.contains("external     h[001-002]  drifted: ipv4 filter/INPUT"), "\(told)")
        let drifted = told.out.split(separator: "\n").filter { $0.contains("drifted") }
        #expect(!drifted.isEmpty && drifted.allSatisfy { !$0.contains("003") }, "\(told)")

        let log = try await lab.succeed("audit", "list", "-o", "json")
        let actions = try JSON(log)["actions"].list
        #expect(actions.map { $0["verb"].text } == ["keys init", "enroll", "apply", "apply"], "\(log)")
        #expect(actions.allSatisfy { $0["exit_code"].number == 0 }, "\(log)")
        #expect(actions.map { $0["reason"].text } == [nil, nil, "INC-42", "put back"], "\(log)")
        #expect(actions.map { $0["release"].number } == [nil, nil, 1, 2], "\(log)")
        #expect(actions[2]["hosts"]["names"].text == "h[001-003]", "\(log)")
        let verified = try await lab.succeed("audit", "verify")
        #expect(verified.out.contains("8 entries"), "\(verified)")

        try await damagedStore(lab)
        try await fullLog(lab)
      }
    }

    @Test func aHostThatAnotherControllerChangedIsRefusedOnceWhileOthersGoOn() async throws {
      try await SafetyLab.with("others", hosts: 2) { fleet in
        let lab = fleet.lab
        try await lab.succeed("apply", "--yes", timeout: 90)
        try FileManager.default.copyItem(atPath: lab.path("state"), toPath: lab.path("other-state"))
        try fleet.set(SafetyPolicy(port: 4002))
        try await lab.succeed("apply", "--yes", "-l", "h001", "--state", "other-state", timeout: 90)
        let theirs = try await lab.rules(of: "h001")

        try fleet.set(SafetyPolicy(port: 4003))
        let applied = try await lab.portcullis("apply", "--yes", timeout: 90)
        #expect(applied.status == 5, "\(applied)")
        #expect(applied.out.contains("1 committed, 1 refused"), "\(applied)")
        #expect(applied.out.contains("it has committed release 2, which this plan"), "\(applied)")
        #expect(applied.out.contains("hint: what the plan knew nothing of is known now"), "\(applied)")
        #expect(!applied.out.contains("--override-lockout"), "\(applied)")
        #expect(try await lab.rules(of: "h001") == theirs)
        // What it said is known now.
        let again = try await lab.succeed("apply", "--yes", timeout: 90)
        #expect(again.out.contains("Release 3,") && again.out.contains("1 committed"), "\(again)")
        #expect(try await lab.rules(of: "h001") == lab.rules(of: "h002"))
      }
    }

    /// Begun anew from what the hosts say, down to the next apply.
    private func damagedStore(_ lab: TestLab) async throws {
      for suffix in ["-wal", "-shm"] {
        try? FileManager.default.removeItem(atPath: lab.path("state/fleet.sqlite\(suffix)"))
      }
      try write([UInt8](repeating: 7, count: 100_000), to: lab.path("state/fleet.sqlite"), mode: 0o600)
      let read = try await lab.portcullis("status")
      #expect(read.status == 1 && read.err.contains("status --refresh"), "\(read)")
      let refreshed = try await lab.succeed("status", "--refresh")
      #expect(refreshed.err.contains("fleet.sqlite.damaged-"), "\(refreshed)")
      #expect(refreshed.err.contains("the audit log holds: 8 entries"), "\(refreshed)")
      #expect(refreshed.out.contains("3 intact") && refreshed.out.contains("3 fresh"), "\(refreshed)")
      let plan = try await lab.portcullis("plan", "--detailed-exitcode")
      #expect(plan.status == 0, "\(plan)")
      try SafetyPolicy(port: 4002).write(to: lab.path("policies/all"))
      try await lab.succeed("apply", "--yes", timeout: 90)
      #expect(try await lab.portcullis("drift").status == 0)
      let log = try JSON(try await lab.succeed("audit", "list", "-o", "json"))["actions"].list
      #expect(log.map { $0["verb"].text }.suffix(2) == ["store", "apply"])
      #expect(log.last?["release"].number == 3)
    }

    /// What cannot be written down is not done.
    private func fullLog(_ lab: TestLab) async throws {
      let log = lab.path("state/audit.ndjson")
      let kept = try bytes(of: log)
      try FileManager.default.removeItem(atPath: log)
      try FileManager.default.createSymbolicLink(atPath: log, withDestinationPath: "/dev/full")
      try SafetyPolicy(port: 4003).write(to: lab.path("policies/all"))
      let before = try await lab.state(of: "h001")
      let refused = try await lab.portcullis("apply", "--yes", timeout: 90)
      #expect(refused.status == 1 && refused.err.contains("nothing was done"), "\(refused)")
      #expect(try await lab.state(of: "h001") == before)
      try FileManager.default.removeItem(atPath: log)
      var altered = kept
      altered[kept.count / 2] ^= 1
      try write(altered, to: log, mode: 0o600)
      let verified = try await lab.portcullis("audit", "verify")
      #expect(verified.status == 2 && verified.out.contains("audit.ndjson:"), "\(verified)")
    }
  }
}
