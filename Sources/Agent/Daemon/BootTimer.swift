internal import CLinux
package import Core

/// Wakes poll(2) at a time of the boot clock. Its own time limit runs on a clock that stands still while the machine
/// sleeps, so that a deadline which passed meanwhile would be noticed as much too late.
package final class BootTimer {
  private let timer: Descriptor
  private var time: BootTime?

  package init() throws {
    let raw = clinux_boot_timer()
    guard raw >= 0 else { throw SystemCallError.last("timerfd_create", "boot clock") }
    timer = Descriptor(owning: raw)
  }

  /// Readable when the time has come, until it is set again.
  package var descriptor: Int32 { timer.number }

  /// - Parameter time: may have passed; nil for never.
  package func set(to time: BootTime?) throws {
    guard time != self.time else { return }
    // 0 would mean never.
    guard clinux_boot_timer_set(timer.number, time.map { max(1, $0.nanoseconds) } ?? 0) == 0 else {
      throw SystemCallError.last("timerfd_settime", "boot clock")
    }
    self.time = time
  }
}
