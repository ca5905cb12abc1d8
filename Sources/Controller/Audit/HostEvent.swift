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
    /// The safe policy was loaded.
    case degraded
    /// The safe policy was replaced by the host's own rules.
    case recovered
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
      case .enrolled, .committed, .failed, .reverted, .degraded, .recovered, .rebooted, .agentChanged, .programsChanged,
        .console, .unreachable, .reached:
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

    package init() {}
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
  /// Brought what it had committed back.
  case repaired

  /// A verb that repairs puts right; every other one changes.
  package init(verb: String) { self = verb.hasSuffix("repair") ? .repaired : .applied }
}
