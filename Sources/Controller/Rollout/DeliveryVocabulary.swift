package import Core
package import Wire

// What a delivery is told, and what it asks its caller to do.

extension DeliveryMachine {
  package struct Target: Hashable, Sendable {
    package var host: HostID
    package var fleet: FleetID
    package var transaction: TransactionID
    package var manifest: Digest
    package var premise: Premise
    package var terms: ConfirmationTerms
    package init(
      host: HostID, fleet: FleetID, transaction: TransactionID, manifest: Digest, premise: Premise,
      terms: ConfirmationTerms = .standard
    ) {
      self.host = host
      self.fleet = fleet
      self.transaction = transaction
      self.manifest = manifest
      self.premise = premise
      self.terms = terms
    }
  }

  package struct Limits: Hashable, Sendable {
    /// How often a connection may fail before anything was asked of the host.
    package var connectionAttempts: Int
    package var firstBackOff: Duration
    package var longestBackOff: Duration
    package init(
      connectionAttempts: Int = 2, firstBackOff: Duration = .milliseconds(500), longestBackOff: Duration = .seconds(15)
    ) {
      self.connectionAttempts = connectionAttempts
      self.firstBackOff = firstBackOff
      self.longestBackOff = longestBackOff
    }
  }

  package enum Event: Hashable, Sendable {
    case connected
    case hello(AgentHello)
    case staged(TransactionID, manifest: Digest)
    case applied(AppliedChange)
    case outcome(Outcome)
    case report(Report)
    case refused(Refusal)
    /// The connection could not be made, broke, ended or said nonsense. In words for an operator.
    case transportFailed(String)
    /// Time passed: at least to the moment of the last `wakeUp`.
    case tick
  }

  package enum Action: Hashable, Sendable {
    /// Open a TCP connection of its own, never a channel of an open one, and close the one before it.
    case connect
    /// Send hello.
    case greet
    /// Send the stage message and all data.
    case stage
    /// Send apply.
    case apply
    case confirm(ChangeConfirmation)
    case askReport(Nonce)
    /// Hand in `tick` no earlier than this; replaces the earlier one.
    case wakeUp(at: Time)
    case disconnect
    case finish(DeliveryResult)
  }
}

/// When to try what during a delivery. All from the controller's side: the host alone decides when it goes back.
enum DeliveryTiming {
  /// Between two tries while a change may wait for us.
  static let pauses: [Duration] = [
    .milliseconds(200), .milliseconds(500), .seconds(1), .seconds(2), .seconds(4),
  ]
  /// What one try gets when there is time enough: an SSH handshake of ten round trips at 400 ms, twice as long for
  /// packets lost on the way, and some more.
  static let longestProbe: Duration = .seconds(15)
  /// A rest of the window shorter than this is not divided any more.
  static let shortestShare: Duration = .seconds(8)
  /// Beyond the host's own deadline: it goes back within two seconds, and has to be asked about it.
  static let grace: Duration = .seconds(30)
  /// After the host's deadline, before it is asked how it ended.
  static let afterwards: Duration = .seconds(2)

  /// No confirmation is begun that could arrive after the host's deadline: a tenth of the window, 2 to 5 seconds.
  static func margin(of window: Duration) -> Duration { min(max(window / 10, .seconds(2)), .seconds(5)) }

  /// One try must not eat the window, so that there is a second one however short it is.
  static func probe(within rest: Duration) -> Duration {
    rest < shortestShare ? rest : min(longestProbe, rest / 2)
  }

  /// For an answer that is looked for after a loss; a host that is slow gets more every time.
  static func patience(_ tries: Int) -> Duration { longestProbe * min(tries + 1, 4) }
}
