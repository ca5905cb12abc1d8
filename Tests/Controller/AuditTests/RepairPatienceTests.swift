import Core
import Testing

@testable import Audit

struct RepairPatienceTests {
  private let now = start + 1_000_000

  private func judge(_ secondsAgo: Int64...) -> RepairPatience {
    RepairPatience.judge(secondsAgo.map { now + -$0 }, now: now)
  }

  @Test func `the first repair of a day does not wait, the next ones wait longer each time`() {
    #expect(judge() == .now)
    #expect(judge(86_400) == .now)
    #expect(judge(299) == .notBefore(now + 1))
    #expect(judge(300) == .now)
    #expect(judge(599, 5000) == .notBefore(now + 1))
    #expect(judge(5000, 600) == .now)
    #expect(judge(1199, 5000, 6000) == .notBefore(now + 1))
    #expect(judge(2399, 5000, 6000, 7000) == .notBefore(now + 1))
    #expect(judge(2400, 5000, 6000, 7000) == .now)
  }

  @Test func `what is changed back five times in a day is left to a person, until the first of them is long ago`() {
    #expect(judge(40_000, 50_000, 60_000, 70_000, 86_399) == .given(up: 5))
    #expect(judge(40_000, 50_000, 60_000, 70_000, 86_400) == .now)
  }

  @Test func `a clock that was set back by years stops no repair for years`() {
    #expect(judge(-90_000) == .now)
    #expect(judge(-60) == .notBefore(now + 360))
  }
}
