import Core
import Testing
import Wire

@testable import Audit

/// What a report says otherwise than the one before, and what that is called.
struct Told: Sendable, CustomTestStringConvertible {
  let testDescription: String
  var before: @Sendable (inout Report) -> Void = { _ in }
  let after: @Sendable (inout Report) -> Void
  var deed = OurDeed.asked
  let events: [String]

  init(
    _ name: String, before: @escaping @Sendable (inout Report) -> Void = { _ in }, deed: OurDeed = .asked,
    _ events: [String], after: @escaping @Sendable (inout Report) -> Void
  ) {
    testDescription = name
    self.before = before
    self.after = after
    self.deed = deed
    self.events = events
  }

  @Sendable static func drifts(_ report: inout Report) { report.families.ipv4.observed = other }
  @Sendable static func driftsAgain(_ report: inout Report) { report.families.ipv6.observed = other }
  static func lockdown(lock epoch: UInt64? = nil, lift cause: LiftReport.Cause? = nil) -> LockdownReport {
    LockdownReport(
      lock: epoch.map {
        LockReport(
          epoch: Epoch($0), order: other, profile: ProfileName("isolate")!, rank: LockRank(30)!, principals: ["anna"],
          reason: "INC-7\u{1b}", phase: .locked, since: start, secondsLeft: nil, serial: Serial(7),
          differences: PerFamily(ipv4: nil, ipv6: nil))
      }, heard: Epoch(9), profiles: [], lastLift: cause.map { LiftReport(epoch: Epoch(7), cause: $0, at: start) })
  }

  @Sendable static func commits(_ report: inout Report) { report.committed = committed(other, serial: 9) }

