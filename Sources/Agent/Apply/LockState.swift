package import Core
internal import Ruleset
internal import Wire

// A lockdown beside everything else that is loaded and read.

/// What the agent remembers of its lock besides the journal.
struct LockMemory {
  /// Of the order with this digest.
  var layers: (order: Digest, layers: LockLayers)?
  /// As they were loaded of the built-in profile, which follows the release and sshd.
  var builtIn = PerFamily<LockLayer?>(ipv4: nil, ipv6: nil)
  /// What it was last made of.
  var sources: [String]?
  var doors: Set<UInt16> = []
  /// The kernel may not hold the layer as it should: it is tried again at that time.
  var retryAt: BootTime?
  /// It was loaded, or taken out, since it was last read back as it should be.
  var isUnread = false
  /// It was read back, and that is not in the journal yet.
  var unrecorded: HeldLayer?
  /// Somebody changed it: it is mended then.
  var mendAt: BootTime?
  /// So many times in a row, with less than `calm` between two, and when last.
  private var mends = 0
  private var lastMend: BootTime?
  /// Root took it out, and that could not be recorded: nothing loads it again until a new start.
  var unrecordedLift: LiftCause?
  /// Of the plain files, on a host whose journal cannot be read.
  var plain: PerFamily<LockLayer>?
  /// The plain files do not yet say what the journal does of the lock.
  var isPlainBehind = false
  /// They could not be written, and are tried again then.
  var plainRetryAt: BootTime?
  /// When it was last looked at by itself.
  var checkedAt: BootTime?
  /// In words, what only nf_tables itself tells of the layer.
  var kernel = PerFamily<String?>(ipv4: nil, ipv6: nil)

  /// When profiles that fail were tried last.
  var profilesTried: BootTime?

  static let pause = Duration.seconds(10)
  static let profilePause = Duration.seconds(3600)
  private static let calm = Duration.seconds(600)

  /// Of the host, not of the lock.
  var afterLift: LockMemory {
    var memory = LockMemory()
    memory.isPlainBehind = true
    memory.profilesTried = profilesTried
    memory.kernel = kernel
    return memory
  }

  /// At once the first time, and ever more seldom for who takes it out again and again: the agent must not spend its host's
  /// time on a fight, nor fill its journal with one.
  mutating func beginToMend(at now: BootTime) {
    guard mendAt == nil else { return }
    if let lastMend, now - lastMend >= Self.calm { mends = 0 }
    let pause = mends == 0 ? Duration.zero : min(Self.pause * (1 << min(mends - 1, 6)), Self.calm)
    let at = max(now, (lastMend ?? now) + pause)
    mends += 1
    lastMend = at
    mendAt = at
  }
}

extension HostAgent {
  var lock: Lock? { (try? ledger())?.lock }

  /// What the save program prints, the layer of a lockdown with it.
  func wholeRuleset(_ family: Family) throws -> Ruleset { try parse(saved: try firewall.save(family), family) }

  /// What the host would run without the lockdown that the journal knows. Layers that nobody ordered are somebody else's
  /// rules.
  func beneathLock(_ saved: Ruleset) -> Ruleset {
    lock == nil && lockMemory.plain == nil ? saved : LockLayer.split(saved).beneath
  }

  /// What a load of whole tables must not leave out.
  func layersInForce() -> PerFamily<LockLayer>? {
    guard lockMemory.unrecordedLift == nil else { return nil }
    guard let lock else { return lockMemory.plain }
    if lock.held?.isBuiltIn != true, let ordered = try? orderedLayers(lock) { return ordered.layers }
    return (try? builtInLayers())?.layers
  }

  // MARK: - Bringing it back

  /// At a start, before anything else is loaded: the kernel may hold anything. What does not load is tried again.
  func bringLock() {
    guard let lock else { return }
    if let time = lock.time, time.bootID != facts.bootID {
      let left = LockTime(secondsLeft: time.secondsLeft, at: bootClock.running(), bootID: facts.bootID)
      try? append(.lockTime(lock.epoch, left))
    }
    lockMemory.isPlainBehind = true
    var run = LockRun()
    _ = try? perform(.restart, &run)
  }

