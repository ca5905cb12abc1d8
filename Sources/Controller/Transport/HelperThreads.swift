internal import Glibc
internal import Synchronization

/// A few threads for what blocks: the name service and files. Started as they are needed, they end after ten idle
/// seconds. A job that never returns costs its thread; the others go on, and whoever waits has a deadline of its own.
final class HelperThreads: Sendable {
  typealias Job = @Sendable () -> Void

  private struct Contents {
    var jobs: [Job] = []
    var next = 0
    var threads = 0
    var idle = 0
  }

  private final class Shared: Sendable {
    let contents = Mutex(Contents())
    let work: Semaphore
    init(_ work: Semaphore) { self.work = work }
  }

  private let shared: Shared
  private let limit: Int

  init(limit: Int = 8) {
    self.limit = limit
    shared = Shared(Semaphore())
  }

  func submit(_ job: @escaping Job) {
    let needsThread = shared.contents.withLock { contents in
      contents.jobs.append(job)
      let waiting = contents.jobs.count - contents.next
      guard waiting > contents.idle, contents.threads < limit else { return false }
      contents.threads += 1
      return true
    }
    let shared = shared
    if needsThread, !SystemThread.start("portcullis-help", { Self.work(shared) }) {
      // No thread: the jobs wait for one of those that exist. Were there none, their owners' deadlines end them.
      shared.contents.withLock { $0.threads -= 1 }
    }
    shared.work.signal()
  }

  private static func work(_ shared: Shared) {
    while true {
      shared.contents.withLock { $0.idle += 1 }
      let isTimeout = !shared.work.wait(seconds: 10)
      let job: Job? = shared.contents.withLock { contents in
        contents.idle -= 1
        guard contents.next < contents.jobs.count else {
          if isTimeout { contents.threads -= 1 }
          return nil
        }
        defer {
          contents.next += 1
          if contents.next == contents.jobs.count {
            contents.jobs = []
            contents.next = 0
          }
        }
        return contents.jobs[contents.next]
      }
      if let job {
        job()
      } else if isTimeout {
        return
      }
    }
  }
}

/// A POSIX semaphore, which unlike a condition variable needs no lock of its own.
/// Unchecked: the pointer never changes, and sem_post(3) and sem_wait(3) may be called from any thread.
private final class Semaphore: @unchecked Sendable {
  // Unchecked: sem_t may be used from any thread; the pointer never changes.
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init() { sem_init(semaphore, 0, 0) }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func signal() { sem_post(semaphore) }

  /// False when nothing was signalled in time.
  func wait(seconds: Int) -> Bool {
    var due = timespec()
    clock_gettime(CLOCK_REALTIME, &due)
    due.tv_sec += seconds
    while true {
      if sem_timedwait(semaphore, &due) == 0 { return true }
      if errno != EINTR { return false }
    }
  }
}
