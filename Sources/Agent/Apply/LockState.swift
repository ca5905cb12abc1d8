package import Core
internal import Ruleset
internal import Wire

// A lockdown beside everything else that is loaded and read.

/// What the agent remembers of its lock besides the journal.
struct LockMemory {
  /// Of the order with this digest.
  var layers: (order: Digest, layers: LockLayers)?
  /// The kernel may not hold the layer as it should: it is tried again at that time.
  var retryAt: BootTime?
  /// The plain files do not yet say what the journal does of the lock.
  var isPlainBehind = false
  /// In words, what only nf_tables itself tells of the layer.
  var kernel = PerFamily<String?>(ipv4: nil, ipv6: nil)

  /// When profiles that fail were tried last.
  var profilesTried: BootTime?

  static let pause = Duration.seconds(10)
  static let profilePause = Duration.seconds(3600)
}

extension HostAgent {
  var lock: Lock? { (try? ledger())?.lock }

  /// What the save program prints, the layer of a lockdown with it.
  func wholeRuleset(_ family: Family) throws -> Ruleset { try parse(saved: try firewall.save(family), family) }

  /// The table of the layer, which costs less to read than all of them.
  func lockTable(_ family: Family) throws -> Ruleset {
    // A kernel that has no such table may refuse; then it is not among all of them either.
    guard let text = try? firewall.save(family, table: LockLayer.table) else { return try wholeRuleset(family) }
    return try parse(saved: text, family)
  }

  /// What the host would run without the lockdown that the journal knows. Layers that nobody ordered are somebody else's
  /// rules.
  func beneathLock(_ saved: Ruleset) -> Ruleset { lock == nil ? saved : LockLayer.split(saved).beneath }

  /// What a load of whole tables must not leave out.
  func layersInForce() -> PerFamily<LockLayer>? {
    guard let lock else { return nil }
    if lock.held?.isBuiltIn != true, let ordered = try? orderedLayers(lock) { return ordered.layers }
    return (try? builtInLayers())?.layers
  }

  // MARK: - Bringing it back

  /// At a start, before anything else is loaded: the kernel may hold anything. What does not load is tried again.
  func bringLock() {
    guard let lock else { return }
    if let time = lock.time, time.bootID != facts.bootID {
      let left = LockTime(secondsLeft: time.secondsLeft, at: bootClock.now(), bootID: facts.bootID)
      try? append(.lockTime(lock.epoch, left))
    }
    lockMemory.isPlainBehind = true
    var run = LockRun()
    _ = try? perform(.restart, &run)
  }

  /// After something was loaded beneath. Nothing of ours displaces the layer; whoever else did is put right at once.
  func checkLock() {
    guard journal?.ledger.lock != nil else { return }
    var run = LockRun()
    _ = try? perform(.check, &run)
  }

  /// When `lockTick` has something to do though nothing happens; nil where nothing is locked, or nothing to be done.
  package var lockDue: BootTime? {
    guard journal != nil else { return nil }
    if lockMemory.isPlainBehind { return bootClock.now() }
    guard let lock else { return nil }
    let time = lock.time.map { time in
      time.bootID == facts.bootID
        ? time.at + min(LockTime.step, .seconds(Int64(time.secondsLeft))) : bootClock.now()
    }
    guard let retryAt = lockMemory.retryAt else { return time }
    // What failed is no reason to try it more often.
    return retryAt
  }

  /// What the lock needs as time passes: another try of what did not load, a record of what is left, the lift at its end,
  /// the plain files.
  package func lockTick() {
    let now = bootClock.now()
    if let lock, lockMemory.retryAt.map({ $0 <= now }) ?? true {
      let failed = lockMemory.retryAt != nil
      lockMemory.retryAt = nil
      if failed { checkLock() }
      if let time = lock.time { pass(time, of: lock, now) }
    }
    if lockMemory.isPlainBehind { writePlainFiles() }
  }

  private func pass(_ time: LockTime, of lock: Lock, _ now: BootTime) {
    let left = time.secondsLeft(at: now, bootID: facts.bootID)
    guard left > 0 else { return liftItself() }
    guard time.bootID != facts.bootID || now - time.at >= LockTime.step else { return }
    // The part of a second that has passed already is not lost.
    let at = time.bootID == facts.bootID ? time.at + .seconds(Int64(time.secondsLeft - left)) : now
    do {
      try append(.lockTime(lock.epoch, LockTime(secondsLeft: left, at: at, bootID: facts.bootID)))
    } catch {
      lockMemory.retryAt = now + LockMemory.pause
    }
  }

  // MARK: - How it is

  /// In words, where the kernel does not hold the lock as it was loaded; for each family that was asked for.
  func lockDifferences(_ families: [Family]) -> PerFamily<String?> {
    var differences = PerFamily<String?>(ipv4: nil, ipv6: nil)
    guard let lock else { return differences }
    let side: LockdownMachine.Side = lock.held?.isBuiltIn == true ? .builtIn : .ordered
    for family in families {
      do {
        let layer = LockLayer.split(try lockTable(family)).layer
        let wanted = try layers(of: side, lock)
        differences[family] =
          wanted.layers[family].difference(layer) ?? difference(of: layer, family, from: lock.held)
          ?? lockMemory.kernel[family]
      } catch {
        differences[family] = cut(SafeText.escape("it cannot be read: \(ErrorChain(error).message)"))
      }
    }
    return differences
  }

  /// Of a layer that has the right shape. Another version of the programs may print it in other words.
  private func difference(of layer: Ruleset, _ family: Family, from held: HeldLayer?) -> String? {
    guard let held else { return "it is not known yet to have been loaded" }
    guard (try? firewall.programs().description) == held.expectation.programs,
      layer.digest != held.expectation.digests[family]
    else { return nil }
    return "its rules are as many as were loaded, but not the same"
  }

  /// What is not the lockdown's of what nf_tables holds; and what it alone tells of the layer is remembered.
  func beneathLock(_ state: NftablesState) -> NftablesState {
    guard lock != nil else { return state }
    lockMemory.kernel = PerFamily { family in
      state.tables.first { $0.iptablesFamily == family && $0.name == LockLayer.table }?.lockProblem
    }
    var beneath = state
    for index in beneath.tables.indices where beneath.tables[index].isUnderLock {
      beneath.tables[index].chains.removeAll { LockLayer.isOfLayer($0.name) || LockLayer.hooked.contains($0.name) }
    }
    return beneath
  }
}

extension NftablesTable {
  fileprivate var isUnderLock: Bool { iptablesFamily != nil && name == LockLayer.table }

  fileprivate var lockProblem: String? {
    if isDormant { return "table mangle is switched off (dormant): no packet passes through it" }
    for chain in chains {
      if LockLayer.isOfLayer(chain.name), chain.notable.contains(where: \.isNative) {
        return "chain \(chain.name) has a rule with words that iptables-save does not print"
      }
      guard LockLayer.hooked.contains(chain.name) else { continue }
      if let words = KernelHooks.displacement(of: chain, in: name) { return "\(chain.name): \(words)" }
      if chain.notable.contains(where: { $0.isNative && $0.mayPass }) {
        return "chain \(chain.name) lets packets pass in words that iptables-save does not print"
      }
    }
    return nil
  }
}
