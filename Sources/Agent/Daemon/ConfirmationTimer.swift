package import Core

/// The deadline of the change that waits to be confirmed, as the event loop knows it. It is the daemon's own: no
/// connection that comes or goes moves it.
package struct ConfirmationTimer {
  private enum State: Equatable {
    /// No change waits.
    case idle
    /// One waits, and is to be taken back at that time.
    case waiting(until: BootTime)
    /// The worker was told to take it back, and has not answered.
    case expiring
    /// The agent stops, and what could be done about the change was.
    case over
  }

  /// What the worker is to do.
  package struct Order: Hashable, Sendable {
    package let why: String
    /// A change with a later deadline is not meant: it came after the one this was about had ended. Nil means any.
    package let due: BootTime?
    package init(why: String, due: BootTime?) {
      self.why = why
      self.due = due
    }
  }

  /// Between two tries, should taking back leave the change where it is.
  private static let pause: Duration = .seconds(1)

  private var state = State.idle
  private var isStopping = false

  package init() {}

  /// When `order` has something to say though nothing else happens; nil while nothing waits.
  package var deadline: BootTime? {
    switch state {
    case .waiting(let deadline): deadline
    case .idle, .expiring, .over: nil
    }
  }

  /// A change waits to be confirmed, or is being taken back.
  package var isBusy: Bool { state != .idle }

  /// What the worker said after a job of somebody's. While the change is being taken back only the end of that counts.
  package mutating func learned(_ confirmBy: BootTime?) {
    switch state {
    case .idle, .waiting: state = confirmBy.map { .waiting(until: $0) } ?? .idle
    case .expiring, .over: break
    }
  }

  /// The agent is to stop.
  package mutating func stop() { isStopping = true }

  /// The change must be taken back now; said once, and the caller passes it on to the worker. Nil when it need not.
  package mutating func order(at now: BootTime) -> Order? {
    switch state {
    case .waiting(let deadline):
      guard isStopping || deadline <= now else { return nil }
      state = .expiring
      return deadline <= now
        ? Order(why: "no confirmation came before the deadline", due: deadline)
        : Order(why: "the agent is stopping", due: nil)
    case .idle, .expiring, .over: return nil
    }
  }

  /// The worker is through with what `order` said; `confirmBy` is not nil if a change still waits.
  package mutating func expired(_ confirmBy: BootTime?, at now: BootTime) {
    if isStopping {
      // A second try would be no better than that of the next start.
      state = .over
    } else if let confirmBy {
      state = .waiting(until: max(confirmBy, now + Self.pause))
    } else {
      state = .idle
    }
  }
}
