import Core
import Daemon
import Testing

/// In virtual time.
@Suite struct ConfirmationTimerTests {
  static func at(_ seconds: Double) -> BootTime { BootTime(nanoseconds: UInt64(seconds * 1_000_000_000)) }
  static func late(_ seconds: Double) -> ConfirmationTimer.Order {
    .init(why: "no confirmation came before the deadline", due: at(seconds))
  }
  static let stopping = ConfirmationTimer.Order(why: "the agent is stopping", due: nil)

  @Test func `nothing is due while nothing waits`() {
    var timer = ConfirmationTimer()
    #expect(timer.deadline == nil)
    #expect(timer.order(at: Self.at(1000)) == nil)
    #expect(timer.deadline == nil)
    timer.learned(nil)
    #expect(timer.deadline == nil)
  }

  @Test func `the order comes at the deadline, not a nanosecond before, and once`() {
    var timer = ConfirmationTimer()
    timer.learned(Self.at(60))
    #expect(timer.deadline == Self.at(60))
    #expect(timer.order(at: BootTime(nanoseconds: 59_999_999_999)) == nil)
    #expect(timer.order(at: Self.at(60)) == Self.late(60))
    #expect(timer.order(at: Self.at(61)) == nil)
    #expect(timer.deadline == nil)
    // Jobs that ended meanwhile still saw the change.
    timer.learned(Self.at(60))
    #expect(timer.order(at: Self.at(62)) == nil)
    timer.expired(nil, at: Self.at(62))
    #expect(timer.deadline == nil)
    #expect(timer.order(at: Self.at(63)) == nil)
  }

  @Test func `a confirmed change is forgotten, and the next one has its own deadline`() {
    var timer = ConfirmationTimer()
    timer.learned(Self.at(60))
    timer.learned(nil)
    #expect(timer.order(at: Self.at(100)) == nil)
    timer.learned(Self.at(200))
    #expect(timer.order(at: Self.at(199)) == nil)
    #expect(timer.order(at: Self.at(200)) == Self.late(200))
  }

  @Test func `a change that could not be taken back is tried again after a second, not at once`() {
    var timer = ConfirmationTimer()
    timer.learned(Self.at(60))
    #expect(timer.order(at: Self.at(60)) != nil)
    timer.expired(Self.at(60), at: Self.at(60.5))
    #expect(timer.deadline == Self.at(61.5))
    #expect(timer.order(at: Self.at(61.4)) == nil)
    #expect(timer.order(at: Self.at(61.5)) == Self.late(61.5))
  }

  @Test func `to stop takes a waiting change back now, and one that begins to wait meanwhile too`() {
    var timer = ConfirmationTimer()
    timer.learned(Self.at(60))
    timer.stop()
    #expect(timer.order(at: Self.at(1)) == Self.stopping)
    timer.expired(nil, at: Self.at(2))
    #expect(timer.deadline == nil)

    var other = ConfirmationTimer()
    other.stop()
    #expect(other.order(at: Self.at(0)) == nil)
    other.learned(Self.at(60))
    #expect(other.order(at: Self.at(1)) == Self.stopping)
  }

  @Test func `a change that cannot be taken back does not keep the agent from stopping`() {
    var timer = ConfirmationTimer()
    timer.learned(Self.at(60))
    timer.stop()
    #expect(timer.order(at: Self.at(1)) != nil)
    timer.expired(Self.at(60), at: Self.at(2))
    #expect(timer.deadline == nil)
    timer.learned(Self.at(60))
    #expect(timer.order(at: Self.at(100)) == nil)
  }
}
