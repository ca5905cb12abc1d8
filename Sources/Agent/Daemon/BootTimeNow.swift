internal import Core
internal import Glibc

extension BootTime {
  static var now: BootTime {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return BootTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
  }

  /// Rounded up, so that a wait for it never ends just before it. 0 when it has passed.
  func millisecondsFrom(_ now: BootTime) -> Int32 {
    guard self > now else { return 0 }
    return Int32(clamping: (nanoseconds - now.nanoseconds - 1) / 1_000_000 + 1)
  }
}
