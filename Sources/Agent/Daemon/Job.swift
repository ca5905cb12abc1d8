internal import Apply
internal import Core
internal import Wire

/// Which connection a job is for. Numbers are not used twice.
typealias ConnectionID = UInt64

/// What the worker is given to do.
enum Job: Sendable {
  /// Asked for by a peer.
  case work(Work, for: ConnectionID)
  /// Of the daemon itself: take the change that waits to be confirmed back.
  case expire(ConfirmationTimer.Order)
  /// Of the daemon itself: what a lockdown needs as time passes.
  case tendLock
  /// Read the rules again, since these changed them; and make what is new durable at once, if somebody waits for it.
  case look(for: [HostChange.Actor], isWatched: Bool, isUrgent: Bool = false)
  /// Make the changes that were seen durable.
  case keepChanges

  var connection: ConnectionID? {
    switch self {
    case .work(_, let connection): connection
    case .expire, .tendLock, .look, .keepChanges: nil
    }
  }

  /// Nobody asked for it, so anybody's questions come first.
  var isOwn: Bool { urgency < 0 }

  var isApply: Bool { if case .work(.apply, _) = self { true } else { false } }
  var isOrder: Bool { if case .work(.order, _) = self { true } else { false } }

  /// Jobs of a higher one are done first. A flood of questions must not make a confirmation late, and nothing may come
  /// before the end of a change whose time is over. Orders wait their turn among what decides: whoever may connect may send
  /// them, signed or not, and a flood of them must not keep a confirmation, root, or the end of a lockdown waiting.
  var urgency: Int {
    switch self {
    case .expire: 2
    case .work(let work, _): work.decides ? 1 : 0
    case .tendLock: 1
    case .look(_, _, let isUrgent): isUrgent ? 1 : -1
    case .keepChanges: -1
    }
  }
}

/// What a peer wants done.
enum Work: Sendable {
  case check([BundleFile: [UInt8]])
  case apply(
    TransactionID, files: [BundleFile: [UInt8]], manifest: Digest, ConfirmationTerms, from: ManagementConnection)
  case confirm(ChangeConfirmation, from: ManagementConnection)
  case cancel(TransactionID)
  case local(LocalOrder)
  case order(OrderDelivery, from: ManagementConnection)
  case report(Nonce, managementSource: String)
  case text(TextRequest)
  case observe

  var isApply: Bool {
    if case .apply = self { true } else { false }
  }

  /// How a change goes on, or what root at the console wants.
  fileprivate var decides: Bool {
    switch self {
    case .confirm, .cancel, .local, .order: true
    case .check, .apply, .report, .text, .observe: false
    }
  }
}

/// What came of it.
enum Answer: Sendable {
  case checked(Result<Void, Refusal>)
  case applied(Result<ApplyAnswer, Refusal>)
  case confirmed(Result<Outcome, Refusal>)
  case cancelled(Result<Outcome, Refusal>)
  case obeyed(LocalOrder, Result<String, Refusal>)
  case ordered(Result<Obeyed, Refusal>)
  case reported(Result<Report, Refusal>)
  case text(Result<[UInt8], Refusal>)
  case observed(Result<Observations, Refusal>)

  /// The rules may be others now.
  var mayMoveRules: Bool {
    switch self {
    case .applied, .confirmed, .cancelled, .obeyed, .ordered(.failure): true
    case .ordered(.success(let obeyed)): obeyed.result == .locking
    case .checked, .reported, .text, .observed: false
    }
  }

  /// They may be, and what they are was read before this was answered.
  var hasReadBack: Bool {
    guard case .ordered(.success(let obeyed)) = self else { return false }
    return switch obeyed.result {
    case .locked, .repeated, .lifted: true
    case .locking, .drilled, .nothingToLift, .outOfScope, .ended: false
    }
  }
}

struct JobResult: Sendable {
  enum End: Sendable {
    case answered(Answer, ConnectionID)
    /// Nil when no change waited after all.
    case expired(because: String, Result<Outcome, Refusal>?)
    /// The change that was meant had ended before the worker came to it.
    case nothingToExpire
    case tendedLock(mayMoveRules: Bool)
    case looked(Looked)
    case keptChanges(ChangeLog)
  }
  let end: End
  enum Looked: Sendable {
    /// - Parameter isAnnounced: no change can come unannounced.
    case saw(ChangeLog, isAnnounced: Bool)
    /// A change waits to be confirmed, and comes first.
    case later
    case failed(Refusal)
  }
  /// Of the change that waits after this job, if one does.
  let confirmBy: BootTime?
  /// When a lockdown needs something, if nothing happens.
  let lockDue: BootTime?
  /// What a report saw is not in the changes yet.
  let isBehind: Bool
  /// Processor time, with the programs that were run.
  let cost: Duration
}
