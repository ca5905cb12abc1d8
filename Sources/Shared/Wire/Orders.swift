package import Core

/// A signed lockdown or unlock order, as it travels; what it says is the host's to verify (docs/orders.md).
package struct OrderDelivery: Hashable, Sendable {
  package enum Kind: UInt8, Hashable, Sendable, CaseIterable {
    case lockdown = 0
    case unlock = 1
  }
  /// Named by the answer.
  package let nonce: Nonce
  package let kind: Kind
  package let statement: [UInt8]
  package let signatures: [[UInt8]]
  package init(nonce: Nonce, kind: Kind, statement: [UInt8], signatures: [[UInt8]]) {
    self.nonce = nonce
    self.kind = kind
    self.statement = statement
    self.signatures = signatures
  }
}

/// What a host did about an order.
package struct Obeyed: Hashable, Sendable {
  package enum Result: UInt8, Hashable, Sendable, CaseIterable {
    /// Both families hold the profile, re-read.
    case locked = 0
    /// The same, by these very bytes, which had locked it before.
    case repeated = 1
    case lifted = 2
    case nothingToLift = 3
    /// The order is for other hosts.
    case outOfScope = 4
    /// A drill: it would have locked, and nothing was changed.
    case drilled = 5
    /// These very bytes came before, and the host is not, or no longer, locked by them.
    case ended = 6
    /// Locked in the journal, and nothing would load yet: the host goes on trying.
    case locking = 7
  }

  /// How long each part took, in microseconds.
  package struct Times: Hashable, Sendable {
    package var verify: UInt32
    package var journal: UInt32
    package var load: UInt32
    package var cut: UInt32
    package var reread: UInt32
    package init(verify: UInt32 = 0, journal: UInt32 = 0, load: UInt32 = 0, cut: UInt32 = 0, reread: UInt32 = 0) {
      self.verify = verify
      self.journal = journal
      self.load = load
      self.cut = cut
      self.reread = reread
    }
  }

  /// Of the order.
  package var epoch: Epoch
  package var result: Result
  /// The lock in force afterwards.
  package var lock: LockReport?
  /// Old connections that were ended.
  package var flowsCut: UInt32
  package var times: Times
  /// What the operator should know although it was obeyed. Safe to show.
  package var warnings: [String]
  package init(
    epoch: Epoch, result: Result, lock: LockReport?, flowsCut: UInt32 = 0, times: Times = Times(),
    warnings: [String] = []
  ) {
    self.epoch = epoch
    self.result = result
    self.lock = lock
    self.flowsCut = flowsCut
    self.times = times
    self.warnings = warnings
  }
}

/// What a host says of lockdowns.
package struct LockdownReport: Hashable, Sendable {
  /// A profile of the committed release.
  package struct Profile: Hashable, Sendable {
    package var name: ProfileName
    package var rank: LockRank
    /// Why an order could not lock with it; nil where it could.
    package var problem: String?
    package init(name: ProfileName, rank: LockRank, problem: String? = nil) {
      self.name = name
      self.rank = rank
      self.problem = problem
    }
  }

  package var lock: LockReport?
  /// The last order this host heard; none when it never did.
  package var heard: Epoch
  package var profiles: [Profile]
  package var lastLift: LiftReport?
  package init(lock: LockReport?, heard: Epoch, profiles: [Profile], lastLift: LiftReport?) {
    self.lock = lock
    self.heard = heard
    self.profiles = profiles
    self.lastLift = lastLift
  }
}

/// The lockdown that a host is under.
package struct LockReport: Hashable, Sendable {
  package enum Phase: UInt8, Hashable, Sendable, CaseIterable {
    /// Recorded, and not yet read back.
    case locking = 0
    case locked = 1
    /// The ordered profile would not load: the built-in one is in its place, which shuts more.
    case fallback = 2
  }
  package var epoch: Epoch
  package var order: Digest
  package var profile: ProfileName
  package var rank: LockRank
  /// Who signed the order.
  package var principals: [String]
  package var reason: String
  package var phase: Phase
  /// By the host's own clock.
  package var since: UTCTime
  /// Of running time, until it lifts itself; nil for never.
  package var secondsLeft: UInt32?
  /// The release whose profile it is.
  package var serial: Serial
  /// How the layer in the kernel is not as it was loaded, in words; nil where it is.
  package var differences: PerFamily<String?>
  /// Why connections from before may live on, in words; nil where they were cut, or where the rules alone end them.
  package var uncut: String?
  package init(
    epoch: Epoch, order: Digest, profile: ProfileName, rank: LockRank, principals: [String], reason: String,
    phase: Phase, since: UTCTime, secondsLeft: UInt32?, serial: Serial, differences: PerFamily<String?>,
    uncut: String? = nil
  ) {
    self.epoch = epoch
    self.order = order
    self.profile = profile
    self.rank = rank
    self.principals = principals
    self.reason = reason
    self.phase = phase
    self.since = since
    self.secondsLeft = secondsLeft
    self.serial = serial
    self.differences = differences
    self.uncut = uncut
  }
}

/// How the last lockdown of a host ended.
package struct LiftReport: Hashable, Sendable {
  package enum Cause: Hashable, Sendable {
    case order(Epoch)
    /// Its time was over.
    case itself
    /// Root at the console, with a reason.
    case console(String)
  }
  /// Of the order that had locked.
  package var epoch: Epoch
  package var cause: Cause
  /// By the host's own clock.
  package var at: UTCTime
  package init(epoch: Epoch, cause: Cause, at: UTCTime) {
    self.epoch = epoch
    self.cause = cause
    self.at = at
  }
}
