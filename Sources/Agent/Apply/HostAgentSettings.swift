internal import Core
internal import Release
internal import Ruleset
internal import Wire

// Kernel settings beside the rules (docs/adr/0010-settings-go-back.md). What a setting was before we first touched it is
// on disk before it is touched; what any side of a change means follows from that and from what the side asks for, so
// whoever goes on after a crash writes the same values.

extension HostAgent {
  static let originalsFile = "sysctl-found"
  /// The boot in which the daemon last put settings in order by itself.
  static let settledBootFile = "settings-boot"

  /// One line that cannot be read must not keep the others from going back.
  func foundSettings() -> FoundSettings {
    do {
      // A fault may pass.
      let read = { try self.state.read(Self.originalsFile, atMost: SysctlFile.maximumFound) }
      guard let text = try (try? read()) ?? read() else { return lostSettings() }
      let (file, problem) = SysctlFile.salvage(found: text)
      return FoundSettings(file: file, problem: problem.map { "\(Self.originalsFile): \($0.description)" })
    } catch {
      return FoundSettings(problem: "\(ErrorChain(error).message)")
    }
  }

  /// No release with settings is committed without the file, be it empty: where it is gone, somebody or something took it.
  private func lostSettings() -> FoundSettings {
    guard let ledger = try? ledger(), let lost = committedBeside(ledger)?.settings, !lost.isEmpty else {
      return FoundSettings()
    }
    let keys = lost.values.keys.sorted().prefix(5).map(\.description).joined(separator: ", ")
    return FoundSettings(
      problem: "\(Self.originalsFile) is gone, so nobody knows what was before: \(keys)"
        + (lost.values.count > 5 ? " and others" : ""), lost: lost)
  }

  /// Once nothing asks for these settings any more, only the file says that they never went back: as a damaged one does.
  func noteLost(_ found: FoundSettings) throws(Refusal) {
    guard !found.lost.isEmpty else { return }
    let lines = found.lost.values.keys.sorted().map { "\($0) = lost\n" }
    do { try state.replace(Self.originalsFile, in: ".", with: lines.flatMap { Array($0.utf8) }) } catch {
      throw Refusal("note which kernel settings cannot go back", error)
    }
  }

  private func write(originals: SysctlFile) throws {
    try state.replace(Self.originalsFile, in: ".", with: originals.encode())
  }

  /// Says why this host cannot have these settings, while nothing is changed, and notes what they, and what the kernel
  /// is about to change along with them, are now.
  ///
  /// - Returns: everything that was found before we touched it.
  func requireSettable(_ wanted: SysctlFile, _ originals: FoundSettings) throws(Refusal) -> FoundSettings {
    guard !wanted.isEmpty else { return originals }
    if let problem = originals.problem {
      // Writing it anew would make our own values those that are gone back to.
      throw Refusal("read what the kernel settings were before (\(Self.originalsFile))", Reason(problem))
    }
    var found = originals.file.values
    for key in wanted.values.keys.sorted() {
      do {
        guard let value = try settings.read(key) else { throw Reason("this host has no such setting") }
        try settings.requireWritable(key)
        if found[key] == nil { found[key] = try valueBeforeSwitch(key, originals.file) ?? value }
      } catch {
        throw Refusal(
          code: .settingRefused, detail: cut(SafeText.escape("the release sets \(key): \(ErrorChain(error).message)")))
      }
    }
    do {
      // Once their switch has left what it was, they are the kernel's doing.
      let turned = try wanted.values.filter { key, value in
        try (key.isForwardingSwitch || key.isDefault) && found[key] != value && found[key] == settings.read(key)
      }
      let interfaces = turned.isEmpty ? [] : try settings.interfaces()
      for key in turned.keys.flatMap({ $0.companions(interfaces: interfaces) }) where found[key] == nil {
        if let value = try settings.read(key) { found[key] = value }
      }
      // An interface that has the value already does not have it from us.
      for (key, value) in turned {
        for heir in key.heirs(interfaces: interfaces) where found[heir] == nil {
          if try settings.read(heir) == value { found[heir] = value }
        }
      }
      let all = SysctlFile(found: found)
      try Self.requireReadable(all)
      if all != originals.file { try write(originals: all) }
      return FoundSettings(file: all)
    } catch {
      throw Refusal("keep the kernel settings as they are now, to go back to", error)
    }
  }

