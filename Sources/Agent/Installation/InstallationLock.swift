internal import Core
internal import Glibc

/// One installation or removal at a time: two that are mixed up could leave one's trust with the other's executable. The
/// kernel lets go of it when the process ends, however it ends.
final class InstallationLock {
  private let descriptor: Int32

  /// Seconds to wait for another one: two starts of a daemon that does not answer, and some.
  private static let patience = 60

  /// The folder of programs is what is locked: it is there first and goes last.
  init(_ paths: HostPaths, patience: Int = InstallationLock.patience) throws {
    let folder = paths.programs
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.failed("open", folder) }
    self.descriptor = descriptor
    let end = Deadline(secondsFromNow: patience)
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { throw Self.failed("flock", folder) }
      guard !end.hasPassed else {
        throw Failure(
          "begin", because: Reason("another installation or removal runs on this host"),
          hint: "wait until it has ended; 'fuser \(folder)' names it")
      }
      usleep(20_000)
    }
    // A removal that held it has taken the folder away.
    var facts = stat()
    guard fstat(descriptor, &facts) == 0, facts.st_nlink > 0 else {
      throw Failure(
        "begin", because: Reason("the agent was being removed meanwhile"), hint: "run the command again")
    }
  }

  deinit { close(descriptor) }

  private static func failed(_ call: String, _ object: String) -> SystemCallError {
    SystemCallError(call, object, errno: errno, meaning: String(cString: strerror(errno)))
  }
}
