package import Core
package import Release

/// A lockdown as the journal knows it. It keeps to the text it was made of, whatever is applied beneath it later.
package struct Lock: Hashable, Sendable {
  /// The order that made it.
  package var order: EpochFloor
  /// What was signed of its rules.
  package var profile: ProfileEntry
  /// The bundle whose files those are, kept on disk until the lift, and the profile's place in it.
  package var bundle: BundleName
  package var serial: Serial
  package var index: UInt8
  /// Who signed the order.
  package var principals: [String]
  /// From where the host is managed, should the bundle not be there to tell.
  package var sources: [String]
  package var reason: String
  package var since: UTCTime
  /// Until it lifts itself; nil for never.
  package var time: LockTime?
  /// Nil until both families were read back.
  package var held: HeldLayer?

  package init(
    order: EpochFloor, profile: ProfileEntry, bundle: BundleName, serial: Serial, index: UInt8, principals: [String],
    sources: [String], reason: String, since: UTCTime, time: LockTime?, held: HeldLayer? = nil
  ) {
    self.order = order
    self.profile = profile
    self.bundle = bundle
    self.serial = serial
    self.index = index
    self.principals = principals
    self.sources = sources
    self.reason = reason
    self.since = since
    self.time = time
    self.held = held
  }

  package var epoch: Epoch { order.epoch }

  /// As far as it decides about the next order.
  package func inForce(at now: RunningTime, bootID: String) -> LockInForce {
    LockInForce(
      order: order.order, profile: profile.name, rank: profile.rank,
      secondsLeft: time?.secondsLeft(at: now, bootID: bootID))
  }
}

/// What the host printed of the layer when it had just been loaded.
package struct HeldLayer: Hashable, Sendable {
  package var expectation: Expectation
  /// The ordered profile would not load, so the built-in one stands in for it, which shuts more.
  package var isBuiltIn: Bool
  /// Why connections from before were not all cut; nil when they were.
  package var uncut: String?

  package init(expectation: Expectation, isBuiltIn: Bool, uncut: String? = nil) {
    self.expectation = expectation
    self.isBuiltIn = isBuiltIn
    self.uncut = uncut
  }
}

/// What was left of a lock's time at some moment. Only running time counts: in another boot than its own the moment
/// means nothing, and all of it is left still.
package struct LockTime: Hashable, Sendable {
  /// Between two records of what is left: a crash makes a lock no longer than this.
  package static let step = Duration.seconds(10)

  package var secondsLeft: UInt32
  package var at: RunningTime
  package var bootID: String

  package init(secondsLeft: UInt32, at: RunningTime, bootID: String) {
    self.secondsLeft = secondsLeft
    self.at = at
    self.bootID = bootID
  }

  /// Rounded up: a lock is never shorter than it was ordered.
  package func secondsLeft(at now: RunningTime, bootID: String) -> UInt32 {
    guard bootID == self.bootID else { return secondsLeft }
    return UInt32(clamping: Int64(secondsLeft) - (now - at).components.seconds)
  }
}

/// Why a lock ended.
package enum LiftCause: Hashable, Sendable {
  case order(Epoch)
  /// Its time was over.
  case itself
  /// Root at the console, with a reason.
  case console(String)
}

package struct LastLift: Hashable, Sendable {
  /// Of the order that had locked.
  package var epoch: Epoch
  package var cause: LiftCause
  package var at: UTCTime

  package init(epoch: Epoch, cause: LiftCause, at: UTCTime) {
    self.epoch = epoch
    self.cause = cause
    self.at = at
  }
}