  /// What is too large to be read back would be lost.
  private static func requireReadable(_ found: SysctlFile) throws(Refusal) {
    let size = found.encode().count
    guard size > SysctlFile.maximumFound else { return }
    throw Refusal(
      code: .settingRefused,
      detail: "what \(found.values.count) kernel settings are now takes \(size) bytes, more than the "
        + "\(SysctlFile.maximumFound) that can be kept; this host has too many interfaces for a setting of all of them")
  }

  /// Of a setting that the kernel set along with a switch of ours; nil for all others.
  private func valueBeforeSwitch(_ key: SysctlKey, _ originals: SysctlFile) throws -> Int? {
    for (other, value) in originals.values where key.isCompanion(of: other) {
      if try settings.read(other) != value { return key.value(underSwitch: value) }
    }
    return nil
  }

  /// Which settings of a side are to be written.
  enum SettingsPart {
    /// Before its rules are loaded: what must not be missing while one side's rules are in place of the other's.
    case tightening
    case all
  }

  /// Makes the kernel's settings those of one side. What cannot be written must not keep a host from its rules, and shows
  /// in its reports.
  func converge(_ part: SettingsPart, _ wanted: SysctlFile?, _ originals: FoundSettings) {
    try? requireConverging(part, wanted, originals)
  }

  /// The same; throws the first failure when all that can be written is. What is right already is not written.
  ///
  /// - Parameter wanted: nil leaves them as they are.
  func requireConverging(_ part: SettingsPart, _ wanted: SysctlFile?, _ originals: FoundSettings) throws {
    guard let wanted else { return }
    let plan = SettingsPlan(wanted, originals: originals.file)
    var first: (any Error)?
    for (key, value) in part == .all ? plan.values : plan.tightening {
      do {
        // An interface that is gone has no settings to put right.
        guard let current = try settings.read(key), current != value else { continue }
        // Where a release asks for what was found, it may be somebody else's that it ends.
        if key.isDefault, originals.file.values[key] == value, wanted.values[key] == nil || isCommitted(key, current) {
          try putBackHeirs(of: key, current, value, except: plan)
        }
        try settings.write(key, value)
      } catch {
        first = first ?? error
      }
    }
    if let first { throw first }
  }

  private func isCommitted(_ key: SysctlKey, _ value: Int) -> Bool {
    (try? ledger()).flatMap { committedBeside($0) }?.settings.values[key] == value
  }

  /// Interfaces that came while a `default` of ours was in force brought its value along. They go back before it does: as
  /// long as it is there, it tells which they are, whatever fails or crashes between.
  private func putBackHeirs(of key: SysctlKey, _ current: Int, _ value: Int, except plan: SettingsPlan) throws {
    let known = Set(plan.values.map(\.key))
    var first: (any Error)?
    for heir in key.heirs(interfaces: try settings.interfaces()) where !known.contains(heir) {
      do {
        if try settings.read(heir) == current { try settings.write(heir, value) }
      } catch {
        first = first ?? error
      }
    }
    if let first { throw first }
  }

  /// Throws with words when a setting is not what it should be.
  func requireConverged(_ wanted: SysctlFile?, _ originals: FoundSettings) throws {
    guard let wanted else { return }
    for (key, value) in SettingsPlan(wanted, originals: originals.file).values {
      guard let current = try settings.read(key) else { continue }
      guard current == value else { throw Reason("\(key) is \(current), not \(value), after it was written") }
    }
  }

