internal import Glibc
internal import Synchronization

/// The programs that this process ran last, so that what they change is not taken for somebody else's doing.
enum OwnPrograms {
  /// More than one look, report and apply take.
  private static let capacity = 256

  private static let latest = Mutex<[pid_t]>([])

  static func note(_ process: pid_t) {
    latest.withLock { latest in
      if latest.count == capacity { latest.removeFirst() }
      latest.append(process)
    }
  }

  /// - Parameters:
  ///   - process: as the kernel announces it, in the words of the machine.
  ///   - socket: the address of its netlink socket, which the kernel makes of its number where it runs: in a container
  ///     that is another one than the machine's.
  static func made(process: UInt32, socket: UInt32) -> Bool {
    latest.withLock { $0.contains { UInt32(bitPattern: $0) == process || UInt32(bitPattern: $0) == socket } }
  }
}