  /// Without the journal, by the plain files, which `portcullis-safe.service` would load if we could not.
  ///
  /// - Returns: in words, which families are locked by now; nil where there was none.
  func bringPlainLock() -> String? {
    guard let layers = plainLayers() else { return nil }
    lockMemory.plain = layers
    let locked = [Family.ipv6, .ipv4].filter { family in
      if isMended(layers[family]) { return true }
      guard let builtIn = try? builtInLayers().layers[family], isMended(builtIn) else { return false }
      lockMemory.plain?[family] = builtIn
      return true
    }
    return switch locked.count {
    case 0: "the lockdown in the plain files does not load"
    case 1: "of the lockdown in the plain files \(locked[0]) alone is loaded above it"
    default: "the lockdown in the plain files is loaded above it"
    }
  }

  private func isMended(_ layer: LockLayer) -> Bool {
    (1...LockdownMachine.maximumTries).contains { attempt in
      pause(before: attempt - 1)
      return (try? mend(layer)) != nil
    }
  }

  /// After something was loaded beneath. Nothing of ours displaces the layer; whoever else did is put right at once.
  ///
  /// - Returns: whether anything had to be loaded.
  @discardableResult func checkLock() -> Bool {
    guard journal?.ledger.lock != nil, lockMemory.unrecordedLift == nil else { return false }
    var run = LockRun()
    _ = try? perform(.check, &run)
    lockMemory.checkedAt = bootClock.now()
    return run.hasChanged
  }

  /// What a look at the rules found of it.
  func noteLook(_ differences: PerFamily<String?>) {
    guard lock != nil, lockMemory.retryAt == nil, lockMemory.unrecordedLift == nil else { return }
    // What other programs loaded nobody can tell from what somebody changed.
    let programs = try? firewall.programs().description
    let isOfOthers = programs != nil && lock?.held.map { $0.expectation.programs != programs } == true
    guard differences.ipv4 != nil || differences.ipv6 != nil || isOfOthers else { return }
    lockMemory.beginToMend(at: bootClock.now())
  }

  /// When `lockTick` has something to do though nothing happens; nil where nothing is locked, or nothing to be done.
  package var lockDue: BootTime? {
    guard journal != nil else { return nil }
    if lockMemory.isPlainBehind { return bootClock.now() }
    guard let lock else { return lockMemory.plainRetryAt }
    // What failed is no reason to try it more often.
    let times = [lockMemory.retryAt ?? lock.time.map(due), lockMemory.mendAt, lockMemory.plainRetryAt, checkDue]
    return times.compactMap(\.self).min()
  }

  private func due(_ time: LockTime) -> BootTime {
    let (now, running) = (bootClock.now(), bootClock.running())
    // Its end is put off until the change has one.
    if let waiting, time.secondsLeft(at: running, bootID: facts.bootID) == 0 { return waiting.deadline.time }
    guard time.bootID == facts.bootID else { return now }
    return now + (time.at + min(LockTime.step, .seconds(Int64(time.secondsLeft))) - running)
  }

  /// While a change waits nobody looks at all the rules, since whoever confirms it comes first; the layer is looked at all
  /// the same. And the built-in profile follows sshd, and who manages this host, before somebody is shut out.
  private var checkDue: BootTime? {
    guard waiting != nil || lock?.held?.isBuiltIn == true, lockMemory.unrecordedLift == nil else { return nil }
    return lockMemory.checkedAt.map { $0 + LockTime.step } ?? bootClock.now()
  }

  /// What the lock needs as time passes: another try of what did not load, a record of what is left, the lift at its end,
  /// the plain files.
  ///
  /// - Returns: whether the rules may be others now.
  @discardableResult package func lockTick() -> Bool {
    let now = bootClock.now()
    var mayMoveRules = false
    if let lock, lockMemory.retryAt.map({ $0 <= now }) ?? true {
      let failed = lockMemory.retryAt != nil
      lockMemory.retryAt = nil
      if let cause = lockMemory.unrecordedLift {
        recordLift(cause)
        mayMoveRules = true
      } else {
        if failed, checkLock() { mayMoveRules = true }
        if let time = lock.time, pass(time, of: lock) { mayMoveRules = true }
      }
    }
    if let checkDue, checkDue <= now {
      lockMemory.checkedAt = now
      if waiting != nil || isOutdated, checkLock() { mayMoveRules = true }
    }
    if let mendAt = lockMemory.mendAt, mendAt <= now {
      lockMemory.mendAt = nil
      if checkLock() { mayMoveRules = true }
    }
    if lockMemory.isPlainBehind || lockMemory.plainRetryAt.map({ $0 <= now }) == true { writePlainFiles() }
    return mayMoveRules
  }

