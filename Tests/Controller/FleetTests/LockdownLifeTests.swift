import Core
import Foundation
import Glibc
import TestSupport
import Testing

extension FleetSuite {
  /// How lockdowns live on and end: by time, through boots and deaths, over changes that wait, at the console.
  @Suite(.serialized, .timeLimit(.minutes(60))) struct LockdownLives {
    private static let agent = "/usr/local/lib/portcullis/portcullis-agent"

    private func answers(_ lab: LockdownLab, _ host: String) async throws -> [Bool] {
      var heard: [Bool] = []
      for address in LabAddress.both(Int(host.dropFirst())!) {
        heard.append(try await lab.lab.connects(lab.outsider, address, LockdownLab.port))
      }
      return heard
    }

    private static func time(_ value: JSON) -> Date? { value.text.flatMap { ISO8601DateFormatter().date(from: $0) } }

    /// When the hosts were seen open, in seconds since 1970.
    private func opened(_ lab: LockdownLab, within limit: Double) async throws -> [String: Double] {
      var opened: [String: Double] = [:]
      let end = Date().timeIntervalSince1970 + limit
      while opened.count < lab.insiders.count, Date().timeIntervalSince1970 < end {
        for host in lab.insiders where opened[host] == nil {
          // Between the families is a moment.
          let jumps = try await lab.jumps(host)
          if jumps == [0, 0] { opened[host] = Date().timeIntervalSince1970 }
        }
        try await Task.sleep(for: .milliseconds(500))
      }
      return opened
    }

    @Test func aLockOutlivesABootAndOpensByItselfWhenItsTimeIsOver() async throws {
      try await LockdownLab.with("timed", insiders: 2) { lab in
        let begun = Date().timeIntervalSince1970
        let started = try await lab.start("isolate", ["--lifts-after", "1m"])
        #expect(started.status == 0, "\(started)")
        let obeyed = Date().timeIntervalSince1970
        let order = try JSON(started)["order"]
        let (issued, arriveBy) = try (#require(Self.time(order["issued"])), #require(Self.time(order["arrive_by"])))
        #expect(arriveBy.timeIntervalSince(issued) == 3600)
        let before = try await lab.lab.shell("h001", "cat /proc/sys/kernel/random/boot_id")
        try await lab.boot("h001")
        #expect(try await lab.lab.shell("h001", "cat /proc/sys/kernel/random/boot_id") != before)
        #expect(try await lab.isLocked("h001"))
        try await lab.lab.listen("h001", port: LockdownLab.port)
        #expect(try await answers(lab, "h001") == [false, false])
        let booted = Date().timeIntervalSince1970
        let status = try await lab.lab.portcullis("lockdown", "status")
        #expect(status.status == 0, "\(status)")

        let opened = try await opened(lab, within: 150)
        let (first, second) = try (#require(opened["h001"]), #require(opened["h002"]))
        #expect(second >= begun + 60 && second <= obeyed + 60 + 10, "\(second - obeyed) s after it obeyed")
        // What ran between the last record and the boot is not counted, nor is the boot.
        #expect(first >= begun + 60 && first <= booted + 60 + 10, "\(first - begun) s after the order")
        #expect(try await answers(lab, "h001") == [true, true])
        // The same order locks nobody again.
        let again = try await lab.order("resume", ["--all", "--for", "5s"])
        #expect(try again.status == 3 && lab.hosts("acknowledged", in: again) == Set(lab.insiders), "\(again)")
        for host in lab.insiders { #expect(try await lab.isLocked(host) == false) }
        try await lab.lab.succeed("status", "--refresh")
        let events = try await lab.lab.portcullis("events").out
        #expect(events.contains("locked down") && events.contains("lifted"), "\(events)")
      }
    }

    @Test func aChangeThatWaitsIsTakenBackBeneathAnOrderAndNobodyConfirmsItAnyMore() async throws {
      try await LockdownLab.with("waiting", insiders: 2) { lab in
        var old: [[String]] = []
        for host in lab.insiders { old.append(try await lab.lab.rules(of: host)) }
        try lab.fleet.set(SafetyPolicy(port: 4002))
        let pending = try await lab.lab.portcullis(
          "apply", "--yes", "--confirm", "manual", "--confirm-timeout", "300", "-l", lab.pattern, "-o", "json")
        #expect(try JSON(pending).hosts.values.allSatisfy { $0["result"].text == "pending" }, "\(pending)")
        let started = try await lab.start("isolate")
        #expect(started.status == 0, "\(started)")
        #expect(try lab.hosts("verified", in: started) == Set(lab.insiders), "\(started)")
        let confirmed = try await lab.lab.portcullis("confirm", "-l", lab.pattern)
        #expect(confirmed.status != 0, "\(confirmed)")
        for host in lab.insiders {
          #expect(try await lab.isLocked(host))
          #expect(try await !lab.lab.rules(of: host).contains { $0.contains("--dport 4002 ") }, "\(host)")
        }
        let lifted = try await lab.lift()
        #expect(lifted.status == 0, "\(lifted)")
        for (host, rules) in zip(lab.insiders, old) { #expect(try await lab.lab.rules(of: host) == rules, "\(host)") }
      }
    }

    @Test func rootAtTheConsoleLiftsAndAMissingProfileIsToldAndMended() async throws {
      try await LockdownLab.with("console", insiders: 2) { lab in
        let open = try await lab.lab.exec("h001", Self.agent, "lift", "--local", "--reason", "nothing to lift")
        #expect(open.status == 0 && (open.out + open.err).contains("not locked down"), "\(open)")
        #expect(try await lab.start("isolate").status == 0)
        let unsure = try await lab.lab.exec("h001", Self.agent, "lift", "--reason", "locked out")
        #expect(unsure.status == 64, "\(unsure)")
        #expect(try await lab.isLocked("h001"))
        let block = try #require(try RunnablePage("docs/recovery.md").blocks["host lift"])
        let lifted = try await lab.lab.exec("h001", "/bin/sh", input: .bytes(Array(block.utf8)))
        #expect(lifted.status == 0, "\(lifted)")
        #expect(try await lab.isLocked("h001") == false)
        #expect(try await lab.isLocked("h002"))
        let status = try await lab.lab.portcullis("lockdown", "status", "-o", "json")
        #expect(status.status == 2 && status.out.contains("the controller is gone"), "\(status)")
        // The order that locked it does not do so again.
        let again = try await lab.order("resume", ["--all", "--for", "5s"])
        #expect(try lab.hosts("acknowledged", in: again) == ["h001"], "\(again)")
        #expect(try lab.hosts("verified", in: again) == ["h002"], "\(again)")
        #expect(try await lab.isLocked("h001") == false)
        #expect(try await lab.lift().status == 0)

        try await lab.lab.shell("h002", "rm /var/lib/portcullis/committed/lockdown.0.ipv6.rules")
        let missing = try await lab.start("isolate")
        #expect(missing.status == 3, "\(missing)")
        #expect(try JSON(missing).hosts["h002"]?["code"].text == "profileMissing", "\(missing)")
        #expect(try lab.hosts("verified", in: missing) == ["h001"], "\(missing)")
        // As the runbook says.
        let applied = try await lab.fleet.apply(["--refresh"])
        #expect(applied["h002"]?["result"].text == "committed", "\(applied)")
        let resumed = try await lab.order("resume", [])
        #expect(resumed.status == 0, "\(resumed)")
        #expect(try await lab.isLocked("h002"))
      }
    }

    @Test func aFlowThatTheProfileKeepsLivesThroughTheOrder() async throws {
      try await LockdownLab.with("keeping", insiders: 1) { lab in
        try write(
          """
          lockdown: keeping
          description: Storage goes on.
          rank: 30
          applies_to: all
          keep:
            input: [{ tcp: \(LockdownLab.port), from: [\(LabAddress.both(Int(lab.outsider.dropFirst())!).map { "\"\($0)\"" }.joined(separator: ", "))] }]
          defaults: { input: drop, forward: drop, output: drop }

          """, to: lab.lab.path("policies/lockdown/keeping.yaml"))
        let applied = try await lab.fleet.apply()
        #expect(applied.values.allSatisfy { $0["result"].text == "committed" }, "\(applied)")
        let streams = LockdownStreams(fleet: lab)
        try await streams.open(lab.insiders, seconds: 60)
        let started = try await lab.start("keeping")
        #expect(started.status == 0, "\(started)")
        let obeyed = Date().timeIntervalSince1970
        try await Task.sleep(for: .seconds(4))
        for (stream, last) in try await streams.lastHeard(lab.insiders) {
          // What the outsider began goes on, at both ends; what the host began does not.
          let isKept = stream.hasPrefix(lab.outsider) == stream.contains("called")
          #expect(isKept ? last > obeyed + 2 : last <= obeyed + 1, "\(stream): \(last - obeyed) s after the order")
        }
        // Anew, too. Who answers there never pauses, so nothing waits for the end of what it says.
        let call = "IO::Socket::IP->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 3) or exit 1"
        for address in LabAddress.both(1) {
          let called = try await lab.lab.exec(
            lab.outsider, "/usr/bin/perl", "-MIO::Socket::IP", "-e", call, address, "\(LockdownLab.port)")
          #expect(called.status == 0, "\(address): \(called)")
        }
      }
    }

    /// The power fails, or the agent is killed, about when the time of a lock is over.
    @Test func whateverDiesAsALockEndsByItselfItIsThereOrGoneInBothFamiliesAndThenGone() async throws {
      let seed = Safety.count("PORTCULLIS_SEED", Int.random(in: 1...1_000_000))
      print("seed: PORTCULLIS_SEED=\(seed)")
      var random = Random(seed: UInt64(seed))
      try await LockdownLab.with("ending", insiders: 2) { lab in
        // Booted, its first process keeps the agent going.
        for host in lab.insiders { try await lab.boot(host) }
        let started = try await lab.start("isolate", ["--lifts-after", "1m"])
        #expect(started.status == 0, "\(started)")
        let obeyed = Date()
        let (fails, dies) = (Int(random.next() % 1500), Int(random.next() % 1500))
        try await Task.sleep(for: .seconds(59.2 - Date().timeIntervalSince(obeyed)))
        async let power: Void = lab.boot("h001", after: fails)
        async let death: Void = lab.killAgent("h002", after: dies)
        try await power
        try await death
        for host in lab.insiders { _ = try await lab.settled(host) }
        // At the most what ran since the last record, 10 s, is waited for again.
        let opened = try await opened(lab, within: 30)
        #expect(Set(opened.keys) == Set(lab.insiders), "\(opened)")
        for host in lab.insiders { #expect(try await lab.settled(host) == false) }
      }
    }

    /// The power fails, or the agent is killed, at random moments of orders and lifts: what a host holds afterwards is what
    /// its journal says, in both families, and a lock that the operator was told of is there.
    @Test func whateverDiesWhileAHostLocksOrOpensBothFamiliesAreAsTheJournalSays() async throws {
      let rounds = Safety.count("PORTCULLIS_LOCK_DEATHS", 6)
      let seed = Safety.count("PORTCULLIS_SEED", Int.random(in: 1...1_000_000))
      print("seed: PORTCULLIS_SEED=\(seed)")
      var random = Random(seed: UInt64(seed))
      try await LockdownLab.with("dying", insiders: 2) { lab in
        // Booted, its first process keeps the agent going.
        try await lab.boot("h002")
        for round in 1...rounds {
          let locks = round % 2 == 1
          // An order takes about this long to be carried and obeyed.
          let (fails, dies) = (Int(random.next() % 900), Int(random.next() % 900))
          async let power: Void = lab.boot("h001", after: fails)
          async let death: Void = lab.killAgent("h002", after: dies)
          // Shorter than a boot: what the host holds then, it held before anybody asked again.
          let brief = ["--for", "1s", "--timeout", "4"]
          let told = locks ? try await lab.start("isolate", brief) : try await lab.lift(brief)
          try await power
          try await death
          let verified = try lab.hosts("verified", in: told)
          for host in lab.insiders {
            let isLocked = try await lab.settled(host)
            if verified.contains(host) { #expect(isLocked == locks, "round \(round), \(host): \(told)") }
          }
          let resumed = try await lab.order("resume", ["--all"])
          #expect(resumed.status == 0, "round \(round): \(resumed)")
          for host in lab.insiders { #expect(try await lab.isLocked(host) == locks, "round \(round), \(host)") }
        }
      }
      try Safety.record("lockdown.deaths", Double(rounds * 2))
    }
  }
}

extension LockdownLab {
  /// Of INPUT to the lockdown, in IPv4 and IPv6.
  func jumps(_ host: String) async throws -> [Int] {
    let found = try await lab.shell(
      host, "for p in iptables-save ip6tables-save; do $p | grep -c '^-A INPUT -j PCLLOCK-INPUT' || true; done")
    return found.split(separator: "\n").compactMap { Int($0) }
  }

  func boot(_ host: String, after milliseconds: Int) async throws {
    try await Task.sleep(for: .milliseconds(milliseconds))
    try await boot(host)
  }

  func killAgent(_ host: String, after milliseconds: Int) async throws {
    try await Task.sleep(for: .milliseconds(milliseconds))
    try await lab.shell(host, "pkill -KILL -f '^[^ ]*portcullis-agent serve' || true")
  }

  /// Whether it is locked, once an agent runs that says the same of both families as the kernel holds.
  func settled(_ host: String) async throws -> Bool {
    var last = ""
    for _ in 0..<60 {
      let reported = try await lab.portcullis("lockdown", "status", "-l", host, "-o", "json")
      let kernel = try await jumps(host)
      last = "\(kernel), \(reported)"
      if let standing = try? JSON(reported).hosts[host], let state = standing["state"].text,
        kernel == (state == "locked-down" ? [1, 1] : [0, 0])
      {
        return state == "locked-down"
      }
      try await Task.sleep(for: .milliseconds(500))
    }
    Issue.record("\(host) is never as it says: \(last)")
    return false
  }
}
