internal import Apply
internal import Core
internal import Glibc

struct LinuxBootClock: BootClock {
  init() {}

  func now() -> BootTime { BootTime(nanoseconds: Self.nanoseconds(CLOCK_BOOTTIME)) }

  func running() -> RunningTime { RunningTime(nanoseconds: Self.nanoseconds(CLOCK_MONOTONIC)) }

  private static func nanoseconds(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  func sleep(for duration: Duration) {
    var left = timespec()
    (left.tv_sec, left.tv_nsec) = (
      Int(duration.components.seconds), Int(duration.components.attoseconds / 1_000_000_000)
    )
    var rest = timespec()
    while nanosleep(&left, &rest) != 0, errno == EINTR { left = rest }
  }
}
