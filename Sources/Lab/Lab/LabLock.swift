internal import Core
internal import Glibc

/// Two verbs on one lab would trip over each other. The lock is on the lab's folder itself, so that no lock file is left;
/// the kernel lets go of it when its holder dies.
enum LabLock {
  /// - Parameter patience: seconds to wait for another verb to end.
  static func hold<Result>(
    _ directory: LabDirectory, patience: Int = 0, _ body: () async throws -> Result
  ) async throws -> Result {
    let descriptor = open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw LabFiles.failed("open", directory.path) }
    defer { close(descriptor) }
    let deadline = ContinuousClock.now + .seconds(patience)
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK else { throw LabFiles.failed("flock", directory.path) }
      guard ContinuousClock.now < deadline else {
        throw Failure(
          "use the lab in \(directory.path)", because: Reason("another lab command is at work there"),
          hint: "wait until it has ended")
      }
      try await Task.sleep(for: .milliseconds(20))
    }
    return try await body()
  }
}
