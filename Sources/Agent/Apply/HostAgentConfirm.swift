package import Core
internal import Release
package import Wire

// How a change that waits ends: confirmed, taken back by someone, or by its deadline. One call at a time, so whichever
// is journalled first has won.

extension HostAgent {
  static let notConfirmed = "nobody confirmed it over a new connection before the deadline"

  package var confirmBy: BootTime? { waiting?.deadline.time }

  package func confirm(
    _ confirmation: ChangeConfirmation, from connection: ManagementConnection
  ) throws(Refusal) -> Outcome {
    if let waiting, bootClock.now() >= waiting.deadline.time { expire(because: Self.notConfirmed) }
    guard let waiting else { return try recordedOutcome(confirmation) }
    let plan = waiting.drive.plan
    guard confirmation.transaction == plan.id, confirmation.manifest == plan.release.manifest,
      confirmation.nonce == waiting.nonce
    else {
      if confirmation.transaction != plan.id { return try recordedOutcome(confirmation) }
      throw Refusal(
        code: .notConfirmable, detail: "the change that waits has another manifest or nonce than the confirmation")
    }
    guard connection.isConsole || proves(connection, waiting) else {
      throw Refusal(
        code: .notConfirmable,
        detail: "a change is confirmed over a connection that was opened after it was applied, not over this one")
    }
    var drive = waiting.drive
    let first = drive.machine.confirmed(at: moment)
    return try finish(&drive, from: first)
  }

  /// That an old TCP connection lives proves nothing: it may pass for being an established one, and a channel within
  /// it may be as new as can be. Where sshd itself does not know the ends (over vsock, say), all there is to go by is when
  /// the agent first saw it.
  private func proves(_ connection: ManagementConnection, _ waiting: WaitingChange) -> Bool {
    guard connection.opened > waiting.applied else { return false }
    guard let ends = connection.ends else { return waiting.drive.origin?.ends == nil }
    return waiting.drive.connectedBefore.proves(ends)
  }

  package func cancel(_ transaction: TransactionID) throws(Refusal) -> Outcome {
    if let waiting, waiting.drive.plan.id == transaction {
      var drive = waiting.drive
      let first = drive.machine.takenBack(because: "it was cancelled")
      return try finish(&drive, from: first)
    }
    do {
      if let known = try ledger().outcome(of: transaction) { return known }
    } catch {
      throw Refusal("read how transaction \(transaction) ended", error)
    }
    throw Refusal(code: .notConfirmable, detail: "no such change waits for a confirmation")
  }

  @discardableResult package func expire(because why: String) -> Result<Outcome, Refusal>? {
    guard let waiting else { return nil }
    var drive = waiting.drive
    let first = drive.machine.takenBack(because: why)
    // Where nothing can be loaded, or its end cannot be written, the transaction stays open and is ended before the next
    // one, or by the guard.
    return Result { () throws(Refusal) in try finish(&drive, from: first) }
  }

  private func finish(_ drive: inout Drive, from first: ApplyMachine.Action) throws(Refusal) -> Outcome {
    waiting = nil
    switch try run(&drive, from: first) {
    case .outcome(let outcome): return outcome
    case .waiting: throw Refusal(code: .internalError, detail: "the change went on waiting after its end")
    }
  }

  /// A confirmation after the end gets the end, if it names that change.
  private func recordedOutcome(_ confirmation: ChangeConfirmation) throws(Refusal) -> Outcome {
    let known: RecordedOutcome?
    do { known = try ledger().recordedOutcome(of: confirmation.transaction) } catch {
      throw Refusal("read how transaction \(confirmation.transaction) ended", error)
    }
    guard let known, known.nonce == confirmation.nonce, known.outcome.manifest == confirmation.manifest else {
      throw Refusal(code: .notConfirmable, detail: "no such change waits for a confirmation")
    }
    return known.outcome
  }
}
