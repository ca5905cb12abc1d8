internal import Core
internal import Ruleset
internal import Wire

// Table mangle with rules in it that only nft can show: the save programs print nothing of it and call that a success, so an
// empty print must not pass for an open host, nor for one whose chains are missing.

extension HostAgent {
  /// More than that many calls of one chain nobody's retries leave.
  private static let maximumHooks = 100

  /// The table of the layer, which costs less to read than all of them. Nil where nothing is printed of it, whatever is in
  /// it.
  private func printedRuleset(_ family: Family) throws -> Ruleset? {
    // A kernel that has no such table may refuse; then it is not among all of them either.
    let saved = try (try? firewall.save(family, table: LockLayer.table)) ?? firewall.save(family)
    guard !Self.unspeakableTables(saved).contains(LockLayer.table) else { return nil }
    return try parse(saved: saved, family)
  }

  /// What the save program prints, for whoever judges the layer by it.
  func layeredRuleset(_ family: Family) throws -> Ruleset {
    guard let saved = try printedRuleset(family) else { throw Self.hidden(family) }
    return saved
  }

  private static func hidden(_ family: Family) -> Reason {
    Reason(
      "table \(LockLayer.table) of \(family) holds rules that only nft can show, so the lockdown in it cannot be read; "
        + "find them with 'nft list ruleset', and move them to a table of another name")
  }

  /// That the lock cannot be read in one family is no reason to load something else in the place of what was ordered and
  /// has just been loaded. Where that did not load, the built-in profile is, read or not.
  ///
  /// - Parameter loaded: by this run.
  func requireReplaceable(_ family: Family, _ loaded: PerFamily<LockdownMachine.Side?>) throws {
    guard loaded[family] == .ordered else { return }
    for family in Family.allCases { _ = try layeredRuleset(family) }
  }

  /// Chains and hooks as they should be, whatever there was.
  func mend(_ layer: LockLayer) throws {
    let family = layer.family
    if let saved = try printedRuleset(family) { return try loadOfLayer(layer.mend(saved) ?? layer.refill, family) }
    try loadOfLayer(layer.refill, family)
    for builtIn in LockLayer.hooked {
      if try !change(LockLayer.hookingAgain(builtIn), family) { try loadOfLayer(LockLayer.hooking(builtIn), family) }
    }
  }

  /// False when there was nothing of it.
  @discardableResult func takeOut(_ family: Family) throws -> Bool {
    let own = try takeOutOfOwnBackend(family)
    return try takeOutOfOtherBackend(family) || own
  }

  /// Of what the host's own programs print.
  @discardableResult func takeOutOfOwnBackend(_ family: Family) throws -> Bool {
    if let saved = try printedRuleset(family) {
      guard let text = LockLayer.removal(saved) else { return false }
      try loadOfLayer(text, family)
      return true
    }
    var found = false
    for builtIn in LockLayer.hooked {
      for _ in 0..<Self.maximumHooks {
        guard try change(LockLayer.unhooking(builtIn), family) else { break }
        found = true
      }
      guard try change(LockLayer.emptying(builtIn), family) else { continue }
      found = true
      // A rule that calls it may keep it alive, empty.
      _ = try change(LockLayer.deleting(builtIn), family)
    }
    return found
  }

  /// A host whose programs are the other backend's by now holds what the earlier ones loaded, too.
  private func takeOutOfOtherBackend(_ family: Family) throws -> Bool {
    guard let text = otherRuleset(family).flatMap(LockLayer.removal) else { return false }
    do {
      try firewall.loadOtherBackend(RestoreText(text, keepsOthers: true), into: family, within: Self.loadLimit)
      guard otherRuleset(family).map(LockLayer.isGone) ?? true else { throw Reason("it is still there") }
    } catch {
      throw Reason("what the other backend's programs loaded of it before cannot be taken out: \(error)")
    }
    return true
  }

  /// Nil where there is none, and where it cannot be read: that programs which the host does not use fail keeps nobody locked.
  private func otherRuleset(_ family: Family) -> Ruleset? {
    guard let saved = try? firewall.saveOtherBackend(family), !saved.isEmpty,
      !Self.unspeakableTables(saved).contains(LockLayer.table)
    else { return nil }
    return try? parse(saved: saved, family)
  }

  func requireGone(_ family: Family) throws {
    let isGone: Bool
    if let saved = try printedRuleset(family) {
      isGone = LockLayer.isGone(from: saved)
    } else {
      guard let state = try firewall.nftables(sets: .ofNobodyKnown) else { throw Self.hidden(family) }
      let chains = state.tables.filter { $0.iptablesFamily == family && $0.name == LockLayer.table }.flatMap(\.chains)
      isGone = chains.allSatisfy { !LockLayer.isOfLayer($0.name) || $0.rules == 0 }
    }
    if !isGone { throw Reason("\(family) still holds some of it") }
  }

  func loadOfLayer(_ text: [UInt8], _ family: Family) throws(FirewallProblem) {
    try firewall.load(RestoreText(text, keepsOthers: true), into: family, within: Self.loadLimit)
  }

  /// False when there was not what it takes away.
  private func change(_ text: [UInt8], _ family: Family) throws(FirewallProblem) -> Bool {
    do throws(FirewallProblem) {
      try loadOfLayer(text, family)
      return true
    } catch {
      guard error.kind == .refused else { throw error }
      return false
    }
  }
}
