internal import Core
internal import Release
internal import Wire

// The end of a lockdown that nobody sent an order for, and what is said of it.

extension HostAgent {
  func liftItself() {
    var run = LockRun()
    guard (try? perform(.lift(.itself, nil), &run)) == nil else { return }
    lockMemory.retryAt = bootClock.now() + LockMemory.pause
  }

  func liftAtConsole(_ order: LocalOrder) throws(Refusal) -> String {
    guard let lock else { return "this host is not locked down: there is nothing to lift" }
    var run = LockRun()
    _ = try perform(.lift(.console(cut(SafeText.escape(order.reason))), nil), &run)
    return "the lockdown of order \(lock.epoch) (\(lock.profile.name)) is lifted"
  }

  /// Nobody would be left to lift it.
  package func requireUnlocked() throws {
    guard let lock else { return }
    throw Failure(
      "remove the agent",
      because: Reason("the host is locked down by order \(lock.epoch) (\(SafeText.escape(lock.reason)))"),
      hint: "lift it first: portcullis lockdown lift on the controller, or portcullis-agent lift --local --reason TEXT",
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
      secondsLeft: lock.time?.secondsLeft(at: bootClock.now(), bootID: facts.bootID), serial: lock.serial,
      differences: differences)
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
