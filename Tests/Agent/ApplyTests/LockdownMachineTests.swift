import AgentTestSupport
import Core
import Release
import Testing
import Wire

@testable import Apply

/// The machine alone: every request, and a failure in every place.
@Suite struct LockdownMachineTests {
  typealias Machine = LockdownMachine

  static let lock = LockRecordTests.lock()
  static let floor8 = LockRecordTests.floor(8)
  static let unlock = Machine.Request.lift(.order(Epoch(8)), floor8)
  static let no = Refusal(code: .internalError, detail: "no")

  static func held(_ lock: Lock = lock, builtIn: Bool = false, uncut: String? = nil) -> Lock {
    var held = lock
    held.held = HeldLayer(expectation: JournalTests.expectation, isBuiltIn: builtIn, uncut: uncut)
    return held
  }

  /// What an action comes to, in a few words, so that a path reads like a sentence.
  static func word(_ action: Machine.Action) -> String {
    switch action {
    case .journal(.lockdown(_, nil)): "LOCKDOWN"
    case .journal(.lockdown): "LOCKDOWN voiding"
    case .journal(.locked(_, let held)): held.isBuiltIn ? "LOCKED builtIn" : "LOCKED"
    case .journal(.lifting): "LIFTING"
    case .journal(.lifted): "LIFTED"
    case .journal(.heard): "HEARD"
    case .journal: "another record"
    case .load(.ordered, let manner, let family, _): "\(manner) \(family)"
    case .load(.builtIn, let manner, let family, _): "builtIn \(manner) \(family)"
    case .cutFlows: "cut"
    case .reread(.ordered): "reread"
    case .reread(.builtIn): "reread builtIn"
    case .takeBack: "take back"
    case .remove(let family, _): "remove \(family)"
    case .readGone: "read gone"
    case .refuse(let refusal): "refuse: \(refusal.detail)"
    case .answer(let answer): "answer \(answer.result)"
    }
  }

  /// Performs every action with success, but for those with these numbers, counted from 0.
  static func run(_ lock: Lock?, _ request: Machine.Request, failing: (Int, Machine.Action) -> Bool = { _, _ in false })
    -> [String]
  {
    var machine = Machine(lock)
    var action = machine.begin(request)
    var words = [word(action)]
    while words.count < 100 {
      switch action {
      case .answer, .refuse: return words
      case .journal, .load, .cutFlows, .reread, .takeBack, .remove, .readGone: break
      }
      action = failing(words.count - 1, action) ? machine.failed(no) : succeed(action, &machine)
      words.append(word(action))
    }
    return ["no end"]
  }

  static func succeed(_ action: Machine.Action, _ machine: inout Machine) -> Machine.Action {
    switch action {
    case .journal: machine.journalled()
    case .load, .remove: machine.loaded()
    case .cutFlows: machine.cut(3)
    case .reread: machine.matched(JournalTests.expectation)
    case .takeBack: machine.tookBack()
    case .readGone: machine.gone(at: SignedBundles.now)
    case .refuse, .answer: action
    }
  }

  private static let bringing = ["mend ipv6", "mend ipv4", "cut", "reread", "LOCKED"]
  private static let trying = ["mend ipv6", "mend ipv4", "cut", "reread"]

