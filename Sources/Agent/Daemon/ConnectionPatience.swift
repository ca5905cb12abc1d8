internal import Core

/// How long a connection may go on though nothing happens.
struct ConnectionPatience {
  /// What is waited for.
  enum Stage {
    case preamble
    case message
    /// Of the host's rules, which may take its time.
    case change
    case ourWork
    /// That the peer takes what is left to say.
    case farewell
  }

  private let limits: DaemonLimits
  private let endOfLife: BootTime
  /// A whole message came or an answer went.
  var lastActivity: BootTime
  /// Since when the peer has taken nothing of what is to be sent; nil when nothing waits.
  var stalledSince: BootTime?
  var frameBegan: BootTime?
  var stagingBegan: BootTime?

  init(_ limits: DaemonLimits, now: BootTime) {
    self.limits = limits
    endOfLife = now + limits.life
    lastActivity = now
  }

  /// When it is to be ended, and why; nil while only our own work is waited for.
  func deadline(of stage: Stage) -> (at: BootTime, why: String)? {
    let stalled = stalledSince.map { (at: $0 + limits.stalledOutput, why: "answers were not taken") }
    var all = [(at: endOfLife, why: "the connection is too old")]
    switch stage {
    case .farewell:
      return (max(lastActivity, stalledSince ?? lastActivity) + limits.farewell, "it took too long to end")
    case .ourWork: return stalled
    case .preamble where stalled == nil: all.append((lastActivity + limits.preamble, "no preamble came"))
    case .message where stalled == nil: all.append((lastActivity + limits.idle, "nothing was asked"))
    case .preamble, .message, .change: break
    }
    if let stalled {
      all.append(stalled)
    } else if stage != .preamble {
      if let frameBegan { all.append((frameBegan + limits.frame, "a frame did not arrive whole")) }
      if let stagingBegan { all.append((stagingBegan + limits.staging, "the announced files did not arrive")) }
    }
    return all.min { $0.at < $1.at }
  }

  func isStalled(at now: BootTime) -> Bool { stalledSince.map { $0 + limits.stalledOutput <= now } ?? false }
}
