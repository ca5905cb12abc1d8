internal import Core
internal import Release
internal import Wire

// The end of a lockdown that nobody sent an order for, and what is said of it.

extension HostAgent {
  /// Never onto a change that nobody confirmed yet.
  ///
  /// - Returns: whether it was tried.
  func liftItself() -> Bool {
    guard waiting == nil else { return false }
    do {
      try takeBackWaiting(because: "the lockdown's time is over")
      var run = LockRun()
      _ = try perform(.lift(.itself, nil), &run)
    } catch {
      lockMemory.retryAt = bootClock.now() + LockMemory.pause
    }
    return true
  }

  /// Root can always lift: what cannot be recorded, or what no journal knows, is taken out all the same.
  func liftAtConsole(_ order: LocalOrder) throws(Refusal) -> String {
    guard let lock else { return try liftUnknown() }
    let cause = LiftCause.console(cut(SafeText.escape(order.reason)))
    let words = "the lockdown of order \(lock.epoch) (\(lock.profile.name)) is lifted"
    var run = LockRun()
    do throws(Refusal) {
      _ = try perform(.lift(cause, nil), &run)
    } catch {
      guard (try? takeOutOwn()) != nil else {
        checkLock()
        throw error
      }
      lockMemory.unrecordedLift = cause
      lockMemory.retryAt = bootClock.now() + LockMemory.pause
      return
        "\(words), but that could not be recorded (\(SafeText.escape(error.detail))): as long as it is not, the next start "
        + "of the agent, or of the host, locks it again"
    }
    if lockMemory.isPlainBehind { writePlainFiles() }
    return words
  }

  private func liftUnknown() throws(Refusal) -> String {
    let isFound = try takeOutStray()
    let isPlain: Bool
    do { isPlain = try relockPlainFiles(nil) } catch {
      throw Refusal("take the lockdown out of the plain files", error)
    }
    return isFound || isPlain
      ? "chains of a lockdown that the journal does not know are taken out"
      : "this host is not locked down: there is nothing to lift"
  }

  /// Of a lift at the console: once there is room for it, or else it is taken out again should trying have loaded it.
  func recordLift(_ cause: LiftCause) {
    var run = LockRun()
    guard (try? perform(.lift(cause, nil), &run)) == nil else { return }
    _ = try? takeOutOwn()
    lockMemory.retryAt = bootClock.now() + LockMemory.pause
  }

  /// Chains of a lock that the journal does not know. Their names are ours alone, so nobody else can want them.
  ///
  /// - Returns: whether there were any.
  func takeOutStray() throws(Refusal) -> Bool {
    do { return try takeOutAll() } catch { throw Refusal("take out the chains of a lockdown", error) }
  }

  /// Where not everything can be taken out: root gets what the host's own programs can open.
  private func takeOutOwn() throws {
    for family in [Family.ipv6, .ipv4] {
      try takeOutOfOwnBackend(family)
      try requireGone(family)
    }
  }

  private func takeOutAll() throws -> Bool {
    var isFound = false
    for family in [Family.ipv6, .ipv4] {
      if try takeOut(family) { isFound = true }
      try requireGone(family)
    }
    return isFound
  }

  /// Nobody would be left to lift it.
  package func requireUnlocked() throws {
    guard let lock else { return }
    throw Failure(
      "remove the agent",
      because: Reason("the host is locked down by order \(lock.epoch) (\(SafeText.escape(lock.reason)))"),
      hint: "lift it first: portcullis lockdown lift on the controller, or \(EnrolledFiles.agentCommand) lift --local "
        + "--reason TEXT",
      kind: .refused)
  }

  // MARK: - Reporting

  /// - Parameter differences: where somebody looked.
  func lockReport(
    _ differences: PerFamily<String?> = PerFamily(ipv4: nil, ipv6: nil)
  ) -> LockReport? {
    guard let lock else { return nil }
    let phase: LockReport.Phase =
      switch lock.held?.isBuiltIn {
      case nil: .locking
      case false?: .locked
      case true?: .fallback
      }
    return LockReport(
      epoch: lock.epoch, order: lock.order.order, profile: lock.profile.name, rank: lock.profile.rank,
      principals: lock.principals, reason: lock.reason, phase: phase, since: lock.since,
      secondsLeft: lock.time?.secondsLeft(at: bootClock.running(), bootID: facts.bootID), serial: lock.serial,
      differences: differences, uncut: uncut(lock))
  }

  /// Why old connections may live on; nil where it does not matter that they were not cut.
  private func uncut(_ lock: Lock) -> String? {
    guard let held = lock.held, let why = lockMemory.unrecorded?.uncut ?? held.uncut else { return nil }
    let layers = try? layers(of: held.isBuiltIn ? .builtIn : .ordered, lock)
    return layers?.endsOldFlows == true ? nil : cut(SafeText.escape(why))
  }

  func lockdownReport(_ ledger: Ledger, _ differences: PerFamily<String?>) -> LockdownReport {
    let profiles = ledger.committed.flatMap(store.manifest(of:))?.profiles ?? []
    return LockdownReport(
      lock: lockReport(differences), heard: ledger.epochFloor?.epoch ?? .none,
      profiles: profiles.enumerated().map { index, entry in
        LockdownReport.Profile(name: entry.name, rank: entry.rank, problem: problem(of: entry, at: index, ledger))
      },
      lastLift: ledger.lastLift.map { lift in
        let cause: LiftReport.Cause =
          switch lift.cause {
          case .order(let epoch): .order(epoch)
          case .itself: .itself
          case .console(let reason): .console(reason)
          }
        return LiftReport(epoch: lift.epoch, cause: cause, at: lift.at)
      })
  }

  /// Why an order could not lock with it.
  private func problem(of entry: ProfileEntry, at index: Int, _ ledger: Ledger) -> String? {
    guard let committed = ledger.committed else { return nil }
    do {
      _ = try layers(of: try profileOnDisk(entry, at: UInt8(index), of: committed.name))
      guard case .fails(let why)? = store.rehearsedProfiles(of: committed.name)?.entry(for: entry)?.end else {
        return nil
      }
      return why
    } catch {
      return cut(SafeText.escape((error as? Refusal)?.detail ?? "\(error)"))
    }
  }
}
