import Core
import Daemon
import Testing

@Suite struct LockTimerTests {
  private static let now = BootTime(nanoseconds: 5_000_000_000)

  /// What it says at these times.
  private static func asked(_ timer: inout LockTimer, at seconds: Int...) -> [Bool] {
    seconds.map { timer.isDue(at: now + .seconds($0)) }
  }

  @Test func `nothing is due while nothing is locked`() {
    var timer = LockTimer()
    #expect(timer.deadline == nil)
    let before = Self.asked(&timer, at: 0)
    timer.learned(nil)
    let after = Self.asked(&timer, at: 0)
    #expect(before == [false] && after == [false])
  }

  @Test func `what is due is said once, at its time, and again when it was done`() {
    var timer = LockTimer()
    timer.learned(Self.now + .seconds(10))
    #expect(timer.deadline == Self.now + .seconds(10))
    let said = Self.asked(&timer, at: 9, 10, 11)
    #expect(said == [false, true, false])
    #expect(timer.deadline == nil)
    // Other jobs end meanwhile.
    timer.learned(Self.now)
    let again = Self.asked(&timer, at: 11)
    #expect(again == [false])
    timer.done(Self.now + .seconds(20), at: Self.now + .seconds(11))
    #expect(timer.deadline == Self.now + .seconds(20))
  }

  @Test func `what cannot be done at once is not tried without a pause`() {
    var timer = LockTimer()
    timer.learned(Self.now)
    let said = Self.asked(&timer, at: 0)
    timer.done(Self.now, at: Self.now + .seconds(2))
    #expect(said == [true])
    #expect(timer.deadline == Self.now + .seconds(3))
  }
}
