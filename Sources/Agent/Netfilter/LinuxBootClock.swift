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
}
