package import Core

/// Something that became different about a host. Never changed once it is known.
package struct HostEvent: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    case enrolled
    case removed
    case committed
    case failed
    /// A release was taken back: nobody confirmed it, or it did not work.
    case reverted
    /// Nothing is committed there any more.
    case emptied
    case drifted
    /// It had drifted, and differs in another way now.
    case driftChanged = "drift-changed"
    /// It had drifted, and holds what it committed again.
    case restored
    /// Somebody other than its agent changed its rules, as the agent saw it.
    case changed
    /// There were changes that its agent does not remember.
    case changesLost = "changes-lost"
    /// Something keeps changing it back after every repair: a person has to look.
    case alarm
    /// The safe policy was loaded.
    case degraded
    /// The safe policy was replaced by the host's own rules.
    case recovered
    /// It obeys a lockdown order.
    case lockedDown = "locked-down"
    /// Its lockdown ended.
    case lifted
    case rebooted
    case agentChanged = "agent-changed"
    case programsChanged = "programs-changed"
    /// Root did something at the host's console.
    case console
    case unreachable
    case reached

    /// Those that say whether the host holds what it committed: the newest of them counts.
    package var tellsHold: Bool {
      switch self {
      case .drifted, .driftChanged, .restored, .removed, .emptied: true
      case .enrolled, .committed, .failed, .reverted, .degraded, .recovered, .lockedDown, .lifted, .rebooted,
        .agentChanged,
        .programsChanged, .console, .unreachable, .reached, .changed, .changesLost, .alarm:
        false
      }
    }
  }

  package enum Cause: String, Hashable, Sendable, CaseIterable {
    /// An operator told this fleet's hosts to.
    case intentional
    /// What had come off was put right, by a repair or by the agent on its own.
    case corrective
    /// Anything else: other programs, other people, power and networks.
    case external
  }

  /// What there is to say besides; every text is safe to print. Which are there depends on the kind. Fields are only ever
  /// added: old ones are read for years.
  package struct Details: Hashable, Sendable, Codable {
    package var from: String?
    package var to: String?
    package var reason: String?
    package var families: [String]?
    /// "filter/INPUT", with the family; the first `Timeline.namedChains` of them.
    package var chains: [String]?
    /// Of those that differ, on a host that drifted: what tells one difference from another.
    package var difference: String?
    /// By the host's own clock, which may be wrong.
    package var hostTime: String?
    /// How far that clock was ahead of ours, in seconds, where that is more than a few.
    package var clockAhead: Int64?
    /// Of a change: who asked the kernel for it.
    package var actors: [Actor]?
    /// Of a change: its number among those of its agent, and of which boot.
    package var change: UInt64?
    package var bootID: String?
    /// Of a change: the digests of what the host held after it, IPv4's first.
    package var observed: [String]?
    /// Of a change: the host held what it committed after it.
    package var holds: Bool?
    /// Of changes that were lost, and of repairs: how many.
    package var count: Int?
    /// Of a lockdown: the epoch of the order that locked, and of the one that lifted.
    package var order: UInt64?
    package var lift: UInt64?

    package init() {}

    /// Without what each host has of its own, so that hosts fold.
    var common: Details {
      var common = self
      (common.hostTime, common.clockAhead, common.difference) = (nil, nil, nil)
      (common.change, common.bootID, common.observed) = (nil, nil, nil)
      common.actors = actors.map { Set($0.map(\.name)).sorted().map { Actor(name: $0, process: nil) } }
      return common
    }
  }

  /// Best effort: what the process called itself when the kernel told of it.
  package struct Actor: Hashable, Sendable, Codable {
    package var name: String
    package var process: UInt32?

    package init(name: String, process: UInt32?) {
      self.name = name
      self.process = process
    }

    /// For an operator.
    package var words: String { name + (process.map { " (process \($0))" } ?? "") }
  }

  package var host: HostID
  /// When we learnt it, by our own clock.
  package var at: UTCTime
  package var kind: Kind
  package var cause: Cause
  package var serial: Serial?
  package var details: Details

  package init(
    host: HostID, at: UTCTime, kind: Kind, cause: Cause, serial: Serial? = nil, details: Details = Details()
  ) {
    self.host = host
    self.at = at
    self.kind = kind
    self.cause = cause
    self.serial = serial
    self.details = details
  }

  /// - Parameter text: of a host or a network; made safe and short here.
  package init(host: HostID, at: UTCTime, kind: Kind, cause: Cause, reason text: String) {
    self.init(host: host, at: at, kind: kind, cause: cause)
    details.reason = Self.safe(text)
  }

  /// A host may say much.
  private static let longestText = 256

  static func safe(_ text: String) -> String? {
    text.isEmpty ? nil : SafeText.escape(text.prefix(longestText))
  }
}

/// What we had just done to a host when it reported.
package enum OurDeed: Hashable, Sendable {
  /// Only asked.
  case asked
  case enrolled
  /// Brought it a release, or settled one, as an operator wanted.
  case applied
  /// Took back a change that waited, as an operator wanted.
  case cancelled
  /// Brought what it had committed back.
  case repaired

  /// A verb that repairs puts right; every other one changes.
  package init(verb: String) { self = verb.hasSuffix("repair") ? .repaired : .applied }
}
