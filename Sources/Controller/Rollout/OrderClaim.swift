package import Core
package import Wire

/// What may be said of one host and one order: never more than the host itself answered.
package enum OrderClaim: Hashable, Sendable {
  /// Its turn has not come.
  case waiting
  /// Nothing of the order reached it.
  case unreachable(String)
  /// It was sent, and its answer was lost: it may have obeyed.
  case unsure(String)
  /// Heard, and not done.
  case refused(Refusal.Code, String)
  /// Its agent took the order, and the host is not, or not yet, as ordered: in words.
  case acknowledged(Obeyed, String)
  /// As ordered, by what the host read back. For a drill: it would be.
  case verified(Obeyed)
  /// A lift that is not for it has been heard there, and changes nothing: older orders are void for it now.
  case notMeant(Obeyed)
  /// Too late to ask it: the order's time was over.
  case notAsked(String)
  /// Not asked any more: a later order was sent that is for it.
  case overtaken(by: Epoch, mayHaveHeard: Bool)

  /// Whether the host may have the order in its memory: then the same bytes can be sent however late it is.
  package var mayHaveHeard: Bool {
    switch self {
    case .unsure, .acknowledged, .verified, .notMeant: true
    case .waiting, .unreachable, .refused, .notAsked: false
    case .overtaken(_, let mayHaveHeard): mayHaveHeard
    }
  }

  package var isOvertaken: Bool {
    if case .overtaken = self { true } else { false }
  }

  package var obeyed: Obeyed? {
    switch self {
    case .acknowledged(let obeyed, _), .verified(let obeyed), .notMeant(let obeyed): obeyed
    case .waiting, .unreachable, .unsure, .refused, .notAsked, .overtaken: nil
    }
  }
}

/// What is asked of one host, as far as its answers are judged by it.
package struct OrderTarget: Hashable, Sendable {
  package enum Deed: Hashable, Sendable {
    case lock(ProfileName)
    case drill(ProfileName)
    case lift

    package var isLock: Bool {
      if case .lock = self { true } else { false }
    }
  }

  package let host: HostID
  package let fleet: FleetID
  package let epoch: Epoch
  /// Of the order, as hosts know it (`EpochFloor`).
  package let order: Digest
  package let deed: Deed
  /// The first second at which no host obeys that did not hear it before.
  package let arriveBy: UTCTime
  /// False for a host that a lift is not for, and that is to hear it all the same: older orders are void for it then.
  package let isMeant: Bool

  package init(
    host: HostID, fleet: FleetID, epoch: Epoch, order: Digest, deed: Deed, arriveBy: UTCTime, isMeant: Bool = true
  ) {
    self.host = host
    self.fleet = fleet
    self.epoch = epoch
    self.order = order
    self.deed = deed
    self.arriveBy = arriveBy
    self.isMeant = isMeant
  }

  /// What an answer is worth, and whether asking again could make it better.
  func judge(_ obeyed: Obeyed) -> (claim: OrderClaim, isFinal: Bool) {
    func short(_ words: String, isFinal: Bool = true) -> (OrderClaim, Bool) { (.acknowledged(obeyed, words), isFinal) }
    guard obeyed.epoch == epoch else {
      return (.unsure("it answered for order \(obeyed.epoch)"), false)
    }
    switch (deed, obeyed.result) {
    case (.lock(let profile), .locked), (.lock(let profile), .repeated): return judge(lock: profile, obeyed)
    case (.lock, .locking): return short("recorded there, and nothing loads yet", isFinal: false)
    case (.lock, .ended): return short("it heard this order before, and is not locked by it any more")
    case (.drill, .drilled): return (.verified(obeyed), true)
    case (.lift, .lifted) where !isMeant && obeyed.lock == nil:
      return short(
        "the lift is not for it by the inventory, and opened it: by the labels of the release it committed it is")
    case (.lift, .lifted), (.lift, .nothingToLift):
      guard let lock = obeyed.lock else { return (.verified(obeyed), true) }
      return short("it says that it is still locked by order \(lock.epoch)", isFinal: false)
    case (.lift, .outOfScope) where !isMeant: return (.notMeant(obeyed), true)
    case (_, .outOfScope): return short("by the labels of the release it committed, the order is not for it")
    case (.lock, _), (.drill, _), (.lift, _): return short("it answered what was not asked: \(obeyed.result)")
    }
  }

  private func judge(lock profile: ProfileName, _ obeyed: Obeyed) -> (claim: OrderClaim, isFinal: Bool) {
    guard let lock = obeyed.lock, lock.order == order, lock.profile == profile else {
      return (.acknowledged(obeyed, "it does not say that it is locked by this order"), false)
    }
    switch lock.phase {
    case .locking: return (.acknowledged(obeyed, "recorded there, and not read back yet"), false)
    // Only the next start of its agent tries the ordered profile again.
    case .fallback:
      return (
        .acknowledged(obeyed, "\(profile) does not load: the built-in profile is in its place, which shuts more"), true
      )
    case .locked: break
    }
    let differing = Family.allCases.compactMap { family in
      lock.differences[family].map { "\(family): \(SafeText.escape($0))" }
    }
    guard differing.isEmpty else { return (.acknowledged(obeyed, differing.joined(separator: "; ")), false) }
    if let uncut = lock.uncut {
      return (.acknowledged(obeyed, "connections from before may live on: \(SafeText.escape(uncut))"), false)
    }
    return (.verified(obeyed), true)
  }
}
