import Core
import Foundation
import Glibc
import Testing
import Wire

extension FleetSuite {
  /// Lockdowns as operators order them: real hosts, real keys, real connections.
  @Suite(.serialized, .timeLimit(.minutes(30))) struct LockdownOrders {
    /// From another machine, in both families; a listener of the host's own must be there.
    private func answers(_ lab: LockdownLab, _ host: String, from other: String) async throws -> [Bool] {
      let number = Int(host.dropFirst())!
      var heard: [Bool] = []
      for address in LabAddress.both(number) {
        heard.append(try await lab.lab.connects(other, address, LockdownLab.port))
      }
      return heard
    }

    @Test func anOrderLocksAllHostsAndALiftOpensThem() async throws {
      try await LockdownLab.with("lockdown") { lab in
        for host in lab.insiders {
          try await lab.lab.listen(host, port: LockdownLab.port)
          #expect(try await answers(lab, host, from: lab.outsider) == [true, true])
        }
        // Nothing is sent before somebody says for how many hosts.
        let uncounted = try await lab.order("start", ["isolate", "-l", lab.pattern, "--no-input"])
        #expect(uncounted.status == 5 && uncounted.err.contains("--confirm-hosts 3"), "\(uncounted)")
        let miscounted = try await lab.order(
          "start", ["isolate", "-l", lab.pattern, "--confirm-hosts", "4", "--reason", "x"])
        #expect(miscounted.status == 5 && miscounted.err.contains("says 4") && miscounted.err.contains("means 3"))
        let mistyped = try await lab.typed("lockdown 4", "start", ["isolate", "-l", lab.pattern])
        #expect(mistyped.status == 5 && mistyped.out.contains("it was not typed"), "\(mistyped)")
        #expect(mistyped.out.contains("hosts   h[001-003]") && mistyped.out.contains("scope   all,!"), "\(mistyped)")
        #expect(try await lab.isLocked("h001") == false)

        let before = try await lab.lab.state(of: "h001")
        let drill = try await lab.order("drill", ["isolate", "-l", lab.pattern])
        #expect(drill.status == 0, "\(drill)")
        #expect(try lab.hosts("verified", in: drill) == Set(lab.insiders))
        #expect(try await lab.lab.state(of: "h001") == before)

        let started = try await lab.start("isolate")
        #expect(started.status == 0, "\(started)")
        #expect(try lab.hosts("verified", in: started) == Set(lab.insiders), "\(started)")
        for host in lab.insiders {
          #expect(try await lab.isLocked(host))
          #expect(try await answers(lab, host, from: lab.outsider) == [false, false])
        }
        #expect(try await lab.isLocked(lab.outsider) == false)
        // The controller's own way is open, and what is there is as ordered: no drift.
        try await lab.lab.succeed("lockdown", "status")
        try await lab.lab.succeed("drift", "-l", lab.pattern)

        // The layer is judged by itself, and the same order mends it. The agent does so too, at once the first time and ever
        // more seldom: somebody takes it out until that is seen.
        var differs = try await lab.lab.portcullis("lockdown", "status")
        var drift = differs
        for _ in 0..<6 where differs.status != 2 || drift.status != 2 {
          try await lab.lab.shell("h001", "iptables -t mangle -F PCLLOCK-INPUT")
          differs = try await lab.lab.portcullis("lockdown", "status")
          drift = try await lab.lab.portcullis("drift", "-l", "h001")
        }
        #expect(differs.status == 2 && differs.out.contains("resume 2 --all"), "\(differs)")
        #expect(drift.status == 2, "\(drift)")
        let mended = try await lab.order("resume", ["--all"])
        #expect(mended.status == 0, "\(mended)")
        try await lab.lab.succeed("drift", "-l", "h001")

        // An apply goes on beneath it, and lifts nothing.
        try lab.fleet.set(SafetyPolicy(port: 4002))
        let applied = try await lab.fleet.apply()
        #expect(applied.values.allSatisfy { $0["result"].text == "committed" }, "\(applied)")
        for host in lab.insiders { #expect(try await lab.isLocked(host)) }

        let lifted = try await lab.lift()
        #expect(lifted.status == 0, "\(lifted)")
        for host in lab.insiders { #expect(try await lab.isLocked(host) == false) }
        // What was applied meanwhile holds.
        #expect(try await answers(lab, "h001", from: lab.outsider) == [false, false])
        try lab.fleet.set(SafetyPolicy(port: 4001))
        _ = try await lab.fleet.apply()
        #expect(try await answers(lab, "h001", from: lab.outsider) == [true, true])

        // A person types the number, and sees on a second screen how it goes.
        let typed = try await lab.typed("lockdown 3", "start", ["isolate", "-l", lab.pattern])
        #expect(typed.status == 0 && typed.out.contains("acknowledged 3  verified 3"), "\(typed)")
        #expect(try await lab.isLocked("h001"))
        async let watching = lab.watched(for: 24)
        try await Task.sleep(for: .seconds(5))
        let liftedAgain = try await lab.lift()
        #expect(liftedAgain.status == 0, "\(liftedAgain)")
        let watched = try await watching
        #expect(watched.status == 130, "\(watched)")
        for words in ["3 locked down", "3 open"] { #expect(watched.out.contains(words), "\(watched)") }
        let log = try await lab.lab.succeed("audit", "list").out
        for verb in ["lockdown drill", "lockdown start", "lockdown resume", "lockdown lift"] {
          #expect(log.contains(verb), "\(log)")
        }
      }
    }

    @Test func aBadOrderIsRefusedWithItsOwnCodeAndOthersAreNotDelayed() async throws {
      try await LockdownLab.with("replays") { lab in
        let host = "h001"
        func code(_ order: CraftedOrder) async throws -> Refusal.Code? {
          let answer = try await lab.lab.bring(order, to: host)
          #expect(answer.obeyed.isEmpty, "\(answer.obeyed)")
          return answer.refusals.first?.code
        }
        let drill = try await CraftedOrder.lockdown(lab.lab, epoch: 3, isDrill: true)
        #expect(try await lab.lab.bring(drill, to: host).obeyed.first?.result == .drilled)
        // The same bytes are a drill for ever, and pass for nothing else.
        #expect(try await code(drill.posing(as: .unlock)) == .otherNamespace)
        #expect(try await lab.isLocked(host) == false)

        let first = try await CraftedOrder.lockdown(lab.lab, epoch: 3)
        #expect(try await lab.lab.bring(first, to: host).obeyed.first?.result == .locked)
        #expect(try await code(try await CraftedOrder.lockdown(lab.lab, epoch: 2)) == .olderEpoch)
        #expect(
          try await code(try await CraftedOrder.lockdown(lab.lab, epoch: 3, profile: "no-egress"))
            == .equalEpochOtherBytes)
        #expect(
          try await code(try await CraftedOrder.lockdown(lab.lab, epoch: 4, profile: "no-egress")) == .wouldLoosen)
        #expect(try await code(try await CraftedOrder.lockdown(lab.lab, epoch: 4, fleet: "other")) == .otherFleet)
        #expect(try await code(try await CraftedOrder.lockdown(lab.lab, epoch: 4 + 1 << 21)) == .epochTooFarAhead)
        #expect(
          try await code(try await CraftedOrder.lockdown(lab.lab, epoch: 4, profile: "nothing")) == .unknownProfile)
        #expect(try await code(try await CraftedOrder.lockdown(lab.lab, epoch: 4, any: [])) == .emptyScope)
        #expect(try await code(try await CraftedOrder.lockdown(lab.lab, epoch: 4, namespace: nil)) == .unsigned)
        #expect(
          try await code(try await CraftedOrder.lockdown(lab.lab, epoch: 4, issued: -900, arrivesWithin: 600))
            == .orderExpired)
        let year: Int64 = 365 * 86_400
        #expect(
          try await code(try await CraftedOrder.lockdown(lab.lab, epoch: 4, issued: 10 * year)) == .clockOff)
        #expect(try await lab.isLocked(host))

        let unlock = try await CraftedOrder.unlock(lab.lab, epoch: 4)
        #expect(try await lab.lab.bring(unlock, to: host).obeyed.first?.result == .lifted)
        // After a lift the old order is only an old order.
        #expect(try await code(first) == .olderEpoch)
        #expect(try await code(drill) == .olderEpoch)
        #expect(try await lab.isLocked(host) == false)

        // One for others is heard, and locks nobody here.
        let others = try await CraftedOrder.lockdown(lab.lab, epoch: 5, any: ["nobody"])
        #expect(try await lab.lab.bring(others, to: host).obeyed.first?.result == .outOfScope)
        #expect(try await code(unlock) == .olderEpoch)
        #expect(try await lab.isLocked(host) == false)

        // Shown per host: h001's profile is damaged, the others obey.
        try await lab.lab.shell(host, "echo '# x' >> /var/lib/portcullis/committed/lockdown.0.ipv4.rules")
        // Their reports tell which orders they heard, so that ours are later.
        _ = try await lab.lab.portcullis("status", "--refresh")
        // A drill says so before.
        let rehearsed = try await lab.order("drill", ["isolate", "-l", lab.pattern])
        #expect(rehearsed.status == 2, "\(rehearsed)")
        #expect(try JSON(rehearsed).hosts[host]?["code"].text == "profileAltered", "\(rehearsed)")
        #expect(try lab.hosts("verified", in: rehearsed) == ["h002", "h003"], "\(rehearsed)")
        let mixed = try await lab.start("isolate")
        #expect(mixed.status == 3, "\(mixed)")
        #expect(try JSON(mixed).hosts[host]?["code"].text == "profileAltered", "\(mixed)")
        #expect(try lab.hosts("verified", in: mixed) == ["h002", "h003"], "\(mixed)")
        let slowest = try #require(try JSON(mixed)["times"]["max_milliseconds"].number, "\(mixed)")
        #expect(slowest < 5000 && mixed.seconds < 10, "\(mixed)")
      }
    }

    @Test func aHostThatReturnsObeysAndAKilledControllerGoesOn() async throws {
      try await LockdownLab.with("returning") { lab in
        try await lab.link("h002", "down")
        async let running = lab.start("isolate", ["--for", "120s", "--timeout", "5"], timeout: 150)
        try await Task.sleep(for: .seconds(8))
        try await lab.boot("h002")
        let started = try await running
        #expect(started.status == 0, "\(started)")
        #expect(try await lab.isLocked("h002"))
        let lifted = try await lab.lift()
        #expect(lifted.status == 0, "\(lifted)")

        try await lab.link("h003", "down")
        let pid = "\(try Machine.scratch())/pid-\(UInt32.random(in: .min ... .max))"
        let command =
          "echo $$ > '\(pid)'; exec '\(Machine.portcullis)' lockdown start isolate -l '\(lab.pattern)' "
          + "--confirm-hosts 3 --reason x --timeout 5"
        async let killed = Command.run("/bin/sh", ["-c", command], in: lab.lab.folder, timeout: 60)
        var waited = 0
        while waited < 40 {
          // One family is locked a moment before the other.
          if try await lab.jumps("h001") == [1, 1], try await lab.jumps("h002") == [1, 1] { break }
          waited += 1
          try await Task.sleep(for: .milliseconds(500))
        }
        // Each answer is on the disk as soon as it is shown.
        try await Task.sleep(for: .seconds(1))
        let process = try #require(pid_t(try text(of: pid).trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(kill(process, SIGKILL) == 0)
        #expect(try await killed.status == 137)
        // A lift of others does not come before the lockdown that is on its way.
        let partial = try await lab.order(
          "lift", ["-l", "h001", "--confirm-hosts", "1", "--reason", "x", "--for", "5s", "--timeout", "5"])
        #expect(partial.status == 0 && partial.err.contains("not for h003, and not brought there"), "\(partial)")
        #expect(try lab.hosts("verified", in: partial) == ["h001"], "\(partial)")
        #expect(try lab.hosts("not-meant", in: partial) == ["h002", "h004"], "\(partial)")
        try await lab.boot("h003")
        let resumed = try await lab.order("resume", [])
        #expect(resumed.status == 0, "\(resumed)")
        #expect(try lab.hosts("verified", in: resumed) == ["h003"], "\(resumed)")
        #expect(try await lab.isLocked("h003"))
        #expect(try await lab.isLocked("h001") == false)
        let again = try await lab.order("resume", [])
        #expect(again.status == 0 && again.err.contains("every host obeyed"), "\(again)")

        // One that waits for an unreachable host is interrupted, and says how to go on.
        try await lab.link("h003", "down")
        let interrupted = try await Command.run(
          "/usr/bin/timeout",
          [
            // Without it timeout signals twice, and a second Ctrl-C ends the program at once.
            "--foreground", "--preserve-status", "--signal=INT", "8", Machine.portcullis, "lockdown", "resume", "3",
            "--all", "--timeout", "3",
          ], in: lab.lab.folder)
        #expect(interrupted.status == 130 && interrupted.out.contains("portcullis lockdown resume 3"), "\(interrupted)")
        #expect(interrupted.out.contains("interrupted: 1 answered, 1 to go"), "\(interrupted)")
      }
    }

    @Test func twoPeopleSignAndOneWithTwoKeysIsOnePerson() async throws {
      try await LockdownLab.with("signed") { lab in
        let bob = try await CraftedBundle.newKey("bob")
        let another = try await CraftedBundle.newKey("another")
        let signers = try text(of: lab.lab.path("keys/allowed_signers"))
        let first = try #require(signers.split(separator: "\n").first { $0.contains("lockdown@portcullis") })
        let anna = try #require(first.split(separator: " ").first)
        let only = "namespaces=\"lockdown@portcullis\""
        let both = "namespaces=\"lockdown@portcullis,unlock@portcullis\""
        try write(
          signers + "bob@example.net \(both) \(bob.publicKey)\n\(anna) \(only) \(another.publicKey)\n",
          to: lab.lab.path("keys/two"))
        // Hosts ask for two; another controller's portcullis.yaml does not know yet.
        for (file, thresholds) in [("two.yaml", "\n  thresholds: { lockdown: 2, unlock: 2 }"), ("one.yaml", "")] {
          try write(
            try text(of: lab.lab.path("portcullis.yaml")).replacingOccurrences(
              of: "keys/allowed_signers", with: "keys/two" + thresholds), to: lab.lab.path(file))
        }
        let two = ["--config", lab.lab.path("two.yaml")]
        let one = ["--config", lab.lab.path("one.yaml")]
        let reason = ["--reason", "x"]
        try await Command.succeed(
          Machine.portcullis, ["enroll"] + lab.fleet.hosts + two, in: lab.lab.folder, timeout: 120)
        func sign(_ epoch: Int, _ key: String) async throws -> Finished {
          try await Command.run(
            Machine.portcullis, ["lockdown", "sign", "\(epoch)", "--key", key] + two, in: lab.lab.folder)
        }
        /// Of an order that was kept, since another person has to sign it.
        func kept(_ verb: String, _ flags: [String]) async throws -> Int {
          let made = try await lab.order(verb, flags)
          #expect(made.status == 5 && made.err.contains("1 of 2 people have signed it"), "\(made)")
          let number = try #require(made.err.firstMatch(of: /bring order ([0-9]+):/), "\(made)").1
          return try #require(Int(number))
        }

        let drill = try await kept("drill", ["isolate", "-l", lab.pattern] + two)
        #expect(try await sign(drill, bob.path).status == 0)
        let drilled = try await lab.order("drill", ["--armed", "\(drill)"] + two)
        #expect(drilled.status == 0, "\(drilled)")
        #expect(try lab.hosts("verified", in: drilled) == Set(lab.insiders))

        let epoch = try await kept("start", ["isolate", "-l", lab.pattern, "--confirm-hosts", "3"] + reason + two)
        let status = try await Command.run(
          Machine.portcullis, ["lockdown", "status", "-o", "json"] + two, in: lab.lab.folder)
        #expect(try JSON(status)["armed"].list.first?["epoch"].number.map { Int($0) } == epoch, "\(status)")
        let counted = ["--armed", "\(epoch)", "--confirm-hosts", "3"] + reason + two
        #expect(try await lab.order("start", counted).status == 5)
        #expect(try await sign(epoch, another.path).status == 5)
        // The hosts count, too.
        let alone = try await lab.lab.bring(
          try await CraftedOrder.lockdown(lab.lab, epoch: UInt64(epoch) + 1), to: "h001")
        #expect(alone.refusals.first?.code == .tooFewPrincipals, "\(alone.messages)")
        let signed = try await sign(epoch, bob.path)
        #expect(signed.status == 0, "\(signed)")
        let brought = try await lab.order("start", counted)
        #expect(brought.status == 0, "\(brought)")
        #expect(try lab.hosts("verified", in: brought) == Set(lab.insiders))

        let refused = try await lab.order("lift", ["--confirm-hosts", "4"] + reason + one)
        #expect(refused.status == 3, "\(refused)")
        #expect(try lab.hosts("refused", in: refused) == Set(lab.fleet.hosts), "\(refused)")
        #expect(try await lab.isLocked("h001"))
        let partial = try await kept(
          "lift", ["-l", "h001", "--approvals", "2", "--confirm-hosts", "1"] + reason + one)
        #expect(try await sign(partial, bob.path).status == 0)
        let opened = try await lab.order("lift", ["--armed", "\(partial)", "--confirm-hosts", "1"] + reason + one)
        #expect(opened.status == 0, "\(opened)")
        #expect(try lab.hosts("verified", in: opened) == ["h001"], "\(opened)")
        #expect(try lab.hosts("not-meant", in: opened) == ["h002", "h003", "h004"], "\(opened)")
        #expect(try await lab.isLocked("h001") == false)
        #expect(try await lab.isLocked("h002"))

        let whole = try await kept(
          "lift", ["--key", bob.path, "--approvals", "2", "--confirm-hosts", "4"] + reason + one)
        #expect(try await sign(whole, lab.lab.path("keys/release")).status == 0)
        let lifted = try await lab.order("lift", ["--armed", "\(whole)", "--confirm-hosts", "4"] + reason + one)
        #expect(lifted.status == 0, "\(lifted)")
        for host in lab.insiders { #expect(try await lab.isLocked(host) == false) }

        // What was lifted is not gone on with.
        let again = try await lab.order("start", counted)
        #expect(again.status == 5 && again.err.contains("portcullis lockdown resume \(epoch)"), "\(again)")
        let resumed = try await lab.order("resume", ["\(epoch)"])
        #expect(resumed.status == 5 && resumed.err.contains("portcullis lockdown start isolate"), "\(resumed)")
        #expect(try await lab.isLocked("h001") == false)
      }
    }
  }
}