  /// - Returns: whether it lifted itself, or tried to.
  private func pass(_ time: LockTime, of lock: Lock) -> Bool {
    let now = bootClock.running()
    let left = time.secondsLeft(at: now, bootID: facts.bootID)
    guard left > 0 else { return liftItself() }
    guard time.bootID != facts.bootID || now - time.at >= LockTime.step else { return false }
    // The part of a second that has passed already is not lost.
    let at = time.bootID == facts.bootID ? time.at + .seconds(Int64(time.secondsLeft - left)) : now
    do {
      try append(.lockTime(lock.epoch, LockTime(secondsLeft: left, at: at, bootID: facts.bootID)))
    } catch {
      lockMemory.retryAt = bootClock.now() + LockMemory.pause
    }
    return false
  }

  // MARK: - How it is

  /// In words, where the kernel does not hold the lock as it was loaded; for each family that was asked for.
  func lockDifferences(_ families: [Family]) -> PerFamily<String?> {
    var differences = PerFamily<String?>(ipv4: nil, ipv6: nil)
    guard let lock else { return differences }
    let side: LockdownMachine.Side = lock.held?.isBuiltIn == true ? .builtIn : .ordered
    for family in families {
      do {
        let layer = LockLayer.split(try layeredRuleset(family)).layer
        let wanted = try layers(of: side, lock)
        differences[family] =
          wanted.layers[family].difference(layer) ?? outdated(side, wanted, family)
          ?? difference(of: layer, family, from: lock.held)
          ?? lockMemory.kernel[family]
      } catch {
        differences[family] = cut(SafeText.escape("it cannot be read: \(ErrorChain(error).message)"))
      }
    }
    return differences
  }

  private var isOutdated: Bool {
    guard let wanted = try? builtInLayers() else { return false }
    return Family.allCases.contains { outdated(.builtIn, wanted, $0) != nil }
  }

  /// In words, where the built-in profile is another one by now than the one that was loaded.
  func outdated(_ side: LockdownMachine.Side, _ wanted: LockLayers, _ family: Family) -> String? {
    guard side == .builtIn, let loaded = lockMemory.builtIn[family], loaded != wanted.layers[family] else { return nil }
    return "it was loaded for other sources of management, or other ports of sshd"
  }

  /// Of a layer that has the right shape. Another version of the programs may print it in other words.
  private func difference(of layer: Ruleset, _ family: Family, from held: HeldLayer?) -> String? {
    guard let held else { return "it is not known yet to have been loaded" }
    guard (try? firewall.programs().description) == held.expectation.programs,
      layer.digest != held.expectation.digests[family]
    else { return nil }
    return "its rules are as many as were loaded, but not the same"
  }

  /// The same for the answer to an order, which is read back as the save program prints it: a table that is switched off is
  /// printed like any other. Where the last look found such a thing it is read again.
  func hiddenDifferences() -> PerFamily<String?> {
    guard lockMemory.kernel.ipv4 != nil || lockMemory.kernel.ipv6 != nil else { return lockMemory.kernel }
    let read = Result { () throws(FirewallProblem) in try firewall.nftables(sets: lastKnown.scope) }
    if case .success(let state) = read { noteKernel(state) }
    return lockMemory.kernel
  }

  /// Remembers what nf_tables alone tells of the layer, as it was read now.
  func noteKernel(_ state: NftablesState?) {
    lockMemory.kernel = PerFamily { family in
      state?.tables.first { $0.iptablesFamily == family && $0.name == LockLayer.table }?.lockProblem
    }
  }

  /// What is not the lockdown's of what nf_tables holds.
  func beneathLock(_ state: NftablesState) -> NftablesState {
    guard lock != nil else { return state }
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
