internal import Core

/// Runs the host's own administration programs: useradd, systemctl. The real one is Netfilter's runner.
package protocol ProgramRunning {
  /// The first word is an absolute path. Throws unless the program ends with 0, with what it said.
  func succeed(_ command: [String], doing operation: String) throws
}
