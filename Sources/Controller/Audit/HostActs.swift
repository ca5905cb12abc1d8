package import Core
package import Wire

/// A change that a host has loaded and nobody has confirmed.
package struct PendingStatus: Hashable, Sendable {
  package let serial: Serial
  /// Until the host goes back by itself, by our own clock; 0 when that time is over.
  package let secondsLeft: Int64
  /// The same as a moment.
  package let until: UTCTime
  /// An operator is to confirm it, not the controller that applied it.
  package let isManual: Bool

  /// - Parameters:
  ///   - received: when the host said so.
  ///   - now: not before that, whatever our clock says.
  init(_ change: PendingChange, received: UTCTime, now: UTCTime) {
    serial = change.serial
    until = received + Int64(change.millisecondsLeft) / 1000
    secondsLeft = max(0, until - max(received, now))
    isManual = change.isManual
  }

  /// For an operator.
  var words: String {
    guard secondsLeft > 0 else {
      return "release \(serial) was applied and not confirmed in time, as far as known: it has gone back by now"
    }
    return "release \(serial) is applied and waits to be confirmed\(isManual ? " by hand" : ""), until \(until)"
  }
}

/// What root did at the console of a host.
package struct LocalStatus: Hashable, Sendable {
  package let deed: LocalOrder.Deed
  /// By the host's own clock.
  package let at: UTCTime
  /// Safe to print.
  package let reason: String

  init(_ act: LocalAct) {
    deed = act.deed
    at = act.at
    reason = SafeText.escape(act.reason)
  }

  /// `safe`, `rollback` or `lift`.
  package var name: String { deed.name }

  /// For an operator.
  var words: String {
    "\(Self.words(ofDeed: name)) at the console by root at \(at)" + (reason.isEmpty ? "" : ": \(reason)")
  }

  /// - Parameter name: as kept for years.
  static func words(ofDeed name: String?) -> String {
    switch LocalOrder.Deed.allCases.first(where: { $0.name == name }) {
    case .safe?: "safe policy loaded"
    case .rollback?: "rolled back"
    case .lift?: "lockdown lifted"
    case nil: "something done"
    }
  }
}

extension LocalOrder.Deed {
  fileprivate var name: String {
    switch self {
    case .safe: "safe"
    case .rollback: "rollback"
    case .lift: "lift"
    }
  }
}
