internal import Core
internal import Glibc

/// When a process was started.
enum ProcessStart {
  /// Field 22 of /proc/PID/stat (proc(5)), counted after the name, which may hold anything: clock ticks since the machine
  /// started. Nil for zombies too: they hold nothing.
  static func ticks(of pid: pid_t) -> UInt64? {
    guard let bytes = SmallFile.read("/proc/\(pid)/stat"), let end = bytes.lastIndex(of: UInt8(ascii: ")")) else {
      return nil
    }
    let fields = bytes[(end + 1)...].split(separator: UInt8(ascii: " "))
    guard fields.count > 19, fields[0].first != UInt8(ascii: "Z") else { return nil }
    return UInt64(String(decoding: fields[19], as: UTF8.self))
  }

  static func time(of pid: pid_t) -> BootTime? {
    let perSecond = UInt64(clamping: sysconf(Int32(_SC_CLK_TCK)))
    guard perSecond > 0, let ticks = ticks(of: pid) else { return nil }
    return BootTime(nanoseconds: ticks / perSecond * 1_000_000_000)
  }
}
