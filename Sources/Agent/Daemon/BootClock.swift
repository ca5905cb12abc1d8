internal import Glibc

/// Nanoseconds since boot, time asleep included: nobody can set this clock, and a suspended machine does not stretch
/// a deadline.
struct BootInstant: Comparable, Hashable, Sendable {
  private let nanoseconds: Int64

  static var now: BootInstant {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return BootInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  /// Rounded up, so that a wait for it never ends just before it. 0 when it has passed.
  func millisecondsFrom(_ now: BootInstant) -> Int32 {
    Int32(clamping: max(0, (nanoseconds - now.nanoseconds + 999_999) / 1_000_000))
  }

  static func + (instant: BootInstant, duration: Duration) -> BootInstant {
    let (seconds, attoseconds) = duration.components
    return BootInstant(nanoseconds: instant.nanoseconds + seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
  }

  static func < (a: BootInstant, b: BootInstant) -> Bool { a.nanoseconds < b.nanoseconds }
}
