package import Core
internal import Glibc

extension SystemCallError {
  /// What errno says right after a call that failed.
  package static func last(_ call: String, _ object: String) -> SystemCallError {
    of(call, object, errno: Glibc.errno)
  }

  package static func of(_ call: String, _ object: String, errno number: Int32) -> SystemCallError {
    SystemCallError(call, object, errno: number, meaning: String(cString: strerror(number)))
  }
}

/// Repeats a call that a signal interrupted.
func uninterrupted<Result: SignedInteger>(_ call: () -> Result) -> Result {
  while true {
    let result = call()
    if result != -1 || errno != EINTR { return result }
  }
}

/// An open file that is closed exactly once.
final class Descriptor {
  let raw: Int32

  init(takingOwnershipOf raw: Int32) { self.raw = raw }

  deinit { close(raw) }
}
