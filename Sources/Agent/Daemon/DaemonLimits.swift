internal import Wire

/// What one peer, and all of them, may cost. Tests bring shorter times.
package struct DaemonLimits: Sendable {
  package var connections = 16
  /// For the line before the protocol.
  package var preamble: Duration = .seconds(10)
  /// From the first byte of a frame to its last.
  package var frame: Duration = .seconds(30)
  /// From the announcement of a bundle to its last byte: 29 MiB in this time are 101 KB/s.
  package var staging: Duration = .seconds(300)
  /// With nothing to answer.
  package var idle: Duration = .seconds(120)
  /// With something to send, and nothing of it taken.
  package var stalledOutput: Duration = .seconds(60)
  /// A connection's whole life, unless it is waiting for an answer of ours.
  package var life: Duration = .seconds(900)
  /// For what is left to send when the connection is to be closed, or the daemon to stop.
  package var farewell: Duration = .seconds(5)
  /// Between two looks at rules whose changes the kernel does not announce, or at whether there are any.
  package var poll: Duration = .seconds(30)
  /// Between two looks where there are none: for files, ipsets and kernel settings.
  package var pollBesideRules: Duration = .seconds(900)
  /// Before the look at rules that an order changed and read back. Orders come to all hosts at once, and the hosts of one
  /// machine share its processors: the others' obeying comes first.
  package var afterReadBack: Duration = .seconds(10)
  /// So late a look comes before the orders and questions that held it up: whoever may connect could send them without end.
  package var overdueLook: Duration = .seconds(10)
  /// Before changes that nobody asked for are written to disk, and between two tries.
  package var keep: Duration = .seconds(5)
  /// Bytes of staged files, over all connections: two of the biggest bundles.
  package var stagedBytes = 2 * WireLimit.stagedBytes
  /// Bytes waiting to be sent above which a connection is neither read from nor given the next piece of a text.
  package var output = WireLimit.piece

  package init() {}
}
