internal import Core
internal import Glibc
internal import Wire

/// Who keeps changing the rules of the network namespace that the thread is in, when a program of ours could not get
/// its turn.
enum Writers {
  /// How long is listened, in milliseconds.
  private static let patience = 300

  /// "fail2ban-server (process 812)", or nil when nobody showed up.
  static func name(on backend: Backend, lockFile: String = "/run/xtables.lock") -> String? {
    switch backend {
    case .nft: (try? announced()) ?? nil
    case .legacy: holder(of: lockFile)
    }
  }

  /// The kernel announces each new generation of the nft rules with who made it.
  private static func announced() throws(SystemCallError) -> String? {
    let socket = try NetlinkSocket(NetlinkSocket.netfilter, group: NftablesMessages.changes)
    let deadline = monotonicMilliseconds() + patience
    while true {
      let left = deadline - monotonicMilliseconds()
      guard left > 0 else { return nil }
      for message in try socket.receive(within: left, "listen for changes of the rules") {
        if let writer = writer(message) { return writer }
      }
    }
  }

  static func writer(_ message: NetlinkReply) -> String? {
    guard let change = NftablesMessages.change(message), let process = change.process else { return nil }
    return "\(SafeText.escape(change.name)) (process \(process))"
  }

  /// Legacy programs hold an flock(2) while they work; it is asked for until somebody has it.
  private static func holder(of lockFile: String) -> String? {
    let deadline = monotonicMilliseconds() + patience
    while monotonicMilliseconds() < deadline {
      var status = stat()
      if stat(lockFile, &status) == 0, let locks = SmallFile.read("/proc/locks", atMost: 1 << 20),
        let process = flockHolder(inode: UInt64(status.st_ino), in: locks), process != getpid()
      {
        // Other users' processes may be hidden from us.
        guard let name = SmallFile.line("/proc/\(process)/comm") else { return "process \(process)" }
        return "\(SafeText.escape(name)) (process \(process))"
      }
      usleep(2000)
    }
    return nil
  }

  /// "1: FLOCK  ADVISORY  WRITE 812 00:1a:5678 0 EOF" (proc(5)); those who wait have an arrow after the number. The
  /// device is not compared: on some file systems stat(2) gives another one.
  static func flockHolder(inode: UInt64, in locks: [UInt8]) -> pid_t? {
    for line in locks.split(separator: UInt8(ascii: "\n")) {
      let words = RuleText.words(line)
      guard words.count >= 6, words[1] == "FLOCK", let process = pid_t(words[4]), process > 0 else { continue }
      if words[5].split(separator: ":").last.flatMap({ UInt64($0) }) == inode { return process }
    }
    return nil
  }
}
