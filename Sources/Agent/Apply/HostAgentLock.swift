internal import Core
internal import Release
internal import Ruleset
package import Wire

// Orders: verified, judged, and done.

/// How one run of the machine went.
struct LockRun {
  var times = Obeyed.Times()
  /// Something was loaded, or taken out, or tried to be.
  var hasChanged = false
  /// What is loaded by now.
  var loaded = PerFamily<LockdownMachine.Side?>(ipv4: nil, ipv6: nil)
}

extension HostAgent {
  /// Old connections are looked through for so long at the most.
  static let cutLimit = Duration.seconds(5)

  package func obey(
    _ delivery: OrderDelivery, from connection: ManagementConnection
  ) throws(Refusal) -> Obeyed {
    let start = bootClock.now()
    let order = try verified(delivery)
    let judged = try judge(order)
    var run = LockRun()
    func begun(_ request: LockdownMachine.Request) throws(Refusal) -> LockAnswer {
      run.times.verify = Self.microseconds(bootClock.now() - start)
      return try perform(request, &run)
    }
    switch judged.verdict {
    case .lock(let entry):
      let (lock, layers) = try lock(with: entry, by: order, judged)
      let carried = try requireWayIn(layers, entry, judged.manifest?.sources ?? [])
      let before = lockMemory.layers
      lockMemory.layers = (order.digest, layers)
      var answer: LockAnswer
      do { answer = try begun(.lock(lock, voids: waiting?.drive.plan.id)) } catch {
        // Nothing of it is durable.
        lockMemory.layers = before
        throw error
      }
      answer.warnings += carried + stranded(connection, by: layers)
      return obeyed(order, answer, run)
    case .drill(let entry):
      let (_, layers) = try lock(with: entry, by: order, judged)
      let carried = try requireWayIn(layers, entry, judged.manifest?.sources ?? [])
      let warnings = try carried + drill(layers, entry) + uncuttable()
      run.times.verify = Self.microseconds(bootClock.now() - start)
      return Obeyed(
        epoch: order.terms.epoch, result: .drilled, lock: lockReport(), times: run.times,
        warnings: warnings + stranded(connection, by: layers))
    case .inForce:
      // Root lifted it.
      let isLifted = lockMemory.unrecordedLift != nil
      return obeyed(order, try begun(isLifted ? .hear(nil, .ended) : .repeated), run)
    case .ended: return obeyed(order, try begun(.hear(nil, .ended)), run)
    case .outOfScope: return obeyed(order, try begun(.hear(newlyHeard(order), .outOfScope)), run)
    case .nothingToLift:
      let stray = Result { () throws(Refusal) in try takeOutStray() }
      var answer = try begun(.hear(newlyHeard(order), .nothingToLift))
      switch stray {
      case .success(false): break
      case .success(true):
        answer.result = .lifted
        answer.warnings.append("chains of a lockdown that this host's journal does not know were taken out")
      case .failure(let refusal):
        answer.warnings.append(
          "whether a lockdown is left that the journal does not know is unknown: \(refusal.detail)")
      }
      do { try relockPlainFiles(nil) } catch {
        answer.warnings.append(
          cut("the plain files, which load without the agent, still lock: \(ErrorChain(error).message)"))
      }
      return obeyed(order, answer, run)
    case .lift:
      // Nothing may be opened onto a change that nobody confirmed.
      do { try takeBackWaiting(because: "an unlock order arrived") } catch {
        throw Refusal("take the change that waits back", error)
      }
      return obeyed(order, try begun(.lift(.order(order.terms.epoch), order.asHeard)), run)
    }
  }

  static func microseconds(_ duration: Duration) -> UInt32 { UInt32(clamping: Int64(duration / .microseconds(1))) }

  // MARK: - Verifying