  static let all: [Told] = [
    Told("nothing", []) { _ in },
    Told("the clock and the nonce", []) { $0.time = start + 9 },
    Told("a commit over our run", deed: .applied, ["committed 9 intentional"], after: commits),
    Told("a commit of a run that was killed", ["committed 9 intentional"], after: commits),
    Told("the same release again, by a repair", deed: .repaired, ["committed 7 corrective"]) {
      $0.committed?.at = start + 5
    },
    Told("drift", ["drifted external"], after: drifts),
    Told("drift right after our apply is not ours", deed: .applied, ["drifted external"], after: drifts),
    Told("other drift", before: drifts, ["drift-changed external"], after: driftsAgain),
    Told("the same drift", before: drifts, []) { _ in },
    Told("drift that a person took back", before: drifts, ["restored external"]) {
      $0.families.ipv4.observed = Digest(of: "a".utf8)
    },
    Told(
      "drift that our apply ended", before: drifts, deed: .applied, ["committed 9 intentional", "restored intentional"]
    ) {
      commits(&$0)
      $0.families.ipv4.observed = Digest(of: "a".utf8)
    },
    Told("drift that our repair ended", before: drifts, deed: .repaired, ["restored corrective"]) {
      $0.families.ipv4.observed = Digest(of: "a".utf8)
    },
    Told("drift that enrolling again put right", before: drifts, deed: .enrolled, ["restored intentional"]) {
      $0.families.ipv4.observed = Digest(of: "a".utf8)
    },
    Told("drift that a reboot ended", before: drifts, ["rebooted external", "restored corrective"]) {
      $0.bootID = "another"
      $0.families.ipv4.observed = Digest(of: "a".utf8)
    },
    Told("a change that waits is no drift", []) {
      $0.pending = PendingChange(
        transaction: TransactionID(bytes: [UInt8](repeating: 2, count: 16))!, manifest: wanted, serial: Serial(9),
        millisecondsLeft: 1, isManual: true)
      drifts(&$0)
    },
    Told("a reboot", ["rebooted external"]) { $0.bootID = "another" },
    Told("another agent", ["agent-changed external"]) { $0.agentVersion = "0.2.0" },
    Told("our upgrade of the agent", deed: .enrolled, ["agent-changed intentional"]) { $0.agentVersion = "0.2.0" },
    Told("other programs", ["programs-changed external"]) { $0.iptablesVersion = "1.8.11" },
    Told("another backend", ["programs-changed external"]) { $0.backend = .legacy },
    Told("another kernel after a reboot", ["rebooted external", "programs-changed external"]) {
      $0.kernel = "6.5"
      $0.bootID = "another"
    },
    Told("the safe policy", ["degraded corrective"]) { $0.degraded = "no such match" },
    Told("its own rules again", before: { $0.degraded = "x" }, ["recovered corrective"]) { $0.degraded = nil },
    Told(
      "its own rules again by our apply", before: { $0.degraded = "x" }, deed: .applied,
      ["recovered intentional", "committed 9 intentional"]
    ) {
      $0.degraded = nil
      commits(&$0)
    },
    Told("the safe policy by hand", ["console external"]) {
      $0.degraded = "root said so"
      $0.localAct = LocalAct(deed: .safe, at: start, reason: "")
    },
    Told("a rollback by hand is no commit of ours", ["console external"]) {
      commits(&$0)
      $0.localAct = LocalAct(deed: .rollback, at: start, reason: "")
    },
    Told("a release taken back", deed: .applied, ["reverted 9 corrective"]) {
      $0.lastFailure = LastFailure(serial: Serial(9), result: .reverted, detail: "nobody confirmed it")
    },
    Told("a release that an operator cancelled", deed: .cancelled, ["reverted 9 intentional"]) {
      $0.lastFailure = LastFailure(serial: Serial(9), result: .reverted, detail: "cancelled")
    },
    Told("drift that ended when an operator cancelled", before: drifts, deed: .cancelled, ["restored intentional"]) {
      $0.families.ipv4.observed = Digest(of: "a".utf8)
    },
    Told("a release that failed", deed: .applied, ["failed 9 intentional"]) {
      $0.lastFailure = LastFailure(serial: Serial(9), result: .failed, detail: "")
    },
    Told("a lockdown", ["locked-down intentional"]) { $0.lockdown = lockdown(lock: 7) },
    Told("another order on top", before: { $0.lockdown = lockdown(lock: 7) }, ["locked-down intentional"]) {
      $0.lockdown = lockdown(lock: 9)
    },
    Told("the same lockdown", before: { $0.lockdown = lockdown(lock: 7) }, []) { _ in },
    Told("its lift", before: { $0.lockdown = lockdown(lock: 7) }, ["lifted intentional"]) {
      $0.lockdown = lockdown(lift: .order(Epoch(8)))
    },
    Told("one that came and went between two reports", ["lifted intentional"]) {
      $0.lockdown = lockdown(lift: .itself)
    },
    Told("lifted by hand", before: { $0.lockdown = lockdown(lock: 7) }, ["console external"]) {
      $0.lockdown = lockdown(lift: .console("hdd"))
      $0.localAct = LocalAct(deed: .lift, at: start, reason: "hdd")
    },
    Told("an agent without memory", ["emptied 7 external"]) { $0.committed = nil },
  ]
}

struct TimelineTests {
  private func say(_ event: HostEvent) -> String {
    ([event.kind.rawValue] + [event.serial?.description].compactMap(\.self) + [event.cause.rawValue])
      .joined(separator: " ")
  }

  private func events(
    _ before: Report?, _ after: Report, _ deed: OurDeed = .asked, held: Timeline.Hold? = nil
  ) -> [HostEvent] {
    Timeline(from: before, held: held, to: ReceivedReport(after, receivedAt: start + 60), after: deed).events()
  }

  @Test(arguments: Told.all) func `what differs between two reports has a name and a cause`(told: Told) {
    var before = makeReport()
    told.before(&before)
    var after = before
    told.after(&after)
    let events = events(before, after, told.deed)
    #expect(events.map(say) == told.events)
    #expect(events.allSatisfy { $0.at == start + 60 && $0.host == web1 && !$0.words.isEmpty })
  }

