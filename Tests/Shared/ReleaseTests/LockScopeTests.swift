import Core
import Release
import Testing

@Suite struct LockScopeTests {
  struct Case: Sendable, CustomStringConvertible {
    let any: [String]
    let all: [String]
    let none: [String]
    let isIn: Bool
    var description: String { "any \(any), all \(all), none \(none)" }

    init(_ any: [String], and all: [String] = [], not none: [String] = [], _ isIn: Bool) {
      self.any = any
      self.all = all
      self.none = none
      self.isIn = isIn
    }
  }

  @Test(
    arguments: [
      Case(["all"], true), Case(["web"], true), Case(["db", "web"], true), Case(["db"], false), Case([], false),
      Case(["host:web7"], true), Case(["host:web70"], false), Case(["host:web"], false), Case(["we"], false),
      Case(["WEB"], false), Case(["web"], and: ["prod"], true), Case(["web"], and: ["prod", "dc1"], false),
      Case(["web"], and: ["all"], true), Case(["web"], not: ["prod"], false), Case(["web"], not: ["dc1"], true),
      Case(["all"], not: ["host:web7"], false), Case(["all"], not: ["all"], false), Case([], and: ["web"], false),
      Case(["all"], and: ["host:web7"], not: ["host:web8"], true),
    ]) func web7OfWebAndProdIsInOrOut(_ scene: Case) throws
  {
    let scope = try LockScope(any: scene.any, all: scene.all, none: scene.none)
    #expect(scope.includes(HostID("web7")!, labels: ["prod", "web"]) == scene.isIn)
  }

  @Test func aLabelThatLooksLikeAHostsNameStandsForNoHost() throws {
    let labels = ["host:web7", "web"]
    #expect(try !LockScope(any: ["host:web7"]).includes(HostID("web8")!, labels: labels))
    #expect(try LockScope(any: ["web"], none: ["host:web7"]).includes(HostID("web8")!, labels: labels))
  }

  @Test func wordsAreSortedAndOnce() throws {
    let scope = try LockScope(any: ["web", "db", "web"], all: ["b", "a"], none: ["host:z", "host:a"])
    #expect(scope.any == ["db", "web"] && scope.all == ["a", "b"] && scope.none == ["host:a", "host:z"])
  }

  @Test(arguments: [
    "", "two words", "web*", "wéb", "host:", "host:-x", "host:a/b", "a\n", String(repeating: "x", count: 129),
  ])
  func whatIsNoWordIsRefusedWhereverItStands(_ word: String) {
    #expect(throws: FormatProblem.self) { try LockScope(any: [word]) }
    #expect(throws: FormatProblem.self) { try LockScope(any: ["all"], all: [word]) }
    #expect(throws: FormatProblem.self) { try LockScope(any: ["all"], none: [word]) }
  }

  @Test func thereAreAtMost64Words() throws {
    let words = (1...62).map { "l\($0)" }
    #expect(throws: Never.self) { try LockScope(any: words, all: ["a"], none: ["b"]) }
    #expect(throws: FormatProblem.self) { try LockScope(any: words, all: ["a"], none: ["b", "c"]) }
  }
}
