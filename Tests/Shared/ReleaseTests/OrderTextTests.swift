import Core
import Release
import Testing

/// The two orders by example: what is written, and that nothing else is read.
@Suite struct OrderTextTests {
  static let lockdown = """
    portcullis-lockdown 1
    fleet example
    epoch 7
    kind order
    profile isolate
    scope db
    scope web
    scope-and prod
    scope-not host:web7
    issued 2026-11-22T02:11:09Z
    arrive-by 2026-11-22T03:11:09Z
    lifts-after 7200
    reason INC-991 stolen deploy key

    """
  static let drill = """
    portcullis-lockdown 1
    fleet example
    epoch 18446744073709551615
    kind drill
    profile no-egress
    scope all
    issued 2026-11-22T02:11:09Z
    arrive-by 2026-11-23T02:11:09Z
    lifts-after -
    reason -

    """
  static let unlock = """
    portcullis-unlock 1
    fleet example
    epoch 8
    scope all
    issued 2026-11-22T03:01:00Z
    arrive-by 2026-11-22T04:01:00Z
    reason INC-991 closed

    """
  /// Well-formed, and for nobody: hosts refuse it by a reason of its own.
  static let nobody = lockdown.split(separator: "\n").filter { !$0.hasPrefix("scope") }.joined(separator: "\n") + "\n"

  private static func reencode(_ text: [UInt8], as kind: OrderKind) throws(FormatProblem) -> [UInt8] {
    switch kind {
    case .lockdown: try LockdownOrder.parse(text).encode()
    case .unlock: try UnlockOrder.parse(text).encode()
    }
  }

  static let valid: [(OrderKind, String)] = [
    (.lockdown, lockdown), (.lockdown, drill), (.unlock, unlock), (.lockdown, nobody),
  ]

  @Test(arguments: valid) func whatIsReadIsWrittenAgainByteByByte(_ kind: OrderKind, _ text: String) throws {
    #expect(try Self.reencode(Array(text.utf8), as: kind) == Array(text.utf8))
  }

  @Test func theFieldsAreThoseOfTheText() throws {
    let order = try LockdownOrder.parse(Array(Self.lockdown.utf8))
    #expect(!order.isDrill && order.profile == ProfileName("isolate") && order.liftsAfter == 7200)
    #expect(order.terms.fleet == FleetID("example") && order.terms.epoch == Epoch(7))
    #expect(order.terms.scope == (try LockScope(any: ["web", "db"], all: ["prod"], none: ["host:web7"])))
    #expect(order.terms.issued == UTCTime("2026-11-22T02:11:09Z"))
    #expect(order.terms.arriveBy == UTCTime("2026-11-22T03:11:09Z"))
    #expect(order.terms.reason == "INC-991 stolen deploy key")
    let drill = try LockdownOrder.parse(Array(Self.drill.utf8))
    #expect(drill.isDrill && drill.liftsAfter == nil && drill.terms.epoch == Epoch(.max))
    #expect(try UnlockOrder.parse(Array(Self.unlock.utf8)).terms.epoch == Epoch(8))
  }

  private typealias Edit = TextEdit<OrderKind>

