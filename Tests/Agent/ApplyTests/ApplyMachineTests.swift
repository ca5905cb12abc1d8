import AgentTestSupport
import Apply
import Core
import Release
import Testing
import Wire

/// The machine alone: every event in every state.
@Suite struct ApplyMachineTests {
  enum Event: String, CaseIterable {
    case begin, resume, journalled, rehearsed, promised, loaded, matched, confirmed, takenBack, flipped, failed
  }

  static let plan = JournalTests.open
  static let deadline = JournalTests.deadline.time
  static let early = ApplyMachine.Moment(
    time: SignedBundles.now, sinceBoot: BootTime(nanoseconds: deadline.nanoseconds - 1))
  static let late = ApplyMachine.Moment(time: SignedBundles.now, sinceBoot: deadline)
  static let no = Refusal(code: .internalError, detail: "no")

  static func send(_ event: Event, to machine: inout ApplyMachine) -> ApplyMachine.Action {
    switch event {
    case .begin: machine.begin()
    case .resume: machine.resume(because: "interrupted")
    case .journalled: machine.journalled()
    case .rehearsed: machine.rehearsed(deadline: JournalTests.deadline)
    case .promised: machine.promised()
    case .loaded: machine.loaded(at: early.sinceBoot)
    case .matched: machine.matched(at: early, nonce: JournalTests.nonce, expectation: JournalTests.expectation)
    case .confirmed: machine.confirmed(at: early)
    case .takenBack: machine.takenBack(because: "cancelled")
    case .flipped: machine.flipped()
    case .failed: machine.failed(no)
    }
  }

  /// What an action comes to, in one word each, so that a path reads like a sentence.
  static func word(_ action: ApplyMachine.Action) -> String {
    switch action {
    case .journal(.staged): "STAGED"
    case .journal(.armed): "ARMED"
    case .journal(.applying): "APPLYING"
    case .journal(.applied): "APPLIED"
    case .journal(.committed): "COMMITTED"
    case .journal(.abandoned): "ABANDONED"
    case .journal(.rollingBack): "ROLLING_BACK"
    case .journal(.rolledBack): "ROLLED_BACK"
    case .journal(.safePolicy): "SAFE_POLICY"
    case .journal: "another record"
    case .rehearse: "rehearse"
    case .load(.new, let family): "new \(family)"
    case .load(.old, let family): "old \(family)"
    case .load(.safe, let family): "safe \(family)"
    case .reread(.new): "reread new"
    case .reread(.old): "reread old"
    case .load(.wholeSafe, let family): "whole safe \(family)"
    case .reread(.safe): "reread safe"
    case .reread(.wholeSafe): "reread whole safe"
    case .arm: "arm"
    case .wait: "wait"
    case .flip: "flip"
    case .refuse: "refuse"
    case .answer(let outcome): "answer \(outcome.result)"
    }
  }

  static func run(_ events: [Event]) -> [String] {
    var machine = ApplyMachine(plan)
    return events.map { word(send($0, to: &machine)) }
  }

  static let happy: [Event] = [
    .begin, .journalled, .rehearsed, .journalled, .promised, .journalled, .loaded, .loaded, .matched, .journalled,
    .confirmed, .journalled, .flipped,
  ]

