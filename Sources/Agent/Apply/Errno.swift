internal import Core
internal import Glibc

// Glibc's numbers under the names that say what they mean here, so that the pure files do not import it.

/// EEXIST
var fileExists: Int32 { EEXIST }

extension SystemCallError {
  /// ENOSPC or EDQUOT
  var isFullDisk: Bool { errno == ENOSPC || errno == EDQUOT }
}
