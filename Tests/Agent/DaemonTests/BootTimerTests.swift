import Apply
import Core
import Daemon
import Foundation
import Glibc
import Testing

/// Waking up in time, also after the machine slept.
@Suite struct BootTimerTests {
  /// poll(2) counts on a clock that stands still while the machine sleeps, so the kernel is asked which one wakes us.
  @Test func `the deadline of a change that waits is set on the clock that goes on in sleep`() throws {
    let operations = FakeOperations(waits: .seconds(4000))
    let daemon = try RunningDaemon(operations)
    _ = try ConfirmationTests.applied(TestPeer.greeted(daemon))
    let deadline = try #require(operations.confirmBy)
    // proc_pid_fdinfo(5): what is left until it fires.
    let clock = "clockid: \(CLOCK_BOOTTIME)\n"
    #expect(
      eventually {
        let now = BootTime.now
        return (0..<1024).contains { number in
          guard let text = try? String(contentsOfFile: "/proc/self/fdinfo/\(number)", encoding: .utf8),
            text.contains(clock), let value = text.range(of: "it_value: (")
          else { return false }
          guard let left = Int(text[value.upperBound...].prefix { $0 != "," }) else { return false }
          return abs(Double(left) - (deadline - now) / .seconds(1)) < 3
        }
      })
    #expect(daemon.stop() == nil)
  }

  @Test func `a boot timer is readable when its time has come, and not otherwise`() throws {
    let timer = try BootTimer()
    func isReadable(within milliseconds: Int32) -> Bool {
      var waiting = pollfd(fd: timer.descriptor, events: Int16(POLLIN), revents: 0)
      return poll(&waiting, 1, milliseconds) == 1
    }
    #expect(!isReadable(within: 0))
    let soon = BootTime.now + .milliseconds(50)
    try timer.set(to: soon)
    #expect(isReadable(within: 5000))
    #expect(BootTime.now >= soon)
    try timer.set(to: .now + .seconds(60))
    #expect(!isReadable(within: 0))
    try timer.set(to: BootTime(nanoseconds: 0))
    #expect(isReadable(within: 1000))
    try timer.set(to: nil)
    #expect(!isReadable(within: 0))
  }
}
