import Core
import Daemon
import Testing

/// In virtual time.
@Suite struct RereadTimerTests {
  @Test func `nothing is read while nothing changes`() {
    var timer = RereadTimer()
    #expect(timer.deadline == nil)
    #expect(timer.order(at: at(1000)) == false)
  }

  @Test func `a burst is read once, soon after its first change`() {
    var timer = RereadTimer()
    for moment in [10, 10.05, 10.1, 10.19] { timer.changed(at: at(moment)) }
    #expect(timer.deadline == at(10.2))
    #expect(timer.order(at: at(10.19)) == false)
    #expect(timer.order(at: at(10.2)) == true)
    #expect(timer.order(at: at(10.3)) == false)
    timer.read(at: at(10.3))
    #expect(timer.deadline == nil)
  }

  @Test func `a change while it is read is read again`() {
    var timer = RereadTimer()
    timer.changed(at: at(10))
    #expect(timer.order(at: at(10.2)) == true)
    timer.changed(at: at(10.25))
    #expect(timer.deadline == nil)
    timer.read(at: at(10.3))
    #expect(timer.deadline == at(10.5))
  }

  @Test func `a change now and then is always read soon`() {
    var timer = RereadTimer()
    for moment in stride(from: 10.0, to: 100, by: 6) {
      timer.changed(at: at(moment))
      #expect(timer.deadline == at(moment + 0.2))
      #expect(timer.order(at: at(moment + 0.2)) == true)
      timer.read(at: at(moment + 0.25))
    }
  }

  /// A writer changes something every tenth of a second, and each reading takes so long.
  private struct BusyWriter {
    var timer = RereadTimer()
    var reads: [Double] = []
    var now = 10.0
    let duration: Double
    let cost: Duration

    var pauses: [Double] { zip(reads.dropFirst(), reads).map { $0 - $1 } }

    /// - Returns: whether it was read.
    @discardableResult mutating func write() -> Bool {
      timer.changed(at: at(now))
      let isRead = timer.order(at: at(now))
      if isRead {
        reads.append(now)
        now += duration
        timer.read(at: at(now), cost: cost)
      }
      now += 0.1
      return isRead
    }

    mutating func write(until end: Double) { while now < end { write() } }

    /// When what changes next, after all was read and half a minute of rest, is read.
    mutating func delayAfterRest() -> Duration? {
      while !write() {}
      timer.changed(at: at(now + 30))
      return timer.deadline.map { $0 - at(now + 30) }
    }
  }

  @Test func `what costs much to read is read so seldom that it takes a twentieth of a core`() {
    var writer = BusyWriter(duration: 1, cost: .seconds(1))
    writer.write(until: 600)
    #expect(writer.pauses.prefix(3).allSatisfy { $0 < 5 }, "\(writer.pauses)")
    #expect(writer.pauses.suffix(10).allSatisfy { (20...21.5).contains($0) }, "\(writer.pauses)")
    // One change after a rest is seen at once all the same.
    #expect(writer.delayAfterRest() == RereadTimer.shortest)
  }

  @Test func `a writer that never pauses is read every five seconds in the end, and soon again when it rested`() {
    var writer = BusyWriter(duration: 0.05, cost: .zero)
    writer.write(until: 100)
    #expect(writer.reads.count < 30, "\(writer.reads)")
    #expect(writer.pauses.suffix(10).allSatisfy { (4.9...5.3).contains($0) }, "\(writer.pauses)")
    #expect(writer.delayAfterRest() == RereadTimer.shortest)
  }
}

private func at(_ seconds: Double) -> BootTime { BootTime(nanoseconds: UInt64(seconds * 1_000_000_000)) }
