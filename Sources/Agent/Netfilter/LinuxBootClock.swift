internal import Apply
internal import Core
internal import Glibc

struct LinuxBootClock: BootClock {
  init() {}

  func now() -> BootTime {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return BootTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
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
