import Console
import Core
import Glibc
import Operations
import Rollout
import Store

/// What every verb that changes hosts does with its plan: show it, ask, carry it out, say what came of it.
struct Change {
  let verb: String
  let approval: ApprovalOptions
  let output: OutputOptions
  /// By a plan file.
  var isApproved = false
  /// Of a repair: asks the hosts what is left of what differed.
  var lookAfter: ((Applying.Applied, FleetStore) async throws -> DriftRepair.Outcome)?

  func carryOut(_ planned: Planning.Planned, _ applying: Applying, _ store: FleetStore) async throws -> Int32 {
    let document = PlanDocument(planned)
    guard document.toChange > 0 else { return try await apply(planned, applying, store).exitCode }
    if !isApproved {
      try approval.require(
        verb, what: "\(verb) to", hosts: document.toChange,
        hint: verb == "apply" ? "look at 'portcullis plan', then say --yes, or apply a plan file" : "say --yes",
        showing: document)
    }
    return try await applying.workspace.audited(
      verb, hosts: planned.plan.touched.map(\.host), reason: approval.reason
    ) {
      try await apply(planned, applying, store)
    }
  }

  private func apply(
    _ planned: Planning.Planned, _ applying: Applying, _ store: FleetStore
  ) async throws -> ActionEnd {
    let applied = try await applying.apply(
      planned, store: store, verb: verb, reason: approval.reason ?? "-", told: progress)
    let left = await result { try await lookAfter?(applied, store) }
    try store.close()
    try Terminal.print(ApplyDocument(applied, left: try? left.get()), output)
    if let failure = applied.recordingFailure {
      Terminal.complain(
        Failure(
          "record what came of it", because: failure,
          hint: "the hosts above are as shown; make room and run 'portcullis status --refresh'"))
    }
    var code = applied.tally.exitCode
    do {
      if code == .done, let left = try left.get() { code = left.exitCode }
    } catch {
      Terminal.complain(
        Failure(
          "look whether the hosts hold it now", because: error,
          hint: "the hosts above are as shown; 'portcullis drift' asks again"))
      code = .error
    }
    return ActionEnd(exitCode: code.rawValue, release: applied.release?.serial)
  }

  /// What fails after hosts were changed must not keep from the person what came of them.
  private func result<Value>(_ work: () async throws -> Value) async -> Result<Value, any Error> {
    do { return .success(try await work()) } catch { return .failure(error) }
  }

  /// On a terminal, one line that counts.
  private func progress(_ host: Applying.Host) {
    guard isatty(STDERR_FILENO) == 1, output.output == .text else { return }
    Terminal.say("\(host.host): \(ApplyDocument.word(host.result))")
  }
}

extension ApprovalOptions {
  /// Asks the person at the terminal; a script must have said yes before.
  func require(_ verb: String, what: String, hosts: Int, hint: String, showing document: some Document) throws {
    if yes { return }
    guard Terminal.isInteractive, !noInput else {
      let counted = hosts == 1 ? "1 host" : "\(hosts) hosts"
      throw Failure("\(what) \(counted)", because: Reason("nobody is here to approve it"), hint: hint, kind: .refused)
    }
    Terminal.say(document.text(TextStyle(colour: Terminal.colour)))
    // Many hosts take more than a reflex: their number.
    let wanted = hosts > 10 ? String(hosts) : "yes"
    guard Terminal.ask("\(verb.prefix(1).uppercased() + verb.dropFirst())? Type \(wanted): ") == wanted else {
      throw Failure(verb, because: Reason("it was not approved"), kind: .refused)
    }
  }
}
