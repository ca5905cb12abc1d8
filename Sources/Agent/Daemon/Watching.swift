internal import Apply
internal import Core
internal import Wire

/// When the rules are looked at again, and what is known of their changes. On a host whose kernel announces them all
/// nothing is read again while nothing changes.
struct Watching {
  /// As many as a change is told with.
  private static let actorLimit = WireLimit.actors

  private let listen: (() throws -> any ChangeWatcher)?
  private var watcher: (any ChangeWatcher)?
  /// Why there is none.
  private var deafness: String?
  private let limits: DaemonLimits
  private let say: (String) -> Void
  private var log: ChangeLog
  private var timer = RereadTimer()
  private var actors: [HostChange.Actor] = []
  /// When to look though nothing was announced.
  private var pollAt: BootTime?
  /// When to ask whether there is something that is not announced.
  private var peekAt: BootTime?
  private var unannounced: [UInt8]?
  private var keepAt: BootTime?
  private var isKeeping = false
  /// The disk took nothing the last time.
  private var cannotKeep = false
  private(set) var lastProblem: String?

  /// The first look finds what happened while no agent ran.
  ///
  /// - Parameter listen: nil where the kernel announces nothing.
  init(
    _ listen: (() throws -> any ChangeWatcher)?, _ configuration: Daemon.Configuration, log: ChangeLog, now: BootTime
  ) {
    self.listen = listen
    limits = configuration.limits
    say = configuration.log
    self.log = log
    tryToListen()
    timer.changed(at: now)
  }

  /// Announcements of a busy writer wait in the kernel until the rules are to be read anyway, so that they wake nobody.
  var descriptor: Int32? { timer.isQuiet ? watcher?.descriptor : nil }

  /// - Parameter isHeldUp: there is no looking now.
  func deadline(isHeldUp: Bool) -> BootTime? {
    let looks = isHeldUp ? [] : [timer.deadline] + (timer.isQuiet ? [pollAt, peekAt] : [])
    return (looks + [isKeeping ? nil : keepAt]).compactMap { $0 }.min()
  }

  /// It is time to look, and has been for long.
  func isOverdue(at now: BootTime) -> Bool {
    deadline(isHeldUp: false).map { now - $0 >= limits.overdueLook } ?? false
  }

  /// The watcher's descriptor can be read.
  mutating func announced(at now: BootTime) {
    if take() { timer.changed(at: now) }
  }

  /// The agent may have changed the rules itself, which is not announced everywhere.
  mutating func acted(at now: BootTime) { timer.changed(at: now) }

  /// The agent changed the rules and read them back: what was announced meanwhile can wait with being looked at, unless
  /// others were at it too. What is announced from here on is looked at as soon as ever.
  mutating func readBack(at now: BootTime) {
    let known = actors.count
    // Programs of our own are no actors.
    if take(), actors.count > known { timer.changed(at: now) }
    unannounced = watcher?.unannounced()
    pollAt = [pollAt, now + limits.afterReadBack].compactMap { $0 }.min()
  }

  /// What the worker is to do now.
  mutating func jobs(at now: BootTime, isHeldUp: Bool, isWatched: Bool, isUrgent: Bool) -> [Job] {
    var jobs: [Job] = []
    if !isHeldUp {
      if let pollAt, pollAt <= now {
        self.pollAt = nil
        timer.pollIsDue(at: now)
      }
      if let peekAt, peekAt <= now {
        self.peekAt = now + limits.poll
        if watcher?.unannounced() != unannounced { timer.pollIsDue(at: now) }
      }
      if timer.order(at: now) {
        tryToListen()
        _ = take()
        // Before the look: what comes during it may not be in what is seen.
        unannounced = watcher?.unannounced()
        jobs.append(.look(for: actors, isWatched: isWatched, isUrgent: isUrgent))
        actors = []
      }
    }
    // Whoever waits is told when what he is told cannot be forgotten any more.
    let isDue = keepAt.map { $0 <= now } ?? false
    if !isKeeping, !log.isKept, isDue || isWatched && !cannotKeep {
      isKeeping = true
      keepAt = nil
      jobs.append(.keepChanges)
    }
    return jobs
  }

  mutating func looked(_ result: JobResult.Looked, cost: Duration, at now: BootTime) {
    switch result {
    case .saw(let seen, let isAnnounced):
      lastProblem = nil
      learned(seen, at: now)
      let isHeard = isAnnounced && watcher != nil
      pollAt = now + (isHeard ? limits.pollBesideRules : limits.poll)
      peekAt = isHeard ? now + limits.poll : nil
    case .later: timer.changed(at: now)
    case .failed(let refusal):
      lastProblem = refusal.detail
      pollAt = now + limits.poll
    }
    // Some of them may have come after their family was read.
    if take() { timer.changed(at: now) }
    timer.read(at: now, cost: cost)
  }

  mutating func kept(_ written: ChangeLog, at now: BootTime) {
    isKeeping = false
    cannotKeep = !written.isKept
    learned(written, at: now)
  }

  private mutating func learned(_ log: ChangeLog, at now: BootTime) {
    self.log = log
    keepAt = log.isKept ? nil : keepAt ?? now + limits.keep
  }

  /// What is still to be done when the agent stops.
  var lastJobs: [Job] { log.isKept || isKeeping ? [] : [.keepChanges] }

  /// What is known is being written, and is told right after: nobody is told meanwhile that there is nothing.
  var isWriting: Bool { !log.isKept && !cannotKeep }

  /// Nil while there is nothing to say yet.
  func answer(_ watch: Connection.Watch, at now: BootTime) -> Changes? {
    if let changes = log.changes(after: watch.after) { return isWriting ? nil : changes }
    return watch.until <= now ? Changes(last: log.last) : nil
  }

  /// Without announcements the rules are looked at from time to time, and before each look it is tried again.
  private mutating func tryToListen() {
    guard watcher == nil, let listen else { return }
    do { watcher = try listen() } catch {
      let why = ErrorChain(error).message
      guard why != deafness else { return }
      deafness = why
      say(SafeText.escape("changes of nf_tables are not heard of; rules are looked at from time to time: \(why)"))
    }
  }

  private mutating func take() -> Bool {
    guard let announced = watcher?.take() else { return false }
    for actor in announced.actors where actors.count < Self.actorLimit && !actors.contains(actor) {
      actors.append(actor)
    }
    return announced.isChange
  }
}
