package import Core

/// When a lockdown needs something of the worker although nobody asks: another try, a record of its time, its end.
package struct LockTimer {
  /// Between two turns, should one leave something to be done at once.
  private static let pause: Duration = .seconds(1)

  private var due: BootTime?
  /// The worker was told, and has not answered.
  private var isAsked = false

  package init() {}

  /// When `isDue` has something to say though nothing else happens; nil while nothing is waited for.
  package var deadline: BootTime? { isAsked ? nil : due }

  /// What the worker said after a job of somebody's.
  package mutating func learned(_ due: BootTime?) { self.due = due }

  /// Said once; the caller passes it on to the worker.
  package mutating func isDue(at now: BootTime) -> Bool {
    guard !isAsked, let due, due <= now else { return false }
    isAsked = true
    return true
  }

  /// The worker did what was due.
  package mutating func done(_ due: BootTime?, at now: BootTime) {
    isAsked = false
    self.due = due.map { max($0, now + Self.pause) }
  }
}