  @Test func `lockdowns and how they ended are told in words`() {
    func words(_ before: LockdownReport?, _ after: LockdownReport, by hand: LocalOrder.Deed? = nil) -> [String] {
      var (old, new) = (makeReport(), makeReport())
      (old.lockdown, new.lockdown) = (before, after)
      new.localAct = hand.map { LocalAct(deed: $0, at: start, reason: "hdd") }
      return events(old, new).map(\.words)
    }
    let locked = Told.lockdown(lock: 7)
    #expect(words(nil, locked) == ["locked down by order 7 (isolate): INC-7\\u{1b}"])
    #expect(words(locked, Told.lockdown(lift: .order(Epoch(8)))) == ["the lockdown of order 7 was lifted by order 8"])
    #expect(
      words(locked, Told.lockdown(lift: .itself)) == ["the lockdown of order 7 lifted itself: its time was over"])
    #expect(
      words(locked, Told.lockdown(lift: .console("hdd")), by: .lift) == ["lockdown lifted at the console by root: hdd"])
    #expect(
      events(
        nil,
        {
          var report = makeReport(); report.lockdown = locked; return report
        }()
      ).map(\.kind) == [.lockedDown])
  }

  @Test func `every kind that a report can tell is told by one of these`() {
    let told = Set(Told.all.flatMap(\.events).map { $0.split(separator: " ")[0] })
    let others: Set<HostEvent.Kind> = [
      .enrolled, .removed, .unreachable, .reached, .changed, .changesLost, .alarm,
    ]
    for kind in HostEvent.Kind.allCases where !others.contains(kind) {
      #expect(told.contains(kind.rawValue[...]), "\(kind)")
    }
  }

  @Test func `of a host's first report only its state is told`() {
    #expect(events(nil, makeReport()).isEmpty)
    #expect(events(nil, makeReport(), .enrolled).map(say) == ["enrolled intentional"])
    var drifted = makeReport(degraded: "x")
    Told.drifts(&drifted)
    #expect(events(nil, drifted).map(say) == ["degraded corrective", "drifted external"])
  }

  @Test func `drift is remembered over a change that waits`() throws {
    var drifted = makeReport()
    Told.drifts(&drifted)
    let first = try #require(events(makeReport(), drifted).first)
    let held = try #require(Timeline.Hold(first.kind, first.details))
    #expect(held == Timeline.Hold(drifted))
    let waiting = makeReport(
      pending: PendingChange(
        transaction: TransactionID(bytes: [UInt8](repeating: 2, count: 16))!, manifest: wanted, serial: Serial(9),
        millisecondsLeft: 1, isManual: true))
    // Cancelled: the same drift is not told twice; confirmed: it is over.
    #expect(events(waiting, drifted, held: held).isEmpty)
    #expect(events(waiting, makeReport(), .applied, held: held).map(say) == ["restored intentional"])
    #expect(Timeline.Hold(.restored, HostEvent.Details()) == .intact)
    #expect(Timeline.Hold(.removed, HostEvent.Details()) == .unknown)
    #expect(Timeline.Hold(.rebooted, HostEvent.Details()) == nil)
  }

  @Test func `drift names its chains, a bounded number, safe to print`() throws {
    func chains(_ digest: String, _ names: [String]) -> [ChainDigest] {
      names.map { ChainDigest(table: "filter", chain: $0, digest: Digest(of: digest.utf8)) }
    }
    var before = makeReport()
    before.families.ipv4.chains = chains("a", ["INPUT", "PCL-FORWARD", "OUTPUT"])
    var after = before
    Told.drifts(&after)
    after.families.ipv4.chains = chains("b", ["INPUT", "PCL-FORWARD"]) + chains("a", ["OUTPUT", "new\u{1b}"])
    let event = try #require(events(before, after).first)
    #expect(
      event.details.chains == ["ipv4 filter/FORWARD", "ipv4 filter/INPUT", "ipv4 filter/new\\u{1b}"])
    #expect(event.details.families == ["ipv4"])
    #expect(event.words == "drifted: ipv4 filter/FORWARD, ipv4 filter/INPUT, ipv4 filter/new\\u{1b}")
    // Our chain has the name that is shown of the one it hangs in; one of them is enough to be named, and once.
    for (ours, builtIn) in [("b", "a"), ("a", "b"), ("b", "b")] {
      before.families.ipv4.chains = chains("a", ["INPUT", "PCL-INPUT"])
      after.families.ipv4.chains = chains(builtIn, ["INPUT"]) + chains(ours, ["PCL-INPUT"])
      #expect(try #require(events(before, after).first).details.chains == ["ipv4 filter/INPUT"])
    }
    after.families.ipv4.chains = chains("b", (0..<500).map { "c\($0)" })
    #expect(try #require(events(before, after).first).details.chains?.count == Timeline.namedChains + 1)
    // A commit changes chains too.
    Told.commits(&after)
    #expect(try #require(events(before, after).last).details.chains == nil)
    // What is beside the rules is listed where it differs, and no rule of IPv4.
    after.families.ipv4.chains += [ChainDigest(table: "others", chain: "inet/x", digest: Digest(of: []))]
    #expect(try #require(events(before, after).last).words == "drifted: beside ours, inet/x")
    Told.driftsAgain(&after)
    #expect(try #require(events(before, after).last).words == "drifted: beside ours, inet/x, ipv6")
  }

  @Test func `verbs that repair put right, and every other one changes`() {
    #expect(OurDeed(verb: "repair") == .repaired && OurDeed(verb: "drift repair") == .repaired)
    #expect(["apply", "rollback", "withdraw", "confirm"].allSatisfy { OurDeed(verb: $0) == .applied })
  }

  @Test func `what a host says is cut off and made safe`() throws {
    let event = try #require(
      events(makeReport(), makeReport(degraded: "\u{1b}[2J" + String(repeating: "x", count: 5000))).first)
    let reason = try #require(event.details.reason)
    #expect(reason.hasPrefix("\\u{1b}[2J") && reason.utf8.count < 300)
  }
}