  @Test func `the straight way`() {
    #expect(
      Self.run(Self.happy) == [
        "STAGED", "rehearse", "ARMED", "arm", "APPLYING", "new ipv6", "new ipv4", "reread new", "APPLIED", "wait",
        "COMMITTED", "flip", "answer committed",
      ])
  }

  /// After this many steps of the straight way something fails; then everything goes well again.
  @Test(arguments: [
    (0, "refuse"), (1, "refuse"), (2, "ABANDONED refuse"), (3, "ABANDONED refuse"), (4, "ABANDONED refuse"),
    (5, "ABANDONED refuse"),
    (6, "ROLLING_BACK old ipv6 old ipv4 reread old ROLLED_BACK answer reverted"),
    (7, "ROLLING_BACK old ipv6 old ipv4 reread old ROLLED_BACK answer reverted"),
    (8, "ROLLING_BACK old ipv6 old ipv4 reread old ROLLED_BACK answer reverted"),
    (9, "ROLLING_BACK old ipv6 old ipv4 reread old ROLLED_BACK answer reverted"),
    (10, "ROLLING_BACK old ipv6 old ipv4 reread old ROLLED_BACK answer reverted"),
    (11, "ROLLING_BACK old ipv6 old ipv4 reread old ROLLED_BACK answer reverted"),
    (12, "answer committed"),
  ]) func `a failure after each step`(steps: Int, expected: String) {
    var machine = ApplyMachine(Self.plan)
    for event in Self.happy.prefix(steps) { _ = Self.send(event, to: &machine) }
    #expect(Self.finish(&machine, from: machine.failed(Self.no)) == expected)
  }

  /// Performs every action with success until the end.
  static func finish(_ machine: inout ApplyMachine, from first: ApplyMachine.Action) -> String {
    var action = first
    var words = [word(action)]
    while words.count < 40 {
      switch action {
      case .journal: action = machine.journalled()
      case .rehearse: action = machine.rehearsed(deadline: JournalTests.deadline)
      case .arm: action = machine.promised()
      case .load: action = machine.loaded(at: early.sinceBoot)
      case .reread:
        action = machine.matched(at: early, nonce: JournalTests.nonce, expectation: JournalTests.expectation)
      case .wait: action = machine.confirmed(at: early)
      case .flip: action = machine.flipped()
      case .refuse, .answer: return words.joined(separator: " ")
      }
      words.append(word(action))
    }
    return "no end"
  }

  @Test func `going back is tried three times, the safe policy three times, and then it stays open`() {
    var machine = ApplyMachine(Self.plan)
    for event in Self.happy.prefix(7) { _ = Self.send(event, to: &machine) }
    var action = machine.failed(Self.no)
    var words: [String] = []
    while true {
      words.append(Self.word(action))
      switch action {
      case .journal: action = machine.journalled()
      case .answer(let outcome):
        #expect(outcome.detail == Array(repeating: "no", count: 7).joined(separator: "; "))
        #expect(
          words == [
            "ROLLING_BACK", "old ipv6", "old ipv6", "old ipv6", "safe ipv6", "safe ipv6", "whole safe ipv6",
            "answer failed",
          ])
        return
      default: action = machine.failed(Self.no)
      }
    }
  }

  @Test func `a transaction that was cut short is taken back`() {
    var machine = ApplyMachine(Self.plan)
    let first = machine.resume(because: "interrupted")
    #expect(Self.finish(&machine, from: first) == "old ipv6 old ipv4 reread old ROLLED_BACK answer reverted")
  }

  /// Every state there is, by a way that leads to it.
  static let ways: [(name: String, way: [Event])] = [
    ("idle", []), ("staging", [.begin]), ("staged", Array(happy.prefix(2))), ("rehearsed", Array(happy.prefix(3))),
    ("arming", Array(happy.prefix(4))), ("armed", Array(happy.prefix(5))), ("applyingV6", Array(happy.prefix(6))),
    ("applyingV4", Array(happy.prefix(7))), ("rereading", Array(happy.prefix(8))),
    ("announcing", Array(happy.prefix(9))), ("applied", Array(happy.prefix(10))),
    ("committing", Array(happy.prefix(11))), ("committed", Array(happy.prefix(12))), ("ended", happy),
    ("turningBack", happy.prefix(6) + [.failed]), ("rollingBackV6", happy.prefix(6) + [.failed, .journalled]),
    ("rollingBackV4", happy.prefix(6) + [.failed, .journalled, .loaded]),
    ("rolledBack", happy.prefix(6) + [.failed, .journalled, .loaded, .loaded]),
    ("ending", happy.prefix(6) + [.failed, .journalled, .loaded, .loaded, .matched]),
    ("savingHostV6", happy.prefix(6) + [.failed, .journalled, .failed, .failed, .failed]),
    ("savingHostV4", happy.prefix(6) + [.failed, .journalled, .failed, .failed, .failed, .loaded]),
    ("savedHost", happy.prefix(6) + [.failed, .journalled, .failed, .failed, .failed, .loaded, .loaded]),
    ("abandoning", happy.prefix(2) + [.failed]),
  ]

  /// Which events each state expects; every other one is out of turn.
  static let expected: [String: Set<Event>] = [
    "idle": [.begin, .resume], "staging": [.journalled], "staged": [.rehearsed], "rehearsed": [.journalled],
    "arming": [.promised], "armed": [.journalled], "applyingV6": [.loaded], "applyingV4": [.loaded],
    "rereading": [.matched], "announcing": [.journalled], "applied": [.confirmed, .takenBack],
    "committing": [.journalled], "committed": [.flipped], "ended": [], "turningBack": [.journalled],
    "rollingBackV6": [.loaded], "rollingBackV4": [.loaded], "rolledBack": [.matched], "ending": [.journalled],
    "savingHostV6": [.loaded], "savingHostV4": [.loaded], "savedHost": [.matched], "abandoning": [.journalled],
  ]

  @Test(arguments: ways.indices, Event.allCases)
  func `an event out of turn counts as a failure, in every state, and never as progress`(index: Int, event: Event) {
    let (name, way) = Self.ways[index]
    var machine = ApplyMachine(Self.plan)
    for step in way { _ = Self.send(step, to: &machine) }
    var twin = machine
    let action = Self.word(Self.send(event, to: &machine))
    let failure = Self.word(twin.failed(Self.no))
    let isExpected = Self.expected[name]!.contains(event)
    if name == "ended" {
      #expect(action == "refuse")
    } else if event != .failed, !isExpected {
      #expect(action == failure, "\(name), \(event)")
    } else if event == .takenBack {
      // Where it is expected it leads the same way as a failure.
      #expect(action == failure, "\(name), \(event)")
    } else if isExpected, !["abandoning", "ending", "turningBack", "committed", "idle"].contains(name) {
      // Where a failed journal write or flip leads the same way, there is nothing to tell apart.
      #expect(action != failure || name.hasSuffix("V6"), "\(name), \(event)")
    }
  }

  @Test func `whatever the order of events, every path ends, and commits only what was read back`() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = seed
    for _ in 0..<5000 {
      var machine = ApplyMachine(Self.plan)
      var last = machine.begin()
      var steps = 0
      var wasMatched = false
      var wasConfirmed = false
      while steps < 200 {
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let event = Event.allCases[Int(random >> 33) % Event.allCases.count]
        if case .reread(.new) = last, event == .matched { wasMatched = true }
        if case .wait = last, event == .confirmed { wasConfirmed = true }
        last = Self.send(event, to: &machine)
        steps += 1
        if case .answer(let outcome) = last {
          #expect(outcome.result != .committed || wasMatched && wasConfirmed, "seed \(seed)")
          break
        }
        if case .refuse = last { break }
      }
      #expect(steps < 200, "seed \(seed)")
    }
  }

  @Test func `what root does at the console waits for nobody`() {
    var plan = Self.plan
    plan.needsConfirmation = false
    var machine = ApplyMachine(plan)
    let first = machine.begin()
    #expect(
      Self.finish(&machine, from: first)
        == "STAGED rehearse ARMED arm APPLYING new ipv6 new ipv4 reread new COMMITTED flip answer committed")
  }

  @Test(arguments: [6, 7, 8, 10]) func `a deadline that has come takes the change back, wherever it finds it`(
    steps: Int
  ) {
    var machine = ApplyMachine(Self.plan)
    for event in Self.happy.prefix(steps) { _ = Self.send(event, to: &machine) }
    let action =
      switch steps {
      case 6, 7: machine.loaded(at: Self.late.sinceBoot)
      case 8: machine.matched(at: Self.late, nonce: JournalTests.nonce, expectation: JournalTests.expectation)
      default: machine.confirmed(at: Self.late)
      }
    #expect(
      Self.finish(&machine, from: action) == "ROLLING_BACK old ipv6 old ipv4 reread old ROLLED_BACK answer reverted")
  }

  @Test func `a deadline does not hurry the way back`() {
    var machine = ApplyMachine(Self.plan)
    for event in Self.happy.prefix(6) + [.failed, .journalled] { _ = Self.send(event, to: &machine) }
    #expect(Self.word(machine.loaded(at: Self.late.sinceBoot)) == "old ipv4")
  }
}