  /// Trust is read from disk each time, as for bundles.
  private func verified(_ delivery: OrderDelivery) throws(Refusal) -> VerifiedOrder {
    let signers: AllowedSigners
    let thresholds: Thresholds
    let ledger: Ledger
    do {
      guard let journal else { throw Reason("the journal is not open") }
      ledger = journal.ledger
      (signers, thresholds) = try trustedSigners()
    } catch {
      throw Refusal("read whom this host trusts", error)
    }
    let kind: OrderKind =
      switch delivery.kind {
      case .lockdown: .lockdown
      case .unlock: .unlock
      }
    do throws(OrderProblem) {
      let order = try UnverifiedOrder(kind: kind, statement: delivery.statement, signatures: delivery.signatures)
      return try OrderVerifier(allowedSigners: signers, thresholds: thresholds, fleet: fleet)
        .verify(order, now: clock.now(), floor: ledger.epochFloor, inForce: ledger.lock?.order.order)
    } catch {
      throw Refusal(error)
    }
  }

  private func trustedSigners() throws -> (AllowedSigners, Thresholds) {
    guard try Self.identity(from: trust) == identity else {
      throw Reason("the host's identity changed while the agent was running; restart the agent")
    }
    let file = Self.allowedSignersFile
    guard let bytes = try trust.read(file, atMost: AllowedSigners.maximumSize) else {
      throw Reason("there is no file \(file); enroll the host again")
    }
    let signers = try AllowedSigners.parse(bytes, file: file)
    let thresholds = try trust.read(Thresholds.fileName, atMost: Thresholds.maximumSize).map(Thresholds.parse)
    return (signers, thresholds ?? .one)
  }

  private struct Judged {
    let verdict: OrderVerdict
    let committed: CommittedBundle?
    let manifest: Manifest?
  }

  private func judge(_ order: VerifiedOrder) throws(Refusal) -> Judged {
    let ledger = journal?.ledger ?? Ledger()
    let manifest = ledger.committed.flatMap(store.manifest(of:))
    // Without it nobody knows whether the order is for this host: that is no reason to stay locked for ever, but one not to
    // lock by an order for others. The one that it is locked by was for it.
    let isInForce = ledger.lock?.order.order == order.digest
    if case .lockdown = order.content, ledger.committed != nil, manifest == nil, !isInForce {
      throw Refusal(
        code: .profileMissing,
        detail: "the committed release's manifest is not the signed one, or cannot be read: apply the release again")
    }
    let judgement = OrderJudgement(
      host: host, committed: manifest,
      lock: ledger.lock?.inForce(at: bootClock.running(), bootID: facts.bootID))
    do throws(OrderProblem) {
      return Judged(verdict: try judgement.verdict(on: order), committed: ledger.committed, manifest: manifest)
    } catch {
      throw Refusal(error)
    }
  }

  /// Nil for one that says nothing new.
  private func newlyHeard(_ order: VerifiedOrder) -> EpochFloor? { order.isRepeat ? nil : order.asHeard }

  private func lock(
    with entry: ProfileEntry, by order: VerifiedOrder, _ judged: Judged
  ) throws(Refusal) -> (Lock, LockLayers) {
    guard case .lockdown(let lockdown) = order.content, let committed = judged.committed,
      let index = judged.manifest?.profiles.firstIndex(of: entry)
    else { throw Refusal(code: .internalError, detail: "a verdict without what it was made of") }
    do throws(FirewallProblem) { _ = try firewall.programs() } catch {
      throw Refusal(code: .cannotLock, detail: cut("this host's iptables programs cannot be used: \(error)"))
    }
    let profile: ProfileOnDisk
    do throws(OrderProblem) {
      profile = try profileOnDisk(entry, at: UInt8(index), of: committed.name)
    } catch {
      throw Refusal(error)
    }
    let layers = try layers(of: profile)
    try requireTightening(layers, entry)
    let lock = Lock(
      order: EpochFloor(epoch: order.terms.epoch, order: order.digest), profile: entry, bundle: committed.name,
      serial: committed.accepted.serial, index: UInt8(index), principals: order.principals,
      sources: judged.manifest?.sources ?? [], reason: order.terms.reason, since: clock.now(),
      time: lockdown.liftsAfter.map {
        LockTime(secondsLeft: $0, at: bootClock.running(), bootID: facts.bootID)
      })
    return (lock, layers)
  }

