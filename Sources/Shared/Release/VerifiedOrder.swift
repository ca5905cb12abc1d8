package import Core

/// An order that those who may have signed, for this fleet, in its turn and time. There is no way to make one but
/// `OrderVerifier`, in this file. Whether this host obeys it is `OrderJudgement`'s to say.
package struct VerifiedOrder: Hashable, Sendable {
  package enum Content: Hashable, Sendable {
    case lockdown(LockdownOrder)
    case unlock(UnlockOrder)

    package var terms: OrderTerms {
      switch self {
      case .lockdown(let order): order.terms
      case .unlock(let order): order.terms
      }
    }

    /// Nothing is changed by it.
    package var isDrill: Bool {
      switch self {
      case .lockdown(let order): order.isDrill
      case .unlock: false
      }
    }
  }

  package let content: Content
  package let digest: Digest
  /// Who signed, sorted, each once.
  package let principals: [String]
  /// The host heard exactly these bytes before, and no later order; or it is locked by them.
  package let isRepeat: Bool

  package var terms: OrderTerms { content.terms }

  /// What to remember before anything of it is done. Nil for a drill, which leaves nothing behind.
  package var asHeard: EpochFloor? {
    content.isDrill ? nil : EpochFloor(epoch: terms.epoch, order: digest)
  }

  fileprivate init(content: Content, digest: Digest, principals: [String], isRepeat: Bool) {
    self.content = content
    self.digest = digest
    self.principals = principals
    self.isRepeat = isRepeat
  }
}

/// Turns an unverified order into a verified one: as with bundles, no text is parsed before enough trusted people have
/// signed it.
package struct OrderVerifier: Sendable {
  /// How long after its arrive-by time an order is merely late. Still later, this host's clock is to blame.
  static let lateness: Int64 = 30 * 86_400
  /// How far this host's clock may be behind the time at which a lockdown was issued: orders go by epochs, and a host with a
  /// flat battery must not be the one that stays open. An unlock may be issued at any later time: a host that is locked may
  /// have no other way to a right clock.
  static let slowness: Int64 = 86_400

  package let allowedSigners: AllowedSigners
  package let thresholds: Thresholds
  package let fleet: FleetID

  package init(allowedSigners: AllowedSigners, thresholds: Thresholds, fleet: FleetID) {
    self.allowedSigners = allowedSigners
    self.thresholds = thresholds
    self.fleet = fleet
  }

  /// `floor` is nil on a host that has never heard an order; its first epoch may be at most 2^20.
  ///
  /// Exactly the bytes heard last, or those that locked the host, are no error, late or not, and neither is a key that has
  /// ended since: repeating them asks for nothing new.
  ///
  /// - Parameter inForce: the order that locked; others may have been heard since, that were for other hosts.
  package func verify(
    _ order: UnverifiedOrder, now: UTCTime, floor: EpochFloor?, inForce: Digest? = nil
  ) throws(OrderProblem) -> VerifiedOrder {
    let digest = order.digest
    let isRepeat = [floor?.order, inForce].contains(digest)
    let principals = try signers(of: order, isRepeat: isRepeat, now: now)
    let content = try parsed(order)
    let terms = content.terms
    guard terms.fleet == fleet else { throw .otherFleet(found: terms.fleet, expected: fleet) }
    try checkEpoch(terms.epoch, isRepeat: isRepeat, heard: floor?.epoch ?? .none)
    if !isRepeat { try checkClock(terms, order.kind, now: now) }
    return VerifiedOrder(content: content, digest: digest, principals: principals, isRepeat: isRepeat)
  }

  private func signers(
    of order: UnverifiedOrder, isRepeat: Bool, now: UTCTime
  ) throws(OrderProblem) -> [String] {
    guard !order.signatures.isEmpty else { throw .unsigned(order.kind) }
    let check = SignatureCheck(
      allowedSigners: allowedSigners, namespace: order.kind.namespace, threshold: thresholds.of(order.kind))
    let text = SignedText(name: order.kind.textName, bytes: order.statement, signatures: order.signatures)
    do throws(SignatureProblem) {
      return try check.principals(of: text, by: isRepeat ? .ofAnyTime : .validNow, now: now)
    } catch {
      throw .signatures(error)
    }
  }

  private func parsed(_ order: UnverifiedOrder) throws(OrderProblem) -> VerifiedOrder.Content {
    do throws(FormatProblem) {
      switch order.kind {
      case .lockdown: return .lockdown(try LockdownOrder.parse(order.statement))
      case .unlock: return .unlock(try UnlockOrder.parse(order.statement))
      }
    } catch {
      throw .malformed(error)
    }
  }

  private func checkEpoch(_ epoch: Epoch, isRepeat: Bool, heard: Epoch) throws(OrderProblem) {
    guard !isRepeat else { return }
    guard epoch >= heard else { throw .olderEpoch(found: epoch, heard: heard) }
    guard epoch > heard else { throw .equalEpochOtherBytes(epoch) }
    guard epoch.value - heard.value <= Epoch.maximumStep else { throw .epochTooFarAhead(found: epoch, heard: heard) }
  }

  private func checkClock(_ terms: OrderTerms, _ kind: OrderKind, now: UTCTime) throws(OrderProblem) {
    let isTooEarly = kind == .lockdown && now < terms.issued + -Self.slowness
    guard now <= terms.arriveBy + Self.lateness, !isTooEarly else {
      throw .clockOff(terms.epoch, issued: terms.issued, arriveBy: terms.arriveBy, now: now)
    }
    guard now < terms.arriveBy else { throw .orderExpired(terms.epoch, arriveBy: terms.arriveBy, now: now) }
  }
}
