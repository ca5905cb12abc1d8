package import Core

/// The lock a host has, as far as it decides about the next order.
package struct LockInForce: Hashable, Sendable {
  /// The digest of the order that locked.
  package let order: Digest
  package let profile: ProfileName
  package let rank: LockRank
  /// Of running time, until it lifts itself; nil for never.
  package let secondsLeft: UInt32?

  package init(order: Digest, profile: ProfileName, rank: LockRank, secondsLeft: UInt32?) {
    self.order = order
    self.profile = profile
    self.rank = rank
    self.secondsLeft = secondsLeft
  }
}

/// What a host is to do about an order.
package enum OrderVerdict: Hashable, Sendable {
  /// Lock with this profile, or tighten the lock there is.
  case lock(ProfileEntry)
  /// It would lock with this profile. Nothing may be changed.
  case drill(ProfileEntry)
  /// This very order locked the host, and it still is.
  case inForce
  /// The host heard this very order before, and is not, or no longer, locked by it.
  case ended
  case lift
  case nothingToLift
  /// For other hosts: heard, and no more.
  case outOfScope
}

/// Whether this host obeys a verified order: by what its last committed release says of it, and by the lock in force.
/// A lockdown order can only tighten, whoever signed it.
package struct OrderJudgement: Sendable {
  package let host: HostID
  /// Nil when no release was ever committed.
  package let committed: Manifest?
  package let lock: LockInForce?

  package init(host: HostID, committed: Manifest?, lock: LockInForce?) {
    self.host = host
    self.committed = committed
    self.lock = lock
  }

  package func verdict(on order: VerifiedOrder) throws(OrderProblem) -> OrderVerdict {
    switch order.content {
    case .unlock:
      guard try includes(order.terms) else { return .outOfScope }
      return lock == nil ? .nothingToLift : .lift
    case .lockdown(let lockdown):
      if order.isRepeat { return try verdict(onRepeated: order) }
      let entry = try profile(lockdown.profile)
      guard try includes(order.terms) else { return .outOfScope }
      try checkTightening(lockdown, entry.rank)
      return lockdown.isDrill ? .drill(entry) : .lock(entry)
    }
  }

  /// Not judged by the profiles of a release that may have come since: a lock keeps to the text it was made of.
  private func verdict(onRepeated order: VerifiedOrder) throws(OrderProblem) -> OrderVerdict {
    if lock?.order == order.digest { return .inForce }
    return try includes(order.terms) ? .ended : .outOfScope
  }

  private func profile(_ name: ProfileName) throws(OrderProblem) -> ProfileEntry {
    guard let committed else { throw .nothingCommitted(name) }
    guard let entry = committed.profiles.first(where: { $0.name == name }) else {
      throw .unknownProfile(name, release: committed.serial, known: committed.profiles.map(\.name))
    }
    return entry
  }

  private func includes(_ terms: OrderTerms) throws(OrderProblem) -> Bool {
    guard !terms.scope.any.isEmpty else { throw .emptyScope(terms.epoch) }
    return terms.scope.includes(host, labels: committed?.labels ?? [])
  }

  private func checkTightening(_ order: LockdownOrder, _ rank: LockRank) throws(OrderProblem) {
    guard let lock else { return }
    guard rank >= lock.rank else {
      throw .lowerRank(order.profile, rank, inForce: lock.profile, lock.rank)
    }
    switch (order.liftsAfter, lock.secondsLeft) {
    case (nil, _): return
    case (let after?, let left?) where after >= left: return
    case (let after?, let left): throw .soonerLift(seconds: after, inForce: left)
    }
  }
}