  /// A rank says which of two profiles shuts more, as its author sees it. What a chain drops in the lock in force it drops in
  /// the next one too, whatever their ranks.
  private func requireTightening(_ layers: LockLayers, _ entry: ProfileEntry) throws(Refusal) {
    guard let lock, lock.profile.files != entry.files else { return }
    let inForce: LockLayers
    do { inForce = try (try? orderedLayers(lock)) ?? builtInLayers() } catch {
      throw Refusal("read the lockdown in force", error)
    }
    for family in Family.allCases {
      guard let chain = inForce.layers[family].chainOpened(by: layers.layers[family]) else { continue }
      throw Refusal(
        code: .wouldLoosen,
        detail:
          "profile \(entry.name) lets \(chain) (\(family)) go on where \(lock.profile.name), by which this host is "
          + "locked, drops it: only an unlock order loosens")
    }
  }

  /// It was obeyed all the same: whoever sends it from elsewhere gets no further word from this host.
  private func stranded(_ connection: ManagementConnection, by layers: LockLayers) -> [String] {
    guard let ends = connection.ends, let source = AddressPrefix(ends.source),
      let destination = AddressPrefix(ends.destination)
    else { return [] }
    let flow = FlowTuple(
      source: source, sourcePort: ends.sourcePort, destination: destination, destinationPort: ends.destinationPort)
    guard !layers.patterns.contains(where: { $0.spares(flow, on: [destination]) }) else { return [] }
    return ["the order came from \(SafeText.escape(ends.source)), which the profile does not let in"]
  }

  /// Everything but locking: in a stack of its own.
  private func drill(_ layers: LockLayers, _ entry: ProfileEntry) throws(Refusal) -> [String] {
    let rehearsed: Rehearsed
    do throws(FirewallProblem) {
      rehearsed = try firewall.rehearse(
        Rehearsal(texts: layers.layers.map { _, layer in RestoreText(layer.first, keepsOthers: true) }))
    } catch {
      if case .noNamespace = error.kind { return ["not rehearsed: \(SafeText.escape(error.words))"] }
      throw Refusal(code: .cannotLock, detail: cut("profile \(entry.name) does not load here: \(error)"))
    }
    for family in Family.allCases {
      let difference: String?
      do {
        let printed = LockLayer.split(try parse(saved: rehearsed.saved[family], family)).layer
        difference = layers.layers[family].difference(printed)
      } catch {
        throw Refusal("read the rehearsed \(family) rules", error)
      }
      guard let difference else { continue }
      throw Refusal(
        code: .cannotLock,
        detail: cut("profile \(entry.name), \(family), does not load as it is written: \(difference)"))
    }
    return []
  }

  private func uncuttable() -> [String] {
    do throws(FirewallProblem) { try firewall.listFlows(within: Self.cutLimit) } catch {
      return [cut(SafeText.escape("old connections could not all be cut: \(error)"))]
    }
    return []
  }

  // MARK: - Answering

  private func obeyed(_ order: VerifiedOrder, _ answer: LockAnswer, _ run: LockRun) -> Obeyed {
    let result: Obeyed.Result =
      switch answer.result {
      case .locked: .locked
      case .locking: .locking
      case .repeated: .repeated
      case .lifted: .lifted
      case .nothingToLift: .nothingToLift
      case .outOfScope: .outOfScope
      case .ended, .kept: .ended
      }
    let isReadBack = result == .locked || result == .repeated
    let lock = isReadBack ? lockReport(hiddenDifferences()) : lockReport()
    return Obeyed(
      epoch: order.terms.epoch, result: result, lock: lock, flowsCut: UInt32(clamping: answer.flowsCut),
      times: run.times, warnings: answer.warnings.map { cut(SafeText.escape($0)) })
  }
}