struct EventGroupTests {
  private func event(_ host: String, _ seconds: Int64, _ kind: HostEvent.Kind = .drifted, chains: [String]? = nil)
    -> HostEvent
  {
    var details = HostEvent.Details()
    details.chains = chains
    details.hostTime = "\(host) \(seconds)"
    details.difference = Digest(of: host.utf8).description
    return HostEvent(
      host: HostID(host)!, at: start + seconds, kind: kind, cause: .external, details: details)
  }

  @Test func `the same on several hosts at about the same time is one group`() {
    let groups = EventGroup.fold([
      event("b", 5), event("a", 0), event("c", 100), event("d", 300), event("a", 301), event("a", 2, .rebooted),
      event("e", 4, chains: ["ipv4 filter/INPUT"]),
    ])
    #expect(groups.map { $0.hosts.map(\.description) } == [["a", "b", "c"], ["a"], ["e"], ["a", "d"]])
    #expect(groups[0].first == start && groups[0].last == start + 100)
  }

  @Test func `what happened to a host is told in its order, whatever happened to others`() {
    let groups = EventGroup.fold([
      event("a", 0), event("a", 1, .restored), event("b", 2), event("b", 3, .restored), event("a", 4),
      event("c", 5), event("c", 6, .restored),
    ])
    #expect(
      groups.map { "\($0.event.kind) \($0.hosts.map(\.description).joined())" }
        == ["drifted ab", "restored ab", "drifted ac", "restored c"])
  }

  @Test func `what happens to a host twice is told twice`() {
    let groups = EventGroup.fold([
      event("a", 0, .driftChanged), event("b", 1, .driftChanged), event("a", 2, .driftChanged),
    ])
    #expect(groups.map { $0.hosts.map(\.description) } == [["a", "b"], ["a"]])
  }
}
