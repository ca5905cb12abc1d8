package import Core
package import Inventory
package import Release
package import Rollout
package import Store
internal import Wire

/// A signed order as it goes out: the same bytes to every host.
package struct SealedOrder: Sendable {
  package let content: VerifiedOrder.Content
  let statement: [UInt8]
  let signatures: [[UInt8]]
  let digest: Digest

  /// - Throws: when what is stored is no order, or not the one it is called.
  package init(_ stored: StoredOrder) throws(Failure) {
    do {
      switch stored.kind {
      case .lockdown, .drill: content = .lockdown(try LockdownOrder.parse(stored.statement))
      case .unlock: content = .unlock(try UnlockOrder.parse(stored.statement))
      }
      guard content.terms.epoch == stored.epoch, content.isDrill == (stored.kind == .drill) else {
        throw Reason("its text says something else than the store")
      }
    } catch {
      throw Failure("read order \(stored.epoch) from the store", because: error)
    }
    statement = stored.statement
    signatures = stored.signatures.map(\.armored)
    digest = EpochFloor.digest(of: content.kind, statement)
  }

  package var terms: OrderTerms { content.terms }
  package var isDrill: Bool { content.isDrill }
  package var epoch: Epoch { terms.epoch }
  package var issued: UTCTime { terms.issued }
  package var arriveBy: UTCTime { terms.arriveBy }
  package var reason: String { terms.reason }

  package var profile: ProfileName? {
    switch content {
    case .lockdown(let order): order.profile
    case .unlock: nil
    }
  }

  /// In seconds of the host's running time; nil for never.
  package var liftsAfter: UInt32? {
    switch content {
    case .lockdown(let order): order.liftsAfter
    case .unlock: nil
    }
  }

  package var deed: OrderTarget.Deed {
    switch content {
    case .lockdown(let order): order.isDrill ? .drill(order.profile) : .lock(order.profile)
    case .unlock: .lift
    }
  }

  /// By the inventory: a host goes by what its release says of it.
  package func isMeant(for host: InventoryHost) -> Bool {
    terms.scope.includes(host)
  }

  /// - Throws: `.usage` when it is for nobody: nothing is spent on that.
  package func hosts(of inventory: HostInventory) throws(Failure) -> [InventoryHost] {
    let hosts = inventory.hosts.filter(isMeant)
    guard !hosts.isEmpty else {
      throw Failure(
        "bring order \(epoch)", because: Reason("no host of the inventory is one of \(terms.scope.words)"),
        hint: "look who is there: portcullis hosts", kind: .usage)
    }
    return hosts
  }

  func message() -> OrderDelivery {
    let kind: OrderDelivery.Kind =
      switch content.kind {
      case .lockdown: .lockdown
      case .unlock: .unlock
      }
    return OrderDelivery(nonce: .random(), kind: kind, statement: statement, signatures: signatures)
  }
}

extension VerifiedOrder.Content {
  package var kind: OrderKind {
    switch self {
    case .lockdown: .lockdown
    case .unlock: .unlock
    }
  }
}