  /// Interfaces may come after the rules were loaded at boot, and bring settings of their own: udev has systemd-sysctl write
  /// them. So the daemon puts settings in order when it starts, once a boot; what changes later somebody changed, which is
  /// drift. While the kernel does not hold the rules, a gateway would forward for everybody: then nothing is loosened, and
  /// the next start tries again.
  func settleSettings() {
    let boot = Array(facts.bootID.utf8)
    guard let ledger = journal?.ledger, ledger.open == nil,
      (try? state.read(Self.settledBootFile, atMost: boot.count)) != boot,
      let known = Self.twice({ try oldRules(ledger) })
    else { return }
    let targets = targets(new: nil, old: known, ledger: ledger)
    let safe = ledger.safePolicyIsWhole ? targets.wholeSafe : targets.safe
    guard let target = ledger.degraded == nil ? targets.old : safe else { return }
    do { try requireLoadedAfterUpgrade(target) } catch {
      return converge(.tightening, target.settings, targets.originals)
    }
    converge(.all, target.settings, targets.originals)
    try? state.replace(Self.settledBootFile, in: ".", with: boot)
  }

  /// A setting that the host answers for.
  struct AnsweredSetting {
    let key: SysctlKey
    let desired: Int
    /// Nil when there is no such setting, or it cannot be read.
    let observed: Int?
  }

  /// What the host answers for under these settings: first those that are asked for, then those that are still to go back,
  /// and what the kernel set along with a switch where it is not so any more.
  func answeredFor(_ wanted: SysctlFile) -> [AnsweredSetting] {
    var asked: [AnsweredSetting] = []
    var others: [AnsweredSetting] = []
    for (key, desired) in SettingsPlan(wanted, originals: foundSettings().file).values {
      let read = Result { try settings.read(key) }
      let answered = AnsweredSetting(key: key, desired: desired, observed: (try? read.get()) ?? nil)
      guard wanted.values[key] == nil else {
        asked.append(answered)
        continue
      }
      // An interface that is gone has nothing to go back to.
      if case .success(nil) = read { continue }
      let isAlong = wanted.values.keys.contains { key.isCompanion(of: $0) || key.isHeir(of: $0) }
      if !isAlong || answered.observed != desired { others.append(answered) }
    }
    return asked + others
  }

  func differences(of wanted: SysctlFile) -> [SettingDifference] {
    answeredFor(wanted).filter { $0.observed != $0.desired }.map {
      SettingDifference(key: $0.key, desired: $0.desired, observed: $0.observed)
    }
  }

  /// After an end: what is back where it was, and not asked for any more, is the host's own again.
  func forgetOriginals(neededBy committed: SysctlFile) {
    let found = foundSettings()
    guard found.problem == nil, !found.file.isEmpty else { return }
    let originals = found.file.values
    // What cannot be read may still have to go back; what is gone has nothing to go back to.
    func isBack(_ key: SysctlKey) -> Bool {
      do { return try settings.read(key).map { $0 == originals[key] } ?? true } catch { return false }
    }
    let needed = Set(originals.keys.filter { committed.values[$0] != nil || !isBack($0) })
    // A switch that is still to go back sets the others once more when it does.
    let flipped = needed.filter { key in
      key.isForwardingSwitch && (committed.values[key].map { $0 != originals[key] } ?? false || !isBack(key))
    }
    let defaults = needed.filter(\.isDefault)
    let rest = SysctlFile(
      found: originals.filter { key, _ in
        needed.contains(key) || flipped.contains { key.isCompanion(of: $0) }
          || defaults.contains { key.isHeir(of: $0) }
      })
    guard rest != found.file else { return }
    guard rest.isEmpty, committed.isEmpty else { return (try? write(originals: rest)) ?? () }
    try? state.remove(Self.originalsFile)
    try? state.sync(".")
  }
}
