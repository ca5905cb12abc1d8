internal import Audit
internal import Core
package import Inventory
package import Rollout
package import Store
internal import Transport
internal import Wire

/// Confirms or cancels, by a person's word, the changes that `apply --confirm manual` left waiting.
package struct Settling: Sendable {
  package enum Word: String, Sendable {
    case confirm
    case cancel
  }

  package struct Settled: Sendable {
    /// By name.
    package let hosts: [Applying.Host]
    package let tally: RunTally
  }

  /// A new connection each; the answer to a repeated word is the same.
  private static let tries = 3

  let workspace: Workspace
  let limits: ContactLimits

  package init(_ workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  /// What waits on these hosts, as far as this controller knows.
  /// - Throws: when nothing does: a word that means nothing must not look like one that was heeded.
  package func changes(
    of hosts: [InventoryHost], for word: Word, store: FleetStore
  ) async throws -> [AwaitingChange] {
    let chosen = Set(hosts.map(\.id))
    let found = try await store.awaiting().filter { chosen.contains($0.host) }
    guard !found.isEmpty else {
      throw Failure(
        word.rawValue,
        because: Reason("no change of these hosts waits to be confirmed, as far as this controller knows"),
        hint: "only 'portcullis apply --confirm manual' leaves one; 'portcullis status --refresh' asks the hosts",
        kind: .refused)
    }
    return found
  }

  package func settle(
    _ changes: [AwaitingChange], with word: Word, store: FleetStore, reason: String, told: (Applying.Host) -> Void
  ) async throws -> Settled {
    let inventory = try workspace.inventory()
    let endpoints = Endpoints(inventory: inventory, configuration: workspace.configuration)
    let connector = try workspace.connector()
    let items = try changes.map { change in
      guard let host = inventory.host(named: change.host.description) else {
        throw Failure("\(word.rawValue) \(change.host)", because: Reason("it is not in the inventory"), kind: .usage)
      }
      return Item(change: change, endpoint: endpoints.endpoint(of: host, as: .agent))
    }
    let run = try await store.beginRun(
      verb: word.rawValue, actor: Actor.name, reason: reason, serial: nil, at: workspace.clock.now())
    var tally = RunTally()
    var answers: [(change: AwaitingChange, host: Applying.Host, report: Report?)] = []
    await FanOut.each(items, parallel: limits.parallel) { item in
      // Like a delivery: an interruption does not leave a host in doubt.
      await Task { await say(word, item, connector) }.value
    } finished: { item, answer in
      let host = Applying.Host(host: item.change.host, result: answer.result, at: workspace.clock.now())
      // What was asked for is a success, although the word for it is the same as of a failure.
      tally.count(Self.isWanted(answer.result, word) ? .current(touched: true) : answer.result)
      answers.append((item.change, host, answer.report))
      told(host)
    }
    tally.interrupted = Task.isCancelled && answers.count < items.count
    answers.sort { $0.host.host < $1.host.host }
    try await record(answers, after: word == .cancel ? .cancelled : .applied, run, tally, store)
    return Settled(hosts: answers.map(\.host), tally: tally)
  }

  static func isWanted(_ result: DeliveryResult, _ word: Word) -> Bool {
    switch (word, result) {
    case (.confirm, .current), (.cancel, .reverted): true
    case (.confirm, _), (.cancel, _): false
    }
  }

  private func record(
    _ answers: [(change: AwaitingChange, host: Applying.Host, report: Report?)], after deed: OurDeed, _ run: RunID,
    _ tally: RunTally, _ store: FleetStore
  ) async throws {
    let reports = answers.compactMap { answer in answer.report.map { ReceivedReport($0, receivedAt: answer.host.at) } }
    try await store.record(reports: reports, after: deed)
    var attempts: [HostID: DeliveryAttempt] = [:]
    var over: [AwaitingChange] = []
    for (change, host, _) in answers where Self.isOver(host.result) {
      over.append(change)
      let (word, detail) = host.result.words
      attempts[host.host] = DeliveryAttempt(
        content: change.content, serial: change.serial, result: word, detail: detail, at: host.at)
    }
    try await store.record(attempts: attempts)
    try await store.forget(awaiting: over)
    try await store.record(
      run: run,
      results: answers.map { answer in
        let (word, detail) = answer.host.result.words
        return RunHostResult(host: answer.host.host, result: word.rawValue, detail: detail)
      })
    try await store.endRun(run, exitCode: tally.exitCode.rawValue, at: workspace.clock.now())
  }

  /// Nothing waits on the host any more. Otherwise the word can be said again.
  static func isOver(_ result: DeliveryResult) -> Bool {
    switch result {
    case .current, .reverted, .failed: true
    case .awaiting, .stale, .unreachable, .unknown: false
    }
  }
}

extension Settling {
  fileprivate struct Item: Sendable {
    let change: AwaitingChange
    let endpoint: HostEndpoint
  }

  private func say(
    _ word: Word, _ item: Item, _ connector: any HostConnector
  ) async -> (result: DeliveryResult, report: Report?) {
    let deadline = ContinuousClock.now.advanced(by: limits.timeout)
    var wasSaid = false
    var why = ""
    for attempt in 0..<Self.tries where ContinuousClock.now < deadline {
      if attempt > 0 { try? await Task.sleep(for: .milliseconds(500 * attempt)) }
      do {
        var link = try await AgentLink.open(item.endpoint, over: connector, deadline: deadline)
        do {
          let answer = try await say(word, item.change, &link, &wasSaid)
          await link.close()
          return answer
        } catch {
          await link.close()
          throw error
        }
      } catch {
        why = ErrorChain(error).line
      }
    }
    return (wasSaid ? .unknown(why) : .unreachable(why), nil)
  }

  private func say(
    _ word: Word, _ change: AwaitingChange, _ link: inout AgentLink, _ wasSaid: inout Bool
  ) async throws -> (result: DeliveryResult, report: Report?) {
    guard case .hello(let hello) = try await link.next() else { throw Reason("it did not greet us") }
    guard hello.host == change.host, hello.fleet == workspace.configuration.fleet else {
      throw Reason("the host that answered is \(hello.host) of fleet \(hello.fleet)")
    }
    wasSaid = true
    switch word {
    case .confirm: try await link.confirm(change.confirmation)
    case .cancel: try await link.cancel(change.confirmation.transaction)
    }
    let nonce = Nonce.random()
    try await link.askReport(nonce)
    let answer = try await link.next()
    var report: Report?
    if case .report(let said)? = try? await link.next(), said.nonce == nonce, said.host == change.host { report = said }
    switch answer {
    case .outcome(let outcome): return (Self.result(of: outcome, for: change), report)
    case .refused(_, let refusal):
      return (Self.result(of: refusal, for: change, report), report)
    case .hello, .staged, .applied, .done, .report, .text, .observations, .changes, .obeyed:
      throw Reason("it answered another question")
    }
  }

  static func result(of outcome: Outcome, for change: AwaitingChange) -> DeliveryResult {
    let detail = SafeText.escape(outcome.detail)
    guard outcome.transaction == change.confirmation.transaction else {
      return .unknown("it answered for another change")
    }
    switch outcome.result {
    case .committed, .unchanged:
      guard outcome.manifest == change.confirmation.manifest else {
        return .unknown("the host says it committed another manifest, \(outcome.manifest.short)")
      }
      return .current(touched: outcome.result == .committed, warnings: detail.isEmpty ? [] : [detail])
    case .reverted: return .reverted(detail)
    case .failed: return .failed(detail, nil)
    }
  }

  /// A refusal alone does not say what the host runs: its report does.
  static func result(of refusal: Refusal, for change: AwaitingChange, _ report: Report?) -> DeliveryResult {
    let detail = SafeText.escape(refusal.detail)
    guard let report else { return .unknown("it refused, and did not report: \(detail)") }
    if report.committed?.manifest == change.confirmation.manifest { return .current(touched: true) }
    guard report.pending?.transaction == change.confirmation.transaction else {
      return .reverted("nothing waits on it any more: \(detail)")
    }
    return .unknown("the change still waits: \(detail)")
  }
}