  static let straight: [(String, Lock?, Machine.Request, [String])] = [
    (
      "the first order", nil, .lock(lock, voids: nil),
      ["LOCKDOWN", "first ipv6", "first ipv4", "cut", "reread", "LOCKED", "answer locked"]
    ),
    (
      "an order while a change waits", nil, .lock(lock, voids: JournalTests.transaction),
      [
        "LOCKDOWN voiding", "first ipv6", "first ipv4", "cut", "reread", "LOCKED", "take back", "answer locked",
      ]
    ),
    (
      "a tighter order", held(), .lock(LockRecordTests.lock(9), voids: nil),
      ["LOCKDOWN", "refill ipv6", "refill ipv4", "cut", "reread", "LOCKED", "answer locked"]
    ),
    (
      "a tighter order onto a lock that was never read back", lock, .lock(LockRecordTests.lock(9), voids: nil),
      ["LOCKDOWN"] + bringing + ["answer locked"]
    ),
    ("the same order again", held(), .repeated, ["reread", "answer repeated"]),
    ("the same order again after a crash", lock, .repeated, bringing + ["answer repeated"]),
    ("a start of an open host", nil, .restart, ["answer kept"]),
    ("a start of a locked host", held(), .restart, ["reread", "answer kept"]),
    ("a start in the middle of an order", lock, .restart, bringing + ["answer kept"]),
    (
      "a start of a host that the built-in profile locked: the ordered one is tried again", held(builtIn: true),
      .restart, bringing + ["answer kept"]
    ),
    (
      "a look at one whose old flows were not cut", held(uncut: "no"), .check,
      ["reread", "cut", "reread", "LOCKED", "answer kept"]
    ),
    (
      "a start of one whose old flows were not cut", held(uncut: "no"), .restart,
      ["reread", "cut", "reread", "LOCKED", "answer kept"]
    ),
    ("a look at it", held(builtIn: true), .check, ["reread builtIn", "answer kept"]),
    (
      "an unlock", held(), unlock,
      ["LIFTING", "remove ipv6", "remove ipv4", "read gone", "LIFTED", "answer lifted"]
    ),
    (
      "its time is over", lock, .lift(.itself, nil),
      ["LIFTING", "remove ipv6", "remove ipv4", "read gone", "LIFTED", "answer lifted"]
    ),
    ("an unlock of an open host", nil, unlock, ["HEARD", "answer nothingToLift"]),
    ("root lifts nothing", nil, .lift(.console(""), nil), ["answer nothingToLift"]),
    ("an order for others", nil, .hear(floor8, .outOfScope), ["HEARD", "answer outOfScope"]),
    ("an order for others on a locked host", held(), .hear(floor8, .outOfScope), ["HEARD", "answer outOfScope"]),
    ("an order that ended", nil, .hear(nil, .ended), ["answer ended"]),
    ("the same order again, of an open host", nil, .repeated, ["refuse: nothing is locked"]),
  ]

  @Test(arguments: straight.indices) func `the straight ways`(index: Int) {
    let (name, lock, request, path) = Self.straight[index]
    #expect(Self.run(lock, request) == path, "\(name)")
  }

  /// Fails once, in the place with this number of the straight way.
  static let failures: [(String, Lock?, Machine.Request, Int, [String])] = [
    ("LOCKDOWN", nil, .lock(lock, voids: nil), 0, ["refuse: no"]),
    ("the first load", nil, .lock(lock, voids: nil), 1, bringing + ["answer locked"]),
    ("the second", nil, .lock(lock, voids: nil), 2, bringing + ["answer locked"]),
    ("cutting", nil, .lock(lock, voids: nil), 3, ["reread", "LOCKED", "answer locked"]),
    ("cutting again", held(uncut: "no"), .repeated, 1, ["reread", "answer repeated"]),
    ("reading back after cutting again", held(uncut: "no"), .repeated, 2, bringing + ["answer repeated"]),
    ("reading back", nil, .lock(lock, voids: nil), 4, bringing + ["answer locked"]),
    ("LOCKED", nil, .lock(lock, voids: nil), 5, ["answer locked"]),
    ("taking back", nil, .lock(lock, voids: JournalTests.transaction), 6, ["answer locked"]),
    ("a look", held(), .check, 0, trying + ["answer kept"]),
    ("a repetition's look", held(), .repeated, 0, trying + ["answer repeated"]),
    ("HEARD", nil, .hear(floor8, .outOfScope), 0, ["refuse: no"]),
    ("LIFTING", held(), unlock, 0, ["refuse: no"]),
    (
      "a removal", held(), unlock, 2,
      ["remove ipv6", "remove ipv4", "read gone", "LIFTED", "answer lifted"]
    ),
    (
      "reading that it is gone", held(), unlock, 3,
      ["remove ipv6", "remove ipv4", "read gone", "LIFTED", "answer lifted"]
    ),
    ("LIFTED", held(), unlock, 4, trying + ["refuse: no"]),
    ("LIFTED of a lock that was never read back", lock, unlock, 4, bringing + ["refuse: no"]),
  ]

