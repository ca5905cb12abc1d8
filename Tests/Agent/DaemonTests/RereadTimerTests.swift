import Core
import Daemon
import Testing

/// In virtual time.
@Suite struct RereadTimerTests {
  static func at(_ seconds: Double) -> BootTime { BootTime(nanoseconds: UInt64(seconds * 1_000_000_000)) }

  @Test func `nothing is read while nothing changes`() {
    var timer = RereadTimer()
    #expect(timer.deadline == nil)
    #expect(timer.order(at: Self.at(1000)) == false)
  }

  @Test func `a burst is read once, soon after its first change`() {
    var timer = RereadTimer()
    for moment in [10, 10.05, 10.1, 10.19] { timer.changed(at: Self.at(moment)) }
    #expect(timer.deadline == Self.at(10.2))
    #expect(timer.order(at: Self.at(10.19)) == false)
    #expect(timer.order(at: Self.at(10.2)) == true)
    #expect(timer.order(at: Self.at(10.3)) == false)
    timer.read(at: Self.at(10.3))
    #expect(timer.deadline == nil)
  }

  @Test func `a change while it is read is read again`() {
    var timer = RereadTimer()
    timer.changed(at: Self.at(10))
    #expect(timer.order(at: Self.at(10.2)) == true)
    timer.changed(at: Self.at(10.25))
    #expect(timer.deadline == nil)
    timer.read(at: Self.at(10.3))
    #expect(timer.deadline == Self.at(10.5))
  }

  @Test func `a change now and then is always read soon`() {
    var timer = RereadTimer()
    for moment in stride(from: 10.0, to: 100, by: 6) {
      timer.changed(at: Self.at(moment))
      #expect(timer.deadline == Self.at(moment + 0.2))
      #expect(timer.order(at: Self.at(moment + 0.2)) == true)
      timer.read(at: Self.at(moment + 0.25))
    }
  }

  @Test func `what costs much to read is read so seldom that it takes a twentieth of a core`() {
    var timer = RereadTimer()
    var reads: [Double] = []
    var now = 10.0
    while now < 600 {
      timer.changed(at: Self.at(now))
      if timer.order(at: Self.at(now)) {
        reads.append(now)
        timer.read(at: Self.at(now + 1), cost: .seconds(1))
        now += 1
      }
      now += 0.1
    }
    let pauses = zip(reads.dropFirst(), reads).map { $0 - $1 }
    #expect(pauses.prefix(3).allSatisfy { $0 < 5 }, "\(pauses)")
    #expect(pauses.suffix(10).allSatisfy { (20...21.5).contains($0) }, "\(pauses)")
    // One change after a rest is seen at once all the same.
    timer.changed(at: Self.at(now))
    while !timer.order(at: Self.at(now)) { now += 0.1 }
    timer.read(at: Self.at(now), cost: .seconds(1))
    timer.changed(at: Self.at(now + 30))
    #expect(timer.deadline == Self.at(now + 30.2))
  }

  @Test func `a writer that never pauses is read every five seconds in the end, and soon again when it rested`() {
    var timer = RereadTimer()
    var reads: [Double] = []
    var now = 10.0
    while now < 100 {
      timer.changed(at: Self.at(now))
      if timer.order(at: Self.at(now)) {
        reads.append(now)
        timer.read(at: Self.at(now + 0.05))
      }
      now += 0.1
    }
    let pauses = zip(reads.dropFirst(), reads).map { $0 - $1 }
    #expect(reads.count < 30, "\(reads)")
    #expect(pauses.suffix(10).allSatisfy { (4.9...5.3).contains($0) }, "\(pauses)")

    timer.changed(at: Self.at(now))
    while !timer.order(at: Self.at(now)) { now += 0.1 }
    timer.read(at: Self.at(now))
    timer.changed(at: Self.at(now + 30))
    #expect(timer.deadline == Self.at(now + 30.2))
  }
}
