internal import Audit
internal import Core

extension StatusDocument {
  /// What a host said of lockdowns.
  package struct Lockdown: Encodable, Sendable {
    package struct Lock: Encodable, Sendable {
      let order: UInt64
      let profile: String
      let rank: Int
      /// "locking", "locked" or "fallback"
      let phase: String
      let since: String
      @ExplicitNull var liftsAt: String?
      let signers: [String]
      let reason: String
      @ExplicitNull var ipv4Difference: String?
      @ExplicitNull var ipv6Difference: String?
    }

    package struct Profile: Encodable, Sendable {
      let name: String
      let rank: Int
      /// Why an order cannot lock with it.
      @ExplicitNull var problem: String?
    }

    package struct Lift: Encodable, Sendable {
      let order: UInt64
      /// "order", "itself" or "console"
      let cause: String
      @ExplicitNull var byOrder: UInt64?
      @ExplicitNull var reason: String?
      /// By the host's own clock.
      let hostTime: String
    }

    @ExplicitNull var lock: Lock?
    /// The last order it heard, 0 for none.
    let heard: UInt64
    let profiles: [Profile]
    @ExplicitNull var lastLift: Lift?

    init(_ status: LockdownStatus) {
      lock = status.lock.map {
        Lock(
          order: $0.epoch.value, profile: $0.profile.description, rank: Int($0.rank.value), phase: "\($0.phase)",
          since: $0.since.description, liftsAt: $0.liftsAt?.description, signers: $0.signers, reason: $0.reason,
          ipv4Difference: $0.differences.ipv4, ipv6Difference: $0.differences.ipv6)
      }
      heard = status.heard.value
      profiles = status.profiles.map {
        Profile(name: $0.name.description, rank: Int($0.rank.value), problem: $0.problem)
      }
      lastLift = status.lastLift.map {
        Lift(
          order: $0.epoch.value, cause: $0.cause, byOrder: $0.byOrder?.value, reason: $0.reason,
          hostTime: $0.at.description)
      }
    }
  }

  /// A lockdown profile, and on how many hosts an order could lock with it.
  package struct Coverage: Encodable, Sendable {
    let name: String
    let staged: Int
    /// They have it, and it cannot be used.
    let unusable: Int
    let hosts: Int
  }
}