  @Test(arguments: failures.indices) func `a failure in each place`(index: Int) {
    let (name, lock, request, place, path) = Self.failures[index]
    let words = Self.run(lock, request) { number, _ in number == place }
    #expect(Array(words.dropFirst(place + 1)) == path, "\(name): \(words)")
  }

  @Test func `what could not be cut is recorded`() {
    var machine = Machine(nil)
    var action = machine.begin(.lock(Self.lock, voids: nil))
    var recorded: String?
    while true {
      if case .answer = action { break }
      if case .journal(.locked(_, let held)) = action { recorded = held.uncut }
      if case .cutFlows = action { action = machine.failed(Self.no) } else { action = Self.succeed(action, &machine) }
    }
    #expect(recorded == "no")
  }

  @Test func `a profile that never loads leaves the built-in one, and says so`() {
    var machine = Machine(nil)
    var action = machine.begin(.lock(Self.lock, voids: nil))
    var words: [String] = []
    while words.count < 40 {
      if case .answer(let answer) = action {
        #expect(answer.result == .locked && answer.warnings.count == 1)
        #expect(answer.warnings.first?.contains("profile isolate would not load") == true)
        break
      }
      words.append(Self.word(action))
      if case .load(.ordered, _, _, _) = action {
        action = machine.failed(Self.no)
      } else {
        action = Self.succeed(action, &machine)
      }
    }
    #expect(
      words == [
        "LOCKDOWN", "first ipv6", "mend ipv6", "mend ipv6", "mend ipv4", "builtIn mend ipv6", "builtIn mend ipv4",
        "cut", "reread builtIn", "LOCKED builtIn",
      ])
  }

  @Test(arguments: [nil, held()])
  func `a host on which nothing loads stays locked in the journal, and never says locked`(
    before: Lock?
  ) {
    for voids in [nil, JournalTests.transaction] {
      let words = Self.run(before, .lock(LockRecordTests.lock(9), voids: voids)) { _, action in
        if case .load = action { true } else { false }
      }
      #expect(words.last == "answer locking")
      #expect(words.filter { $0.hasSuffix("ipv6") }.count == 6)
      #expect(words.contains("take back") == (voids != nil))
    }
  }

  @Test func `where IPv6 never loads IPv4 is loaded once, by the ordered profile`() {
    let words = Self.run(nil, .lock(Self.lock, voids: nil)) { _, action in
      if case .load(_, _, .ipv6, _) = action { true } else { false }
    }
    let builtIn = Array(repeating: "builtIn mend ipv6", count: 3)
    #expect(
      words == ["LOCKDOWN", "first ipv6", "mend ipv6", "mend ipv6", "mend ipv4", "cut"] + builtIn + ["answer locking"])
  }

  @Test func `a removal that never works loads the layer again and refuses`() {
    let words = Self.run(Self.held(), Self.unlock) { _, action in
      if case .remove(.ipv4, _) = action { true } else { false }
    }
    let tries = Array(repeating: ["remove ipv6", "remove ipv4"], count: 3).flatMap { $0 }
    #expect(words == ["LIFTING"] + tries + Self.trying + ["refuse: no"])
  }

  @Test func `nothing that arrives out of turn opens anything, and the machine ends all the same`() {
    let events: [(inout Machine) -> Machine.Action] = [
      { $0.begin(Self.unlock) }, { $0.begin(.restart) }, { $0.journalled() }, { $0.loaded() }, { $0.cut(0) },
      { $0.matched(JournalTests.expectation) }, { $0.gone(at: SignedBundles.now) }, { $0.tookBack() },
      { $0.failed(Self.no) },
    ]
    for (name, lock, request, path) in Self.straight {
      for steps in 1..<path.count {
        for event in events {
          var machine = Machine(lock)
          var action = machine.begin(request)
          for _ in 1..<steps { action = Self.succeed(action, &machine) }
          action = event(&machine)
          var count = 0
          while count < 60 {
            if case .answer = action { break }
            if case .refuse = action { break }
            action = Self.succeed(action, &machine)
            count += 1
          }
          #expect(count < 60, "\(name) after \(steps)")
        }
      }
    }
  }
}
