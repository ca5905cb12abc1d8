package import Core
package import Release
package import Store

/// An order that is about to be made.
package struct OrderDraft: Sendable {
  package enum Content: Hashable, Sendable {
    /// - Parameter liftsAfter: in seconds of each host's running time; nil for never.
    case lockdown(ProfileName, liftsAfter: UInt32?)
    case drill(ProfileName)
    case unlock
  }

  package var content: Content
  package var scope: LockScope
  /// Whom it is for, by the inventory.
  package var hosts: [HostID]
  /// In seconds, from now to the moment from which no host obeys it any more.
  package var arriveWithin: Int64
  package var reason: String?
  /// How many people must sign, if more than the fleet asks for.
  package var approvals: Int?

  package init(
    _ content: Content, scope: LockScope, hosts: [HostID], arriveWithin: Int64, reason: String?, approvals: Int? = nil
  ) {
    self.content = content
    self.scope = scope
    self.hosts = hosts
    self.arriveWithin = arriveWithin
    self.reason = reason
    self.approvals = approvals
  }

  package var kind: StoredOrder.Kind {
    switch content {
    case .lockdown: .lockdown
    case .drill: .drill
    case .unlock: .unlock
    }
  }
}

extension StoredOrder.Kind {
  /// A drill is a lockdown order that says so.
  package var signed: OrderKind {
    switch self {
    case .lockdown, .drill: .lockdown
    case .unlock: .unlock
    }
  }
}

/// Makes orders and collects signatures. Nothing is kept that hosts would not take for signed.
package struct OrderSigning: Sendable {
  let workspace: Workspace
  let store: FleetStore

  package init(_ workspace: Workspace, _ store: FleetStore) {
    self.workspace = workspace
    self.store = store
  }

  private var keys: SigningKeys { workspace.configuration.keys }

  /// The order with its first signature, kept, and not sent. Reads neither policies nor reports.
  /// - Parameter key: another one than the configuration says.
  package func make(_ draft: OrderDraft, key: String? = nil) async throws -> StoredOrder {
    let signers = try signers()
    let threshold = try threshold(of: draft, signers)
    let now = workspace.clock.now()
    let epoch = try await store.allocateEpoch(above: try await workspace.epochFloor(in: store))
    let statement: [UInt8]
    do throws(FormatProblem) { statement = try self.statement(draft, epoch, now) } catch {
      throw Failure("make order \(epoch)", because: error, kind: .usage)
    }
    let signature = try await sign(epoch, draft.kind.signed, statement, key, signers)
    let order = StoredOrder(
      epoch: epoch, kind: draft.kind, statement: statement, threshold: threshold, made: now, actor: Actor.name,
      signatures: [signature])
    try await store.keep(order, for: draft.hosts)
    return order
  }

  /// Another person's signature under an armed order.
  /// - Parameter seen: is shown the order before anything is signed.
  package func sign(
    _ epoch: Epoch, key: String? = nil, seen: (StoredOrder) throws -> Void = { _ in }
  ) async throws -> (order: StoredOrder, signature: OrderSignature) {
    let operation = "sign order \(epoch)"
    guard let order = try await store.order(epoch) else {
      throw Failure(
        operation, because: Reason("there is no such order"),
        hint: "'portcullis lockdown status' tells which are armed",
        kind: .usage)
    }
    let sealed = try SealedOrder(order)
    func useless(_ why: String) -> Failure {
      Failure(
        operation, because: Reason(why),
        hint: "make a fresh order, and sign that one: \(sealed.again(approvals: order.signatures.count + 1))",
        kind: .refused)
    }
    switch order.state {
    case .armed: break
    case .stale(let later): throw useless("order \(later) was sent since, and hosts obey no earlier one")
    case .sent(let time): throw useless("it was sent at \(time)")
    }
    guard workspace.clock.now() < sealed.arriveBy else {
      throw useless("it had to arrive by \(sealed.arriveBy), and no host obeys it any more")
    }
    try seen(order)
    let signature = try await sign(epoch, order.kind.signed, order.statement, key, try signers())
    guard try await store.add(signature, to: epoch) else {
      throw Failure(
        operation, because: Reason("\(SafeText.escape(signature.principal)) has signed it: people count, not keys"),
        hint: "it takes another person: portcullis lockdown sign \(epoch) --key FILE", kind: .refused)
    }
    return (try await store.order(epoch) ?? order, signature)
  }

  // MARK: - Parts

  private func signers() throws -> AllowedSigners {
    try AllowedSigners.parse(try Files.read(keys.allowedSignersPath), file: keys.allowedSignersPath)
  }

  private func threshold(of draft: OrderDraft, _ signers: AllowedSigners) throws(Failure) -> Int {
    let kind = draft.kind.signed
    let wanted = draft.approvals ?? keys.thresholds.of(kind)
    let operation = "make \(kind == .lockdown ? "a lockdown" : "an unlock") order"
    guard wanted >= keys.thresholds.of(kind) else {
      throw Failure(
        operation, because: Reason("\(keys.thresholds.of(kind)) people have to sign it, not \(wanted)"),
        hint: "keys.thresholds in portcullis.yaml says so, and hosts count", kind: .usage)
    }
    let people = SigningKeys.people(kind, in: signers, at: workspace.clock.now())
    guard people.count >= wanted else { throw keys.tooFew(people, for: kind, of: wanted, doing: operation) }
    return wanted
  }

  private func statement(_ draft: OrderDraft, _ epoch: Epoch, _ now: UTCTime) throws(FormatProblem) -> [UInt8] {
    let terms = try OrderTerms(
      fleet: workspace.configuration.fleet, epoch: epoch, scope: draft.scope, issued: now,
      arriveBy: now + draft.arriveWithin, reason: draft.reason ?? "-")
    switch draft.content {
    case .lockdown(let profile, let liftsAfter):
      return try LockdownOrder(terms: terms, isDrill: false, profile: profile, liftsAfter: liftsAfter).encode()
    case .drill(let profile):
      return try LockdownOrder(terms: terms, isDrill: true, profile: profile, liftsAfter: nil).encode()
    case .unlock: return try UnlockOrder(terms: terms).encode()
    }
  }

  /// Checked as a host does that is asked for one signature; how many it takes is counted when the order is sent.
  private func sign(
    _ epoch: Epoch, _ kind: OrderKind, _ statement: [UInt8], _ key: String?, _ signers: AllowedSigners
  ) async throws -> OrderSignature {
    let armored = try await keys.sign(order: statement, of: kind, with: key)
    let now = workspace.clock.now()
    let before = Epoch(epoch.value - 1)
    do throws(OrderProblem) {
      let verified = try OrderVerifier(
        allowedSigners: signers, thresholds: .one, fleet: workspace.configuration.fleet
      ).verify(
        try UnverifiedOrder(kind: kind, statement: statement, signatures: [armored]), now: now,
        floor: EpochFloor(epoch: before, order: Digest(of: [])))
      return OrderSignature(principal: verified.principals[0], armored: armored, added: now, actor: Actor.name)
    } catch {
      throw Failure("sign order \(epoch)", because: error, hint: hint(error, kind, key), kind: .refused)
    }
  }

  private func hint(_ problem: OrderProblem, _ kind: OrderKind, _ key: String?) -> String {
    switch problem.kind {
    case .orderExpired, .clockOff: "this machine's clock was set meanwhile: make the order again"
    default:
      "hosts would refuse it: does \(keys.allowedSignersPath) name the key \(key ?? keys.path(for: kind)) with "
        + "namespaces=\"\(kind.namespace.rawValue)\"?"
    }
  }
}
