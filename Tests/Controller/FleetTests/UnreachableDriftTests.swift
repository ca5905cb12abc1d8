import Foundation
import Testing

extension FleetSuite {
  /// Whoever cannot be asked has not drifted: what it said last stands, as of its time.
  @Suite(.serialized, .timeLimit(.minutes(10))) struct UnreachableDrift {
    private static let host = "h001"

    private func expectSilent(
      _ lab: TestLab, _ flags: [String], _ why: String, serial: Int?, _ words: String
    ) async throws {
      func run(_ verb: String...) async throws -> Finished {
        try await Command.run(
          Machine.portcullis, verb + ["--timeout", "5"] + flags, in: lab.folder)
      }
      let status = try await run("status", "--refresh", "-o", "json")
      #expect(status.status == 4, "\(words): \(status)")
      let hosts = try JSON(status).hosts
      let silent = try #require(hosts[Self.host])
      #expect(silent["contact"].text == "unreachable" && silent["integrity"].text == "intact", "\(words): \(status)")
      #expect(silent["serial"].number == serial && (silent["age_seconds"].number ?? 0) >= 1, "\(words): \(status)")
      let reasons = silent["reasons"].strings.joined(separator: "; ")
      #expect(reasons.contains("no contact since ") && reasons.contains(why), "\(words): \(reasons)")

      let drift = try await run("drift")
      #expect(drift.status == 4 && drift.out.contains("unreachable, not judged: "), "\(words): \(drift)")
      #expect(drift.out.contains("no drift; ") && !drift.out.contains("\ndrifted"), "\(words): \(drift)")
      let shown = try await run("drift", "show", Self.host)
      #expect(shown.status == 4 && !shown.out.contains("drifted h"), "\(words): \(shown)")
    }

    private func events(_ lab: TestLab) async throws -> [String] {
      let history = try JSON(try await lab.succeed("history", Self.host, "-o", "json"))
      return history["events"].list.compactMap { $0["event"].text }
    }

    @Test func aHostWithoutSSHWithAnotherKeyOrThatDoesNotKnowOursIsUnreachableAndNotDrifted() async throws {
      try await SafetyLab.with("silent", hosts: 2) { fleet in
        let lab = fleet.lab
        try await lab.succeed("apply", "--yes")
        let told = try JSON(try await lab.succeed("status", "--refresh", "-o", "json")).hosts
        let serial = told[Self.host]?["serial"].number
        try #require(serial != nil)
        try await Task.sleep(for: .seconds(2))

        // The other host's key in the place of its own.
        let lines = try text(of: lab.path("known_hosts")).split(separator: "\n").map(String.init)
        let own = try #require(lines.first { $0.hasPrefix("h001") })
        let other = try #require(lines.first { $0.hasPrefix("h002") })
        let swapped = "\(own.prefix { $0 != " " }) \(other.drop { $0 != " " }.dropFirst())"
        try write("\(swapped)\n\(other)\n", to: lab.path("swapped_hosts"))
        let keys = try lab.configuration("swapped.yaml", ["known_hosts": "swapped_hosts"])
        try await expectSilent(lab, ["--config", keys], "key", serial: serial, "another host key")

        // Nobody knows this key.
        try await Command.succeed(
          "/usr/bin/ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", lab.path("keys/stranger")])
        let stranger = try lab.configuration("stranger.yaml", ["identity": "keys/stranger"])
        try await expectSilent(lab, ["--config", stranger], "is not let in with", serial: serial, "a wrong client key")

        // One that was ended would be started again.
        try await lab.shell(Self.host, "kill -STOP $(pgrep -x sshd)")
        try await expectSilent(lab, [], "10.77.1.1", serial: serial, "no sshd")
        try await lab.shell(Self.host, "kill -CONT $(pgrep -x sshd)")
        try await lab.succeed("status", "--refresh")
        let events = try await events(lab)
        #expect(events.contains("unreachable") && events.contains("reached"), "\(events)")
        #expect(!events.contains("drifted") && !events.contains("drift-changed"), "\(events)")
      }
    }

    /// In the place of the bridge.
    @Test(arguments: [
      ("drips for ever", "printf \"\\000\\000\\000\\077\"; while :; do printf x; sleep 1; done"),
      ("floods", "exec cat /dev/urandom"),
    ])
    func aHostileHostDelaysNeitherDriftNorAWatchOfTheOthers(_ what: String, _ script: String) async throws {
      try await SafetyLab.with("hostile-\(what.prefix(5))", hosts: 3) { fleet in
        let lab = fleet.lab
        try await lab.succeed("apply", "--yes")
        try await lab.shell(
          Self.host,
          """
          printf '%s\\n' '#!/bin/sh' '\(script)' > /usr/local/bin/strange; chmod 755 /usr/local/bin/strange
          sed -i 's#/usr/local/lib/portcullis/portcullis-bridge$#/usr/local/bin/strange#' /etc/passwd
          """)
        try await lab.shell("h002", "iptables -I INPUT -p tcp --dport 8081 -j ACCEPT")
        let drift = try await lab.portcullis("drift", "--timeout", "8", "-o", "json")
        #expect(drift.status == 4 && drift.seconds < 20, "\(what): \(drift)")
        let document = try JSON(drift)
        #expect(document["unreachable"].strings == [Self.host], "\(what): \(drift)")
        #expect(document["groups"].list.map { $0["hosts"].strings } == [["h002"]] && document["intact"].number == 1)

        let watched = try await lab.portcullis("drift", "--watch", "--for", "12s", "--timeout", "8", "-o", "ndjson")
        let lines = watched.out.split(separator: "\n")
        #expect(watched.seconds < 30 && lines.count < 20, "\(what): \(watched)")
        #expect(lines.contains { $0.contains("\"differs\"") && $0.contains("h002") }, "\(what): \(watched)")
      }
    }
  }
}
