internal import Core
internal import Release
internal import Ruleset
internal import Wire

// Kernel settings beside the rules (docs/adr/0010-settings-go-back.md). What a setting was before we first touched it is
// on disk before it is touched; what any side of a change means follows from that and from what the side asks for, so
// whoever goes on after a crash writes the same values.

extension HostAgent {
  static let originalsFile = "sysctl-found"
  func readOriginals() throws -> SysctlFile {
    guard let text = try state.read(Self.originalsFile, atMost: SysctlFile.maximumFound) else { return .empty }
    return try SysctlFile.parse(found: text)
  }

  private func write(originals: SysctlFile) throws {
    guard !originals.isEmpty else {
      try state.remove(Self.originalsFile)
      return try state.sync(".")
    }
    try state.replace(Self.originalsFile, in: ".", with: originals.encode())
  }

  /// Says why this host cannot have these settings, while nothing is changed, and notes what they, and what the kernel
  /// changes along with them, are now.
  ///
  /// - Returns: everything that was found before we touched it.
  func requireSettable(_ wanted: SysctlFile, _ originals: SysctlFile) throws(Refusal) -> SysctlFile {
    guard !wanted.isEmpty else { return originals }
    do { _ = try readOriginals() } catch {
      // Writing it anew would make our own values those that are gone back to.
      throw Refusal("read what the kernel settings were before (\(Self.originalsFile))", error)
    }
    var found = originals.values
    for key in wanted.values.keys.sorted() {
      do {
        guard let value = try settings.read(key) else { throw Reason("this host has no such setting") }
        try settings.requireWritable(key)
        // What the kernel set along with a switch of ours was as the switch was.
        let held = originals.values.first { key.isCompanion(of: $0.key) }
        if found[key] == nil { found[key] = held?.value ?? value }
      } catch {
        throw Refusal(
          code: .settingRefused, detail: cut(SafeText.escape("the release sets \(key): \(ErrorChain(error).message)")))
      }
    }
    do {
      // Later ones are the kernel's doing, under our switch.
      let switches = wanted.values.keys.filter { $0.isForwardingSwitch && originals.values[$0] == nil }
      let interfaces = switches.isEmpty ? [] : try settings.interfaces()
      for key in switches.flatMap({ $0.companions(interfaces: interfaces) }) where found[key] == nil {
        if let value = try settings.read(key) { found[key] = value }
      }
      let all = SysctlFile(found: found)
      if all != originals { try write(originals: all) }
      return all
    } catch {
      throw Refusal("keep the kernel settings as they are now, to go back to", error)
    }
  }

  /// Makes the kernel's settings those of one side. What cannot be written must not keep a host from its rules, and shows
  /// in its reports.
  func converge(_ wanted: SysctlFile?, _ originals: SysctlFile) { try? requireConverging(wanted, originals) }

  /// The same; throws the first failure when all that can be written is.
  ///
  /// - Parameter wanted: nil leaves them as they are.
  func requireConverging(_ wanted: SysctlFile?, _ originals: SysctlFile) throws {
    guard let wanted else { return }
    var first: (any Error)?
    for (key, value) in SettingsPlan(wanted, originals: originals).values {
      do {
        // An interface that is gone has no settings to put right.
        guard let current = try settings.read(key) else { continue }
        if current != value { try settings.write(key, value) }
      } catch {
        first = first ?? error
      }
    }
    if let first { throw first }
  }

  /// Throws with words when a setting is not what it should be.
  func requireConverged(_ wanted: SysctlFile?, _ originals: SysctlFile) throws {
    guard let wanted else { return }
    for (key, value) in SettingsPlan(wanted, originals: originals).values {
      guard let current = try settings.read(key) else { continue }
      guard current == value else { throw Reason("\(key) is \(current), not \(value), after it was written") }
    }
  }

  /// What the host answers for under these settings: those that are asked for, and those that are still to go back. What
  /// the kernel set along with a switch is the host's to change.
  func answeredFor(_ wanted: SysctlFile) -> [(key: SysctlKey, value: Int)] {
    SettingsPlan(wanted, originals: (try? readOriginals()) ?? .empty).values.filter { key, _ in
      wanted.values[key] != nil || !wanted.values.keys.contains { key.isCompanion(of: $0) }
    }
  }

  func differences(of wanted: SysctlFile) -> [SettingDifference] {
    answeredFor(wanted).compactMap { key, value in
      let observed = (try? settings.read(key)) ?? nil
      return observed == value ? nil : SettingDifference(key: key, desired: value, observed: observed)
    }
  }

  /// After an end: what is back where it was, and not asked for any more, is the host's own again.
  func forgetOriginals(neededBy committed: SysctlFile) {
    guard let originals = try? readOriginals(), !originals.isEmpty else { return }
    let needed = originals.values.filter { key, value in
      if committed.values[key] != nil { return true }
      // What cannot be read may still have to go back; what is gone has nothing to go back to.
      do { return try settings.read(key).map { $0 != value } ?? false } catch { return true }
    }
    // A switch that is still to go back sets the others once more when it does.
    let rest = SysctlFile(
      found: originals.values.filter { key, _ in
        needed[key] != nil || needed.keys.contains { key.isCompanion(of: $0) }
      })
    if rest != originals { try? write(originals: rest) }
  }
}
