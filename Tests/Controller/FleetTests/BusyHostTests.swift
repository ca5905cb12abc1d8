import Foundation
import Testing

extension FleetSuite {
  /// Somebody else writes rules while we do.
  @Suite(.serialized, .timeLimit(.minutes(120))) struct BusyHost {
    @Test(arguments: ["nft", "legacy"])
    func aWriterTenTimesASecondLosesNothingAndNeitherDoWe(backend: String) async throws {
      let applies = Safety.count("PORTCULLIS_WRITER_APPLIES", 12)
      try await SafetyLab.with("busy-\(backend)", hosts: 1, backend: backend) { fleet in
        let writer = try await ForeignWriter.start(.tenTimesASecond, on: "h001", of: fleet.lab)
        var refusedOurs: [String] = []
        for number in 1...applies {
          try fleet.set(SafetyPolicy(port: 4000 + number, fillers: 50))
          let result = try await fleet.apply()["h001"]
          if result?["result"].text != "committed" { refusedOurs.append("\(number): \(result?["detail"].text ?? "-")") }
        }
        try await writer.stop()
        let wrongs = try await writer.wrongs()
        let changes = try await writer.changes()
        #expect(wrongs == [] && refusedOurs == [], "\(wrongs) \(refusedOurs)")
        #expect(changes.refused == 0, "its programs were refused \(changes.refused) times")
        // It really wrote meanwhile.
        #expect(changes.made > applies)
        // And what is ours is as it was signed.
        let drift = try await fleet.lab.portcullis("drift")
        #expect(drift.status == 0, "\(drift)")
        try Safety.record("writer_\(backend)_applies", Double(applies))
        try Safety.record("writer_\(backend)_lost", Double(wrongs.count + refusedOurs.count + changes.refused))
      }
    }

    @Test(arguments: ["nft", "legacy"])
    func aWriterWhoNeverPausesIsNamedAndCannotHoldUsForLong(backend: String) async throws {
      try await SafetyLab.with("restless-\(backend)", hosts: 1, backend: backend) { fleet in
        try fleet.set(SafetyPolicy(port: 4001, fillers: 300))
        try #require(try await fleet.apply()["h001"]?["result"].text == "committed")
        let old = try await Self.own(fleet)
        let writer = try await ForeignWriter.start(.withoutPause, on: "h001", of: fleet.lab)
        try fleet.set(SafetyPolicy(port: 4002, fillers: 300))
        let start = ContinuousClock.now
        let applied = try await fleet.lab.portcullis("apply", "--yes", "-o", "json", "--timeout", "300", timeout: 400)
        let seconds = start.duration(to: .now) / .seconds(1)
        try await writer.stop()
        let result = try JSON(applied).hosts["h001"]
        try Safety.record("restless_\(backend)_seconds", seconds)
        // Either there was a quiet moment after all, or the host says who left none.
        if result?["result"].text != "committed" {
          #expect(try await Self.own(fleet) == old, "\(applied)")
          if backend == "nft" { #expect(result?["detail"].text?.contains("nft") == true, "\(applied)") }
        }
        #expect(seconds < 180)
        // The next try succeeds when it stops.
        #expect(try await fleet.apply()["h001"]?["result"].text != "reverted")
        #expect(try await Self.own(fleet) != old)
      }
    }

    /// Our part of both families.
    private static func own(_ fleet: SafetyLab) async throws -> String {
      try await fleet.lab.shell("h001", "iptables-save | grep PCL; ip6tables-save | grep PCL").split(separator: "\n")
        .filter { $0.hasPrefix("-A") }.joined(separator: "\n")
    }
  }
}
