import Glibc
import Synchronization

/// Ctrl-C once: no new hosts are started and those in flight are finished or left to themselves, which they survive.
/// Twice: the process ends.
enum Interruption {
  private static let count = Atomic<Int>(0)
  private static let pending = Mutex<Task<Int32, any Error>?>(nil)

  static var happened: Bool { count.load(ordering: .relaxed) > 0 }

  static func cancel(_ work: Task<Int32, any Error>) {
    pending.withLock { $0 = work }
    signal(SIGINT) { _ in Interruption.interrupted() }
    signal(SIGTERM) { _ in Interruption.interrupted() }
  }

  /// In a signal handler only async-signal-safe things are allowed, and a task cannot be cancelled there: the handler
  /// writes a byte to a pipe that a thread of its own reads.
  private static func interrupted() {
    if count.add(1, ordering: .relaxed).oldValue > 0 { _exit(130) }
    var byte: UInt8 = 0
    write(waker, &byte, 1)
  }

  private static let waker: Int32 = {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { return -1 }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let readEnd = ends[0]
    var thread = pthread_t()
    let context = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
    context.pointee = readEnd
    pthread_create(
      &thread, nil,
      { context in
        let readEnd = context!.assumingMemoryBound(to: Int32.self).pointee
        var byte: UInt8 = 0
        if read(readEnd, &byte, 1) == 1 { Interruption.pending.withLock { $0?.cancel() } }
        return nil
      }, context)
    pthread_detach(thread)
    return ends[1]
  }()

  /// The pipe must exist before the first signal.
  static func prepare() { _ = waker }
}
