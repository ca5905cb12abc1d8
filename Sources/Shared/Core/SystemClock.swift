internal import Glibc

/// The machine's own clock.
package struct SystemClock: WallClock {
  package init() {}

  package func now() -> UTCTime {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return UTCTime(secondsSinceEpoch: Int64(time.tv_sec))
  }
}
