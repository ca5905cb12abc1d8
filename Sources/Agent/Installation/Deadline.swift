internal import Glibc

/// A moment on the clock that no one can set.
struct Deadline {
  private let end: timespec

  init(secondsFromNow seconds: Int) {
    var now = timespec()
    clock_gettime(CLOCK_BOOTTIME, &now)
    now.tv_sec += seconds
    end = now
  }

  var hasPassed: Bool { millisecondsLeft == 0 }

  var millisecondsLeft: Int32 {
    var now = timespec()
    clock_gettime(CLOCK_BOOTTIME, &now)
    let left = (end.tv_sec - now.tv_sec) * 1000 + (end.tv_nsec - now.tv_nsec) / 1_000_000
    return Int32(clamping: max(0, left))
  }
}
