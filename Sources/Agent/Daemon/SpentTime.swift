internal import Glibc

/// Processor time, in user mode and in the kernel.
enum SpentTime {
  /// By the calling thread and by all programs that this process ran and that ended.
  static var byThisThreadAndPrograms: Duration {
    var thread = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &thread)
    var programs = rusage()
    getrusage(RUSAGE_CHILDREN.rawValue, &programs)
    let ended = [programs.ru_utime, programs.ru_stime].map {
      Duration.seconds($0.tv_sec) + .microseconds(Int64($0.tv_usec))
    }
    return .seconds(thread.tv_sec) + .nanoseconds(Int64(thread.tv_nsec)) + ended[0] + ended[1]
  }
}
