internal import CLinux
package import Core
internal import Glibc

/// The write end of the pipe that signals arrive through. A handler may do little more than write(2), and can be given
/// nothing but its signal's number, hence a global; it is set once, before the handlers are.
nonisolated(unsafe) private var signalPipe: Int32 = -1

/// Turns SIGTERM and SIGINT into bytes on a descriptor, and takes the sting out of SIGPIPE and SIGHUP.
///
/// Handlers, not a blocked mask with a signalfd and not SIG_IGN: those two would be inherited by the programs we start,
/// where a handler becomes the default again.
package struct Signals {
  /// Readable once SIGTERM or SIGINT came.
  package var descriptor: Int32 { reading.number }
  private let reading: Descriptor

  package init() throws(SystemCallError) {
    var ends: [Int32] = [-1, -1]
    guard clinux_pipe(&ends) == 0 else { throw .last("pipe", "signals") }
    reading = Descriptor(owning: ends[0])
    // A handler may run at any time until the process ends: this end is never closed.
    signalPipe = ends[1]
    for signal in [SIGTERM, SIGINT] {
      Self.handle(signal) { _ in
        let saved = errno
        var byte: UInt8 = 0
        write(signalPipe, &byte, 1)
        errno = saved
      }
    }
    Self.handle(SIGHUP) { _ in }
    Self.ignoreBrokenPipes()
  }

  /// Writes to a peer that is gone fail with EPIPE instead of ending the process.
  static func ignoreBrokenPipes() { handle(SIGPIPE) { _ in } }

  private static func handle(_ signal: Int32, with handler: @convention(c) (Int32) -> Void) {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = handler
    action.sa_flags = Int32(SA_RESTART)
    sigaction(signal, &action, nil)
  }
}