  static let refused: [TextEdit<OrderKind>] = [
    Edit(.lockdown, "portcullis-lockdown 1", "portcullis-lockdown 2", "lockdown.order:1: format version '2'"),
    Edit(.lockdown, "portcullis-lockdown", "portcullis-unlock", "a 'portcullis-lockdown …' line must stand here"),
    Edit(.unlock, "portcullis-unlock", "portcullis-lockdown", "a 'portcullis-unlock …' line must stand here"),
    Edit(.lockdown, "fleet example", "fleet .example", ":2: '.example' is not a fleet's name"),
    Edit(.lockdown, "epoch 7", "epoch 07", ":3: epoch '07' is not a canonical number"),
    Edit(.lockdown, "epoch 7", "epoch 0", "epoch 0 means that there was no order"),
    Edit(.unlock, "epoch 8", "epoch 0", "epoch 0 means that there was no order"),
    Edit(.lockdown, "epoch 7", "epoch 18446744073709551616", "not a canonical number"),
    Edit(.lockdown, "kind order", "kind Order", ":4: kind 'Order' is neither order nor drill"),
    Edit(.lockdown, "kind order\n", "", "a 'kind …' line must stand here"),
    Edit(.unlock, "scope all", "kind drill\nscope all", "a 'issued …' line must stand here"),
    Edit(.lockdown, "profile isolate", "profile Isolate", ":5: 'Isolate' is not a profile's name"),
    Edit(.lockdown, "profile isolate\n", "profile isolate\nprofile no-egress\n", "a 'issued …' line must stand here"),
    Edit(.lockdown, "scope db\nscope web", "scope web\nscope db", ":7: scope 'db' is out of order"),
    Edit(.lockdown, "scope db", "scope web", "scope 'web' stands twice"),
    Edit(.lockdown, "scope web", "scope w b", "may hold only letters"),
    Edit(.lockdown, "scope-not host:web7", "scope-not host:..", "'..' is not a host's name"),
    Edit(
      .lockdown, "scope-and prod\nscope-not host:web7", "scope-not host:web7\nscope-and prod",
      "a 'issued …' line must stand"),
    Edit(.lockdown, "issued 2026-11-22T02:11:09Z", "issued 2026-11-22T02:11:09", "not a time"),
    Edit(.lockdown, "arrive-by 2026-11-22T03:11:09Z", "arrive-by 2026-11-22T02:11:09Z", "it has 0 seconds to arrive"),
    Edit(.lockdown, "arrive-by 2026-11-22T03:11:09Z", "arrive-by 2026-11-22T02:11:08Z", "it has -1 seconds to arrive"),
    Edit(.lockdown, "arrive-by 2026-11-22T03:11:09Z", "arrive-by 2026-11-23T02:11:10Z", "86401 seconds to arrive"),
    Edit(.unlock, "arrive-by 2026-11-22T04:01:00Z", "arrive-by 2026-11-23T03:01:01Z", "86401 seconds"),
    Edit(.lockdown, "lifts-after 7200", "lifts-after 59", "lifts itself after 59 seconds; 60 to 2592000 are allowed"),
    Edit(.lockdown, "lifts-after 7200", "lifts-after 2592001", "60 to 2592000"),
    Edit(.lockdown, "lifts-after 7200", "lifts-after 4294967296", "neither a number of seconds nor -"),
    Edit(.lockdown, "lifts-after 7200", "lifts-after 2h", "lifts-after '2h' is neither a number of seconds nor -"),
    Edit(.lockdown, "lifts-after 7200\n", "", "a 'lifts-after …' line must stand here"),
    Edit(.unlock, "arrive-by 2026-11-22T04:01:00Z", "arrive-by 2026-11-22T04:01:00Z\nlifts-after -", "'reason …'"),
    Edit(.lockdown, "reason INC", "reason  INC", "without spaces around it"),
    Edit(.lockdown, "reason INC-991 stolen deploy key\n", "", "the text ends where a 'reason' line"),
    Edit(.unlock, "reason INC-991 closed\n", "reason INC-991 closed", "does not end with a line feed"),
    Edit(.lockdown, "deploy key\n", "deploy key\n\n", ":14: unexpected line ''"),
    Edit(.lockdown, "deploy key\n", "deploy key\r\n", "byte 0x0d"),
    Edit(.lockdown, "deploy key", "deploy \u{1b}[2Jkey", "byte 0x1b"),
  ]

  @Test(arguments: refused) func anyOtherSpellingIsRefusedByLineAndReason(_ edit: TextEdit<OrderKind>) {
    let original = edit.kind == .lockdown ? Self.lockdown : Self.unlock
    let text = edit.applied(to: original)
    #expect(text != Array(original.utf8))
    let problem = #expect(throws: FormatProblem.self) { try Self.reencode(text, as: edit.kind) }
    #expect(problem?.description.contains(edit.says) == true, "\(String(describing: problem))")
  }

  @Test(arguments: valid) func everyPrefixIsRefused(_ kind: OrderKind, _ text: String) {
    let bytes = Array(text.utf8)
    for count in 0..<bytes.count {
      #expect(throws: FormatProblem.self) { try Self.reencode(Array(bytes[..<count]), as: kind) }
    }
  }

  @Test(arguments: valid) func whateverMutationIsReadIsWrittenAgainByteByByte(_ kind: OrderKind, _ text: String) {
    expectEveryMutationRefusedOrKept(text, as: "\(kind)") { try Self.reencode($0, as: kind) }
  }

  @Test func noOrderIsMadeThatNoHostWouldRead() throws {
    let long = try LockScope(any: (0..<40).map { "label-\($0)-" + String(repeating: "x", count: 100) })
    let terms = try OrderScene.terms(scope: long)
    for problem in [
      #expect(throws: FormatProblem.self) {
        try LockdownOrder(terms: terms, isDrill: false, profile: ProfileName("isolate")!, liftsAfter: nil)
      }, #expect(throws: FormatProblem.self) { try UnlockOrder(terms: terms) },
    ] {
      #expect(problem?.reason.contains("too many words of scope") == true)
    }
    #expect(throws: FormatProblem.self) { try OrderScene.terms(issued: UTCTime(secondsSinceEpoch: -1)) }
    #expect(throws: FormatProblem.self) { try OrderScene.terms(issued: UTCTime("9999-12-31T23:59:59Z")!) }
    #expect(throws: FormatProblem.self) { try OrderScene.terms(reason: "two\nlines") }
    #expect(throws: FormatProblem.self) { try OrderScene.terms(reason: String(repeating: "x", count: 513)) }
    for seconds in [UInt32(59), 2_592_001] {
      #expect(throws: FormatProblem.self) { try OrderScene.lockdown(liftsAfter: seconds) }
    }
  }

  @Test func textsOverTheirSizeAreRefusedUnread() {
    let long = [UInt8](repeating: UInt8(ascii: "x"), count: OrderKind.maximumSize + 1)
    for kind in OrderKind.allCases {
      let problem = #expect(throws: FormatProblem.self) { try Self.reencode(long, as: kind) }
      #expect(problem?.reason.contains("more than the 4096 allowed") == true)
    }
  }
}
