package import Core

/// What the agent's connection wants done. The caller performs actions in order.
package enum AgentAction: Hashable, Sendable {
  case send(AgentMessage)
  /// Look at a bundle that arrived whole; then call `checked`.
  case check([BundleFile: [UInt8]])
  /// Then call `applied`.
  case apply(TransactionID, files: [BundleFile: [UInt8]], manifest: Digest, ConfirmationTerms)
  /// Then call `decided`.
  case confirm(ChangeConfirmation)
  /// Then call `decided`.
  case cancel(TransactionID)
  /// Then call `obeyed`.
  case local(LocalOrder)
  /// Then call `ordered`.
  case order(OrderDelivery)
  /// Then call `reported`.
  case report(Nonce)
  /// Work out the text; then call `textReady`.
  case text(TextRequest)
  /// Then call `observed`.
  case observe
  /// When there are changes after this one, or the time is over, call `changed`. Any other action ends the waiting.
  case watch(after: UInt64, seconds: UInt16)
  /// Send what is queued, then close.
  case close
}

/// How an apply went on.
package enum ApplyAnswer: Hashable, Sendable {
  /// It waits to be confirmed.
  case applied(AppliedChange)
  /// It ended.
  case outcome(Outcome)
}

/// One connection, seen from the agent. Requests are answered one after the other, in order: the caller feeds the next
/// message only while `isReady`, so a peer that sends ahead waits in its own buffers, not in ours.
///
/// A message that its phase does not allow is answered with a refusal and ends the connection. A refused bundle does
/// not: the controller learns why, and may ask for a report on the same connection.
package struct AgentSession: Sendable {
  private enum State {
    /// Not yet started, or our hello is out and theirs is awaited.
    case greeting
    case ready(Bundle)
    /// Pieces of the announced files arrive.
    case staging(Staging)
    /// Pieces of refused files arrive; `remaining` bytes of them.
    case discarding(TransactionID, remaining: Int, Refusal)
    /// `check` is running on these files.
    case checking(TransactionID, [BundleFile: [UInt8]])
    /// `apply` is running, and holds this many bytes of files.
    case applying(heldBytes: Int)
    /// `confirm`, `cancel` or `local` is running; the bundle, if any, stays staged.
    case deciding(Bundle)
    /// `order` is running; the bundle, if any, stays staged.
    case ordering(Nonce, Bundle)
    /// `report` is running; the bundle, if any, stays staged.
    case reporting(Nonce, Bundle)
    /// `observe` is running.
    case observing(Bundle)
    /// A change after this one is waited for.
    case watching(after: UInt64, Bundle)
    /// `text` is running.
    case composing(TextRequest, Bundle)
    /// A text is going out piece by piece.
    case sendingText(TextRequest, Pieces, Bundle)
    /// `close` was returned.
    case closed
  }

  /// What an `apply` would find.
  private enum Bundle {
    case none
    case staged(TransactionID, [BundleFile: [UInt8]], manifest: Digest)
    case rejected(TransactionID, Refusal)

    var heldBytes: Int {
      switch self {
      case .none, .rejected: 0
      case .staged(_, let files, _): files.values.reduce(0) { $0 + $1.count }
      }
    }
  }

  private let ours: AgentHello
  private var state: State

  package init(hello: AgentHello) {
    ours = hello
    state = .greeting
  }

  package var phase: AgentPhase {
    switch state {
    case .greeting: .greeting
    case .ready(.none): .idle
    case .ready(.staged): .staged
    case .ready(.rejected): .rejected
    case .staging: .staging
    case .discarding: .discarding
    case .checking, .applying, .deciding, .ordering, .reporting, .observing, .composing, .sendingText: .answering
    case .watching: .watching
    case .closed: .closed
    }
  }

  /// The next message may be fed.
  package var isReady: Bool { !phase.allowed.isEmpty }

  /// Memory taken by staged files, or promised to files that are arriving, in bytes.
  package var reservedBytes: Int {
    switch state {
    case .ready(let bundle), .deciding(let bundle), .ordering(_, let bundle), .reporting(_, let bundle),
      .observing(let bundle), .watching(_, let bundle), .composing(_, let bundle), .sendingText(_, _, let bundle):
      bundle.heldBytes
    case .staging(let staging): staging.total
    case .checking(_, let files): files.values.reduce(0) { $0 + $1.count }
    case .applying(let heldBytes): heldBytes
    case .greeting, .discarding, .closed: 0
    }
  }

  /// The connection is open: hello goes first, without being asked.
  package mutating func start() -> [AgentAction] { [.send(.hello(ours))] }

  /// A whole message arrived. `room` is the memory in bytes that staged files may still take, over all connections and
  /// without what this one holds.
  package mutating func receive(_ message: ControllerMessage, room: Int = WireLimit.stagedBytes) -> [AgentAction] {
    if case .watching(let after, _) = state {
      return changed(Changes(last: after)) + receive(message, room: room)
    }
    guard phase.allowed.contains(message.type) else {
      return fail(.outOfPhase(message.type, phase: phase.words))
    }
    switch message {
    case .hello(let version):
      guard version == ProtocolVersion.current else { return fail(.otherVersion(version)) }
      state = .ready(.none)
      return []
    case .stage(let transaction, let files): return stage(transaction, files, room: room)
    case .data(let piece): return take(piece)
    case .apply(let transaction, let manifest, let terms): return apply(transaction, manifest, terms)
    case .confirm(let confirmation):
      state = .deciding(bundle)
      return [.confirm(confirmation)]
    case .cancel(let transaction):
      state = .deciding(bundle)
      return [.cancel(transaction)]
    case .local(let order):
      state = .deciding(bundle)
      return [.local(order)]
    case .order(let order):
      state = .ordering(order.nonce, bundle)
      return [.order(order)]
    case .report(let nonce):
      state = .reporting(nonce, bundle)
      return [.report(nonce)]
    case .text(let request):
      state = .composing(request, bundle)
      return [.text(request)]
    case .observe:
      state = .observing(bundle)
      return [.observe]
    case .watch(let after, let seconds):
      state = .watching(after: after, bundle)
      return [.watch(after: after, seconds: seconds)]
    case .goodbye:
      state = .closed
      return [.close]
    }
  }

  /// The answer to `.check`.
  package mutating func checked(_ result: Result<Void, Refusal>) -> [AgentAction] {
    guard case .checking(let transaction, let files) = state else { return [] }
    switch result {
    case .success:
      let manifest = Digest(of: files[.manifest] ?? [])
      state = .ready(.staged(transaction, files, manifest: manifest))
      return [.send(.staged(transaction, manifest: manifest))]
    case .failure(let refusal):
      state = .ready(.rejected(transaction, refusal))
      return [.send(.refused(refusal))]
    }
  }

  /// The answer to `.apply`. What was staged is gone either way.
  package mutating func applied(_ result: Result<ApplyAnswer, Refusal>) -> [AgentAction] {
    guard case .applying = state else { return [] }
    state = .ready(.none)
    switch result {
    case .success(.applied(let change)): return [.send(.applied(change))]
    case .success(.outcome(let outcome)): return [.send(.outcome(outcome))]
    case .failure(let refusal): return [.send(.refused(refusal))]
    }
  }

  /// The answer to `.confirm` and to `.cancel`.
  package mutating func decided(_ result: Result<Outcome, Refusal>) -> [AgentAction] {
    guard case .deciding(let bundle) = state else { return [] }
    state = .ready(bundle)
    switch result {
    case .success(let outcome): return [.send(.outcome(outcome))]
    case .failure(let refusal): return [.send(.refused(refusal))]
    }
  }

  /// The answer to `.local`, in words.
  package mutating func obeyed(_ result: Result<String, Refusal>) -> [AgentAction] {
    guard case .deciding(let bundle) = state else { return [] }
    state = .ready(bundle)
    switch result {
    case .success(let words): return [.send(.done(words))]
    case .failure(let refusal): return [.send(.refused(refusal))]
    }
  }

  /// The answer to `.order`.
  package mutating func ordered(_ result: Result<Obeyed, Refusal>) -> [AgentAction] {
    guard case .ordering(let nonce, let bundle) = state else { return [] }
    state = .ready(bundle)
    switch result {
    case .success(let obeyed): return [.send(.obeyed(nonce, obeyed))]
    case .failure(let refusal): return [.send(.refused(refusal))]
    }
  }

  /// The answer to `.report`.
  package mutating func reported(_ result: Result<Report, Refusal>) -> [AgentAction] {
    guard case .reporting(_, let bundle) = state else { return [] }
    state = .ready(bundle)
    switch result {
    case .success(let report): return [.send(.report(report))]
    case .failure(let refusal): return [.send(.refused(refusal))]
    }
  }

  /// The answer to `.observe`.
  package mutating func observed(_ result: Result<Observations, Refusal>) -> [AgentAction] {
    guard case .observing(let bundle) = state else { return [] }
    state = .ready(bundle)
    switch result {
    case .success(let observations): return [.send(.observations(observations))]
    case .failure(let refusal): return [.send(.refused(refusal))]
    }
  }

  /// The answer to `.watch`.
  package mutating func changed(_ changes: Changes) -> [AgentAction] {
    guard case .watching(_, let bundle) = state else { return [] }
    state = .ready(bundle)
    return [.send(.changes(changes))]
  }

  /// The answer to `.text`. Its pieces come out of `nextPiece`.
  package mutating func textReady(_ result: Result<[UInt8], Refusal>) -> [AgentAction] {
    guard case .composing(let request, let bundle) = state else { return [] }
    switch result {
    case .success(let text) where text.count <= WireLimit.text:
      state = .sendingText(request, Pieces(text), bundle)
      return []
    case .success(let text):
      state = .ready(bundle)
      let detail = "the text has \(text.count) bytes, more than the \(WireLimit.text) that one answer may have"
      return [.send(.refused(Refusal(code: .tooLarge, detail: detail)))]
    case .failure(let refusal):
      state = .ready(bundle)
      return [.send(.refused(refusal))]
    }
  }

  /// The output has room: the next piece of the text that is being sent, if one is.
  package mutating func nextPiece() -> AgentMessage? {
    guard case .sendingText(let request, var pieces, let bundle) = state else { return nil }
    guard let (piece, last) = pieces.next() else {
      state = .ready(bundle)
      return nil
    }
    state = last ? .ready(bundle) : .sendingText(request, pieces, bundle)
    return .text(request, piece: Array(piece), last: last)
  }

  /// The peer broke the protocol: say so, and close.
  package mutating func fail(_ problem: WireProblem) -> [AgentAction] { refuseAndClose(problem.refusal) }

  /// Ends the connection for a reason of ours: too many connections, too slow, too long idle, going down.
  package mutating func refuseAndClose(_ refusal: Refusal) -> [AgentAction] {
    if case .closed = state { return [] }
    state = .closed
    return [.send(.refused(refusal)), .close]
  }

  /// The peer will send no more. Not an error outside a bundle: what is being worked out is still sent.
  package mutating func peerFinished() -> [AgentAction] {
    switch state {
    case .closed, .checking, .applying, .deciding, .ordering, .reporting, .observing, .composing, .sendingText:
      return []
    case .staging, .discarding: return fail(.outOfPhase(.goodbye, phase: phase.words))
    case .greeting, .ready, .watching:
      state = .closed
      return [.close]
    }
  }

  private var bundle: Bundle {
    if case .ready(let bundle) = state { bundle } else { .none }
  }

  private mutating func stage(_ transaction: TransactionID, _ files: [StagedFile], room: Int) -> [AgentAction] {
    let staging = Staging(transaction, files)
    let refusal: Refusal? =
      if !files.contains(where: { $0.file == .manifest }) {
        Refusal(code: .malformed, detail: "the bundle has no manifest")
      } else if staging.total > room {
        Refusal(code: .busy, detail: "other connections have bundles staged; try again in a minute")
      } else {
        nil
      }
    guard let refusal else {
      state = .staging(staging)
      return []
    }
    state = .discarding(transaction, remaining: staging.total, refusal)
    return [.send(.refused(refusal))]
  }

  private mutating func take(_ piece: [UInt8]) -> [AgentAction] {
    switch state {
    case .staging(var staging):
      // The enum must let go of the files, or appending to one would copy it.
      state = .closed
      if let problem = staging.append(piece) {
        state = .staging(staging)
        return fail(.malformed(.data, problem))
      }
      guard staging.isComplete else {
        state = .staging(staging)
        return []
      }
      state = .checking(staging.transaction, staging.files)
      return [.check(staging.files)]
    case .discarding(let transaction, let remaining, let refusal):
      guard piece.count <= remaining else { return fail(.malformed(.data, .trailing(count: piece.count - remaining))) }
      state =
        piece.count == remaining
        ? .ready(.rejected(transaction, refusal))
        : .discarding(transaction, remaining: remaining - piece.count, refusal)
      return []
    case .greeting, .ready, .checking, .applying, .deciding, .ordering, .reporting, .observing, .watching,
      .composing, .sendingText, .closed:
      return fail(.outOfPhase(.data, phase: phase.words))
    }
  }

  private mutating func apply(_ transaction: TransactionID, _ manifest: Digest, _ terms: ConfirmationTerms)
    -> [AgentAction]
  {
    let current = bundle
    let refusal: Refusal
    switch current {
    case .staged(transaction, let files, manifest: manifest):
      state = .applying(heldBytes: current.heldBytes)
      return [.apply(transaction, files: files, manifest: manifest, terms)]
    case .rejected(transaction, let original): refusal = original
    case .staged(let other, _, let staged):
      refusal = Refusal(
        code: .malformed,
        detail: other == transaction
          ? "what is staged has manifest \(staged), not \(manifest)" : "what is staged is of transaction \(other)")
    case .rejected, .none: refusal = Refusal(code: .malformed, detail: "nothing is staged for \(transaction)")
    }
    return [.send(.refused(refusal))]
  }
}
