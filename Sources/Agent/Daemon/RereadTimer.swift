package import Core

/// When the rules are read again after somebody changed them. Changes that come close together are read once, soon after the
/// first of them; a writer that never pauses is read less and less often, so that watching costs little.
package struct RereadTimer {
  private enum State: Equatable {
    /// What was read last is what there is.
    case quiet
    /// Something changed, and is read at that time.
    case waiting(until: BootTime)
    /// It is being read; changes since the order are not in what comes of it.
    case reading(isChangedAgain: Bool)
  }

  /// A restore of both families makes several changes within some tens of milliseconds.
  package static let shortest: Duration = .milliseconds(200)
  package static let longest: Duration = .seconds(5)
  /// A writer that never pauses makes us take a twentieth of a core at most, however many rules there are: beyond a quarter
  /// of a second for each reading that is less often than `longest`.
  package static let share = 20

  private var state = State.quiet
  private var pause = RereadTimer.shortest
  private var lastRead: BootTime?
  private var cost = Duration.zero

  package init() {}

  private var rest: Duration { pause < Self.longest ? pause : max(pause, cost * Self.share) }

  /// When `order` has something to say though nothing else happens; nil while nothing waits.
  package var deadline: BootTime? {
    if case .waiting(let deadline) = state { deadline } else { nil }
  }

  package var isQuiet: Bool { state == .quiet }

  /// Somebody may have changed something unannounced; there is nothing to wait for.
  package mutating func pollIsDue(at now: BootTime) {
    if isQuiet { state = .waiting(until: now) }
  }

  package mutating func changed(at now: BootTime) {
    switch state {
    case .quiet:
      // Long after the last time this is no busy writer.
      if let lastRead, lastRead + max(Self.longest, rest) > now {
        state = .waiting(until: max(now + Self.shortest, lastRead + rest))
      } else {
        pause = Self.shortest
        state = .waiting(until: now + Self.shortest)
      }
    case .waiting: break
    case .reading: state = .reading(isChangedAgain: true)
    }
  }

  /// It must be read now; said once, and the caller passes it on to the worker.
  package mutating func order(at now: BootTime) -> Bool {
    guard case .waiting(let deadline) = state, deadline <= now else { return false }
    state = .reading(isChangedAgain: false)
    // Twice as long each time, until nothing changes for a while.
    if let lastRead, lastRead + Self.longest > now { pause = min(pause * 2, Self.longest) }
    return true
  }

  /// The worker has read.
  ///
  /// - Parameter cost: in processor time.
  package mutating func read(at now: BootTime, cost: Duration = .zero) {
    guard case .reading(let isChangedAgain) = state else { return }
    lastRead = now
    self.cost = cost
    state = isChangedAgain ? .waiting(until: now + rest) : .quiet
  }
}
