/// A moment on CLOCK_MONOTONIC: like `BootTime`, but this clock stands still while the machine sleeps. A type of its own,
/// since the two are equal on a machine that never slept and drift apart on one that did.
package struct RunningTime: Hashable, Sendable, Comparable {
  package let nanoseconds: UInt64

  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  package static func < (a: RunningTime, b: RunningTime) -> Bool { a.nanoseconds < b.nanoseconds }

  package static func + (time: RunningTime, duration: Duration) -> RunningTime {
    RunningTime(nanoseconds: time.nanoseconds &+ UInt64(max(0, duration.nanosecondCount)))
  }

  /// Zero when `earlier` is not earlier.
  package static func - (time: RunningTime, earlier: RunningTime) -> Duration {
    .nanoseconds(time > earlier ? Int64(clamping: time.nanoseconds - earlier.nanoseconds) : 0)
  }
}
