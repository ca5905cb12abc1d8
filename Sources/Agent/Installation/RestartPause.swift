/// How long to wait before a daemon that ended is started again: a second, twice as long each time it ends soon, and a
/// second again after it has run for a while. It is never given up: a host without its keeper is what must not be.
package struct RestartPause: Sendable {
  package static let shortest = 1
  package static let longest = 60

  private var next = shortest

  package init() {}

  /// - Parameter seconds: how long it ran.
  /// - Returns: seconds to wait.
  package mutating func after(running seconds: Int) -> Int {
    if seconds >= Self.longest { next = Self.shortest }
    defer { next = min(next * 2, Self.longest) }
    return next
  }
}
