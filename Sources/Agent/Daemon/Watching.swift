internal import Apply
internal import Core
internal import Wire

/// When the rules are looked at again, and what is known of their changes. On a host whose kernel announces them all nothing
/// happens here while nothing changes.
struct Watching {
  /// As many as a change is told with.
  private static let actorLimit = WireLimit.actors

  private let watcher: (any ChangeWatcher)?
  private let limits: DaemonLimits
  private var log: ChangeLog
  private var timer = RereadTimer()
  private var actors: [HostChange.Actor] = []
  /// When to look though nothing was announced.
  private var pollAt: BootTime?
  private var keepAt: BootTime?
  private var isKeeping = false
  /// The disk took nothing the last time.
  private var cannotKeep = false
  private(set) var lastProblem: String?

  /// The first look finds what happened while no agent ran.
  init(_ watcher: (any ChangeWatcher)?, _ limits: DaemonLimits, log: ChangeLog, now: BootTime) {
    self.watcher = watcher
    self.limits = limits
    self.log = log
    timer.changed(at: now)
  }

  /// Announcements of a busy writer wait in the kernel until the rules are to be read anyway, so that they wake nobody.
  var descriptor: Int32? { timer.isQuiet ? watcher?.descriptor : nil }

  /// - Parameter isHeldUp: there is no looking now.
  func deadline(isHeldUp: Bool) -> BootTime? {
    let looks = isHeldUp ? [] : [timer.deadline, timer.isQuiet ? pollAt : nil]
    return (looks + [isKeeping ? nil : keepAt]).compactMap { $0 }.min()
  }

  /// The watcher's descriptor can be read.
  mutating func announced(at now: BootTime) {
    if take() { timer.changed(at: now) }
  }

  /// The agent may have changed the rules itself, which is not announced everywhere.
  mutating func acted(at now: BootTime) { timer.changed(at: now) }

  /// What the worker is to do now.
  mutating func jobs(at now: BootTime, isHeldUp: Bool, isWatched: Bool) -> [Job] {
    var jobs: [Job] = []
    if !isHeldUp {
      if let pollAt, pollAt <= now {
        self.pollAt = nil
        timer.pollIsDue(at: now)
      }
      if timer.order(at: now) {
        _ = take()
        jobs.append(.look(for: actors, isWatched: isWatched))
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
      pollAt = isAnnounced && watcher != nil ? nil : now + limits.poll
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

  /// Nil while there is nothing to say yet.
  func answer(_ watch: Connection.Watch, at now: BootTime) -> Changes? {
    if log.isKept || cannotKeep, let changes = log.changes(after: watch.after) { return changes }
    return watch.until <= now ? Changes(last: log.last) : nil
  }

  private mutating func take() -> Bool {
    guard let announced = watcher?.take() else { return false }
    for actor in announced.actors where actors.count < Self.actorLimit && !actors.contains(actor) {
      actors.append(actor)
    }
    return announced.isChange
  }
}
