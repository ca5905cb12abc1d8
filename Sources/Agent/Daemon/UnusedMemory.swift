internal import CLinux

/// What a daemon that lives for months holds and does not use: code that ran once, such as the parser of its arguments, and
/// the rules of its last look.
package enum UnusedMemory {
  /// Lets go of the executable's code and constants, and of the heap's free pages. What is needed again comes back by
  /// itself, in well under a millisecond for all of it; failing only costs memory.
  package static func release() {
    _ = clinux_release_code()
    clinux_release_heap()
  }
}
