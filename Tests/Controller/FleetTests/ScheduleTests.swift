import Foundation
import Testing

extension FleetSuite {
  /// Items that hold at some times only, by real connections and the kernel's own clock.
  @Suite(.serialized, .timeLimit(.minutes(6))) struct Schedules {
    /// Says `tick` twice a second to everybody who connects.
    private static let server = """
      use IO::Socket::IP; $SIG{CHLD} = "IGNORE"; $SIG{PIPE} = "IGNORE";
      my $l = IO::Socket::IP->new(LocalHost => "::", LocalPort => $ARGV[0], Listen => 9, ReuseAddr => 1, V6Only => 0);
      while (my $c = $l->accept) { if (!fork) { $c->autoflush(1); while (print $c "tick\\n") { select undef, undef, undef, 0.5 } exit } close $c }
      """

    private static func clock(_ time: Date) -> String {
      let minutes = Int(time.timeIntervalSince1970) / 60 % 1440
      return "\"\(String(format: "%02d:%02d", minutes / 60, minutes % 60))\""
    }

    /// The first change of the minute that leaves time for an apply.
    private static func closing(after now: Date) -> Date {
      Date(timeIntervalSince1970: (((now.timeIntervalSince1970 + 30) / 60).rounded(.up)) * 60)
    }

    private func reaches(_ lab: TestLab, _ port: Int) async throws -> Set<Bool> {
      var answers = Set<Bool>()
      for address in LabAddress.both(1) {
        let script = "exec 3<>/dev/tcp/\(address)/\(port) && read -t 2 word <&3 && [ \"$word\" = tick ]"
        answers.insert(try await lab.exec("h002", "/usr/bin/timeout", "3", "/bin/bash", "-c", script).status == 0)
      }
      return answers
    }

    @Test func windowsOpenAndCloseByThemselvesAndAStrictOneCutsWhatIsOpen() async throws {
      try await SafetyLab.with("schedules", hosts: 2, backend: "mixed") { fleet in
        let lab = fleet.lab
        let folder = lab.path("policies")
        try FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let now = Date()
        let end = Self.closing(after: now)
        func window(_ from: Date, _ to: Date) -> String { "{ from: \(Self.clock(from)), to: \(Self.clock(to)) }" }
        let policy = """
          policy: all
          applies_to: all
          defaults: { input: drop, forward: drop, output: accept }
          input:
            - accept: { in: lo }
            - accept: icmp-essential
            - accept: { service: ssh, from: controllers }
            - accept: { tcp: "8001", when: open }
            - accept: { tcp: "8002", when: later }
            - accept: { tcp: "8003", when: closing }
            - accept: { tcp: "8004", when: closing, strict: true }
            - accept: { tcp: "8005", until: 2020-01-31 }
            - accept: { tcp: "8006", until: 2037-01-31 }
          schedule:
            open: \(window(now - 3600, now + 3600))
            later: \(window(now + 7200, now + 10800))
            closing: \(window(now - 3600, end))

          """
        try Data(policy.utf8).write(to: URL(fileURLWithPath: "\(folder)/all.yaml"))
        for port in 8001...8006 {
          try await lab.shell("h001", "setsid /usr/bin/perl -e '\(Self.server)' \(port) >/dev/null 2>&1 </dev/null &")
        }
        try await lab.succeed("apply", "--yes", timeout: 90)
        for port in [8003, 8004] {
          let script = "exec 3<>/dev/tcp/\(LabAddress.ipv4(1))/\(port); while read word <&3; do date +%s; done"
          try await lab.shell("h002", "setsid /bin/bash -c '\(script)' >/run/flow-\(port) 2>/dev/null </dev/null &")
        }
        let before = try await reaching(lab)
        try #require(Date() < end, "the machine is too slow to look before the window closes")
        #expect(before == [8001: [true], 8002: [false], 8003: [true], 8004: [true], 8005: [false], 8006: [true]])

        try await Task.sleep(for: .seconds(end.timeIntervalSinceNow + 4))
        let after = try await reaching(lab)
        #expect(after == [8001: [true], 8002: [false], 8003: [false], 8004: [false], 8005: [false], 8006: [true]])
        func lastTick(_ port: Int) async throws -> Double {
          try Double(#require(Int(await lab.shell("h002", "tail -n 1 /run/flow-\(port)").filter(\.isNumber))))
        }
        // What was opened in time goes on, unless the item says strict.
        #expect(try await lastTick(8003) > end.timeIntervalSince1970 + 3)
        let cut = try await lastTick(8004)
        #expect(cut > now.timeIntervalSince1970 && cut <= end.timeIntervalSince1970 + 1)
      }
    }

    private func reaching(_ lab: TestLab) async throws -> [Int: Set<Bool>] {
      var answers: [Int: Set<Bool>] = [:]
      for port in 8001...8006 { answers[port] = try await reaches(lab, port) }
      return answers
    }
  }
}
