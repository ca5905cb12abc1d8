/// A moment on CLOCK_BOOTTIME: since the machine booted, time asleep included. Nobody can set this clock, and it means
/// nothing after a reboot, so whoever stores one stores the boot id beside it.
package struct BootTime: Hashable, Sendable, Comparable {
  package let nanoseconds: UInt64

  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  package static func < (a: BootTime, b: BootTime) -> Bool { a.nanoseconds < b.nanoseconds }

  package static func + (time: BootTime, duration: Duration) -> BootTime {
    BootTime(nanoseconds: time.nanoseconds &+ UInt64(max(0, duration.nanosecondCount)))
  }

  /// Zero when `earlier` is not earlier.
  package static func - (time: BootTime, earlier: BootTime) -> Duration {
    .nanoseconds(time > earlier ? Int64(clamping: time.nanoseconds - earlier.nanoseconds) : 0)
  }
}

extension Duration {
  /// Rounded down.
  var nanosecondCount: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
