internal import CLinux

/// Code that ran stays resident, though a daemon that lives for months may run most of it once: the parser of its
/// arguments, a parser of rules.
package enum CodeMemory {
  /// Lets go of the executable's code and constants. What is needed again comes back from the page cache by itself, in
  /// well under a millisecond for all of it; failing only costs memory.
  package static func release() { _ = clinux_release_code() }
}
