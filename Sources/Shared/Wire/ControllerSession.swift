package import Core

/// A request that an answer is awaited for.
package enum WireRequest: Hashable, Sendable {
  case stage(TransactionID, manifest: Digest)
  case apply(TransactionID, manifest: Digest)
  case confirm(ChangeConfirmation)
  case cancel(TransactionID)
  case local(LocalOrder)
  case report(Nonce)
  case text(TextRequest)
  case observe
  case watch(after: UInt64)
  case order(Nonce)

  /// Whether it can end in this outcome.
  fileprivate func canEnd(in outcome: Outcome) -> Bool {
    switch self {
    case .apply(outcome.transaction, manifest: _), .cancel(outcome.transaction): true
    case .confirm(let confirmation):
      (confirmation.transaction, confirmation.manifest) == (outcome.transaction, outcome.manifest)
    case .stage, .apply, .cancel, .local, .report, .text, .observe, .watch, .order: false
    }
  }

  fileprivate var words: String {
    switch self {
    case .stage: "staging was asked for"
    case .apply: "an apply was asked for"
    case .confirm: "a confirmation was sent"
    case .cancel: "a cancellation was sent"
    case .local: "a local order was given"
    case .report: "a report was asked for"
    case .text(let request): "the \(request.side) \(request.family) text was asked for"
    case .observe: "observations were asked for"
    case .watch: "changes were asked for"
    case .order: "an order was sent"
    }
  }
}

package enum ControllerEvent: Hashable, Sendable {
  case hello(AgentHello)
  /// The bundle is on the host, whole and checked as far as it can be without programs.
  case staged(TransactionID)
  /// The new rules are loaded and wait for their confirmation.
  case applied(AppliedChange)
  case outcome(Outcome)
  /// The local order was carried out.
  case done(String)
  case report(Report)
  case text(TextRequest, [UInt8])
  case observations(Observations)
  case changes(Changes)
  case obeyed(Obeyed)
  /// The oldest request was refused. Nil: the agent refuses the connection itself.
  case refused(WireRequest?, Refusal)
}

/// One connection, seen from the controller. Requests may be sent without waiting, also before the agent's hello; the
/// answers are matched to them in order, and one that does not fit is a protocol error.
///
/// Methods that make a request return the messages to send. Feed everything that arrives to `receive`; at the end of the
/// stream call `finish`, which says which requests were never answered.
package struct ControllerSession: Sendable {
  private enum State {
    /// The agent's hello is awaited.
    case greeting
    case open
    /// No more requests; the pending ones are still answered.
    case leaving
    /// The stream ended, or a protocol error did it.
    case closed
  }

  private var state = State.greeting
  private var saidGoodbye = false
  /// Oldest first.
  private var pending: [WireRequest] = []
  /// The text that is arriving, answer to `pending.first`.
  private var text: [UInt8] = []

  package init() {}

  package var phase: ControllerPhase {
    switch state {
    case .greeting: .greeting
    case .open: pending.isEmpty ? .idle : .waiting
    case .leaving: pending.isEmpty ? .closed : .waiting
    case .closed: .closed
    }
  }

  /// Goodbye was said and everything answered, or the stream is over: nothing more will come.
  package var isFinished: Bool { phase == .closed }

  /// Requests whose answers have not come, oldest first.
  package var unanswered: [WireRequest] { pending }

  /// First on every connection.
  package func hello() -> ControllerMessage { .hello(version: ProtocolVersion.current) }

  /// Announces a bundle and sends its files, in an order of our own. `files` must hold a manifest.
  package mutating func stage(_ transaction: TransactionID, _ files: [BundleFile: [UInt8]]) -> StagedMessages {
    pending.append(.stage(transaction, manifest: Digest(of: files[.manifest] ?? [])))
    return StagedMessages(transaction, files)
  }

  package mutating func apply(
    _ transaction: TransactionID, manifest: Digest, _ terms: ConfirmationTerms
  ) -> ControllerMessage {
    pending.append(.apply(transaction, manifest: manifest))
    return .apply(transaction, manifest: manifest, terms)
  }

  package mutating func confirm(_ confirmation: ChangeConfirmation) -> ControllerMessage {
    pending.append(.confirm(confirmation))
    return .confirm(confirmation)
  }

  package mutating func cancel(_ transaction: TransactionID) -> ControllerMessage {
    pending.append(.cancel(transaction))
    return .cancel(transaction)
  }

  package mutating func local(_ order: LocalOrder) -> ControllerMessage {
    pending.append(.local(order))
    return .local(order)
  }

  package mutating func report(_ nonce: Nonce) -> ControllerMessage {
    pending.append(.report(nonce))
    return .report(nonce)
  }

  package mutating func text(_ request: TextRequest) -> ControllerMessage {
    pending.append(.text(request))
    return .text(request)
  }

  package mutating func observe() -> ControllerMessage {
    pending.append(.observe)
    return .observe
  }

  /// - Parameter seconds: how long the agent waits for one.
  package mutating func watch(after: UInt64, seconds: UInt16) -> ControllerMessage {
    pending.append(.watch(after: after))
    return .watch(after: after, seconds: min(seconds, WireLimit.watchSeconds))
  }

  package mutating func order(_ order: OrderDelivery) -> ControllerMessage {
    pending.append(.order(order.nonce))
    return .order(order)
  }

  /// Last: what is pending is still answered.
  package mutating func goodbye() -> ControllerMessage {
    saidGoodbye = true
    if case .open = state { state = .leaving }
    return .goodbye
  }

  /// A whole message arrived. Nil: a piece of something that is not complete yet.
  package mutating func receive(_ message: AgentMessage) throws(WireProblem) -> ControllerEvent? {
    do throws(WireProblem) {
      guard phase.allowed.contains(message.type) else { throw .outOfPhase(message.type, phase: phase.words) }
      return try event(for: message)
    } catch {
      state = .closed
      throw error
    }
  }

  /// The stream ended. Returns the requests whose answers were lost; a host with an apply among them is in a state that
  /// must be asked for again.
  package mutating func finish() -> [WireRequest] {
    state = .closed
    return pending
  }

  private mutating func event(for message: AgentMessage) throws(WireProblem) -> ControllerEvent? {
    switch message {
    case .hello(let hello):
      guard hello.version == ProtocolVersion.current else { throw .otherVersion(hello.version) }
      state = saidGoodbye ? .leaving : .open
      return .hello(hello)
    case .staged(let transaction, let manifest):
      try answer(message, .stage(transaction, manifest: manifest))
      return .staged(transaction)
    case .applied(let change):
      try answer(message, .apply(change.transaction, manifest: change.manifest))
      return .applied(change)
    case .outcome(let outcome):
      guard pending.first?.canEnd(in: outcome) == true else { throw mismatch(message) }
      pending.removeFirst()
      return .outcome(outcome)
    case .done(let words):
      guard case .local? = pending.first else { throw mismatch(message) }
      pending.removeFirst()
      return .done(words)
    case .report(let report):
      try answer(message, .report(report.nonce))
      return .report(report)
    case .text(let request, let piece, let last):
      guard pending.first == .text(request) else { throw mismatch(message) }
      guard text.count + piece.count <= WireLimit.text else {
        throw .malformed(
          .text, .tooLong(field: "text", length: text.count + piece.count, limit: WireLimit.text))
      }
      text += piece
      guard last else { return nil }
      pending.removeFirst()
      defer { text = [] }
      return .text(request, text)
    case .observations(let observations):
      try answer(message, .observe)
      return .observations(observations)
    case .changes(let changes):
      guard case .watch? = pending.first else { throw mismatch(message) }
      pending.removeFirst()
      return .changes(changes)
    case .obeyed(let nonce, let obeyed):
      try answer(message, .order(nonce))
      return .obeyed(obeyed)
    case .refused(let refusal):
      // Before hello nothing was read yet, so it cannot be about a request.
      if case .greeting = state {
        state = .closed
        return .refused(nil, refusal)
      }
      text = []
      return .refused(pending.isEmpty ? nil : pending.removeFirst(), refusal)
    }
  }

  private mutating func answer(_ message: AgentMessage, _ request: WireRequest) throws(WireProblem) {
    guard pending.first == request else { throw mismatch(message) }
    pending.removeFirst()
  }

  private func mismatch(_ message: AgentMessage) -> WireProblem {
    .otherAnswer(message.type, detail: pending.first.map(\.words) ?? "nothing was asked")
  }
}

/// The messages that carry a bundle, made one at a time so that its bytes never stand in memory twice.
package struct StagedMessages: Sequence, IteratorProtocol, Sendable {
  private let transaction: TransactionID
  private let order: [(file: BundleFile, bytes: [UInt8])]
  private var announced = false
  private var current = 0
  private var pieces: Pieces?

  init(_ transaction: TransactionID, _ files: [BundleFile: [UInt8]]) {
    self.transaction = transaction
    order = files.map { (file: $0.key, bytes: $0.value) }.sorted { $0.file.fileName < $1.file.fileName }
  }

  package mutating func next() -> ControllerMessage? {
    guard announced else {
      announced = true
      return .stage(transaction, order.map { StagedFile(file: $0.file, size: $0.bytes.count) })
    }
    while current < order.count {
      var rest = pieces ?? Pieces(order[current].bytes)
      if let (piece, _) = rest.next(), !piece.isEmpty {
        pieces = rest
        return .data(Array(piece))
      }
      pieces = nil
      current += 1
    }
    return nil
  }
}
