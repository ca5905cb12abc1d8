internal import Core
internal import Release
internal import Ruleset
internal import Wire

// Reading the kernel's rules, loading a side into it, and judging what it then holds.

extension HostAgent {
  /// Other writers get in between a read and the load that relies on it; who does so more often than this has to stop.
  static let maximumLoads = 5
  /// For one family's programs.
  static let loadLimit = Duration.seconds(30)
  static let shortestLoadLimit = Duration.seconds(1)

  /// Without the layer of a lockdown.
  func savedRuleset(_ family: Family) throws -> Ruleset { beneathLock(try wholeRuleset(family)) }

  func savedRulesets() throws -> PerFamily<Ruleset> { try PerFamily { family in try savedRuleset(family) } }

  func parse(saved bytes: [UInt8], _ family: Family) throws -> Ruleset {
    guard !bytes.isEmpty else { return Ruleset() }
    let file = "\(family) rules of the kernel"
    do {
      return try Ruleset.parse(save: bytes, file: file)
    } catch {
      // A line feed in somebody's comment must not keep us from taking a change back.
      guard let joined = Ruleset.joiningBrokenLines(of: bytes) else { throw error }
      return try Ruleset.parse(save: joined, file: file)
    }
  }

  /// Like `savedRulesets`, for whoever is about to change them: a table that the save program leaves out, because it
  /// holds what only nft can say, would count as empty, and after a load could not be read back.
  func changeableRulesets() throws -> PerFamily<Ruleset> {
    try PerFamily { family in
      let saved = try firewall.save(family)
      if let table = Self.unspeakableTables(saved).first {
        throw Reason(
          "table \(table) of \(family) holds rules that only nft can show, so they can neither be kept nor checked; find "
            + "them with 'nft list ruleset', and move them to a table of another name")
      }
      return beneathLock(try parse(saved: saved, family))
    }
  }

  /// "# Table `filter' is incompatible, use 'nft' tool." is all the programs print of such a table, and they call that
  /// a success. Base chains of other names are no such thing: the programs live with those.
  static func unspeakableTables(_ saved: [UInt8]) -> [String] {
    let (start, end) = (Array("# Table `".utf8), Array("' is incompatible".utf8))
    return saved.split(separator: UInt8(ascii: "\n")).filter { $0.starts(with: start) }.compactMap { line in
      let rest = line.dropFirst(start.count)
      return rest.firstRange(of: end).map { SafeText.escape(rest[..<$0.lowerBound]) }
    }
  }

  /// How long the programs of one load may take: a change that is not yet confirmed by then is to be undone.
  func loadLimit(until deadline: ArmedDeadline?) -> Duration {
    guard let deadline else { return Self.loadLimit }
    return max(Self.shortestLoadLimit, min(Self.loadLimit, deadline.time - bootClock.now()))
  }

  /// As the kernel counts them, the layer of a lockdown with them.
  private func wholeRulesets(orElse fallback: PerFamily<Ruleset>?) throws -> PerFamily<Ruleset> {
    do { return try PerFamily { family in try wholeRuleset(family) } } catch {
      guard let fallback else { throw error }
      return fallback
    }
  }

  /// Reads both families and makes the texts of both, so that nothing but the loads themselves is left to do.
  ///
  /// - Parameter evenUnread: the last resort takes whole tables, and must not fail because nobody can read what is there.
  func prepare(_ target: LoadTarget, evenUnread: Bool = false) throws -> PerFamily<PreparedLoad> {
    let nothing = PerFamily { _ in Ruleset() }
    let read = target.needsRead ? try wholeRulesets(orElse: evenUnread ? nothing : nil) : nothing
    let target = target.beneath(layersInForce())
    return read.map { family, saved in target.prepare(family, from: saved) }
  }

  /// Loads one family. Somebody who changed the rules after they were read makes it start from a fresh read.
  ///
  /// - Parameter note: makes durable what is about to be taken over, before it is.
  func load(
    _ target: LoadTarget, _ family: Family, _ prepared: PreparedLoad, within limit: Duration = HostAgent.loadLimit,
    noting note: ([TakenRule]) throws -> Void = { _ in }
  ) throws {
    var prepared = prepared
    let start = bootClock.now()
    var attempt = 1
    while true {
      if !prepared.taken.isEmpty { try note(prepared.taken) }
      do throws(FirewallProblem) {
        do throws(FirewallProblem) {
          try load(prepared.texts, family, until: start + limit)
        } catch {
          // A layer that did not load by itself either must not keep what lies beneath from being loaded.
          guard lockMemory.isUnread, let bare = target.bare(family, from: prepared.saved) else { throw error }
          try load(bare.texts, family, until: start + limit)
        }
        return
      } catch {
        guard target.needsRead, attempt < Self.maximumLoads, bootClock.now() - start < limit,
          let fresh = try? wholeRuleset(family), fresh != prepared.saved
        else { throw error }
        prepared = target.beneath(layersInForce()).prepare(family, from: fresh)
        attempt += 1
      }
    }
  }

  private func load(_ texts: [RestoreText], _ family: Family, until end: BootTime) throws(FirewallProblem) {
    // Nothing to declare and nothing to empty; the programs would take an empty text for a success anyway.
    for text in texts where !text.bytes.isEmpty {
      try firewall.load(text, into: family, within: max(Self.shortestLoadLimit, end - bootClock.now()))
    }
  }

  /// Loads both families outside of a transaction. Whether they hold then is the caller's to ask.
  ///
  /// - Parameter isOnlyWay: kernel settings that cannot be written are no reason to try again.
  func loadBoth(
    _ target: LoadTarget, _ originals: FoundSettings, evenUnread: Bool = false, isOnlyWay: Bool = true
  ) throws {
    try setUp(target.sets)
    try loadBoth(target, try prepare(target, evenUnread: evenUnread), originals, isOnlyWay: isOnlyWay)
  }

  /// The same with texts that are made already, and sets that are there.
  func loadBoth(
    _ target: LoadTarget, _ prepared: PerFamily<PreparedLoad>, _ originals: FoundSettings, isOnlyWay: Bool = true
  ) throws {
    // A failure is told of by the same settings below.
    converge(.tightening, target.settings, originals)
    for family in [Family.ipv6, .ipv4] { try load(target, family, prepared[family]) }
    do { try requireConverging(.all, target.settings, originals) } catch { if !isOnlyWay { throw error } }
    try requireSetUp(target.sets)
  }

  /// Throws with words when the kernel does not hold the target.
  @discardableResult func requireLoaded(_ target: LoadTarget) throws -> PerFamily<Ruleset> {
    try PerFamily { family in
      let saved = try savedRuleset(family)
      if let difference = target.difference(saved, family) {
        throw Reason("the rules read back differ from what was loaded: \(difference)")
      }
      return saved
    }
  }

  /// Nil when nothing new can be said of it. Where the host has no place for a rehearsal, programs that are others than
  /// those of the committed bundle leave only the shape to compare.
  private func expectedAnew(_ target: LoadTarget) -> PerFamily<Digest>?? {
    do throws(RehearsalProblem) {
      return try rehearse(target, live: nil, knock: []).expectation.digests
    } catch {
      guard case .noNamespace = error, let programs = try? firewall.programs(), let ledger = try? ledger(),
        ledger.committed?.expectation.programs != programs.description
      else { return nil }
      return .some(nil)
    }
  }

  /// Like `requireLoaded`, but the words of an upgraded program, and chains of other people that came or went, are
  /// learnt anew before they count as a difference.
  func requireLoadedAfterUpgrade(_ target: LoadTarget) throws {
    do {
      try requireLoaded(target)
    } catch {
      guard let expected = expectedAnew(target), expected != target.expected else { throw error }
      var renewed = target
      renewed.expected = expected
      try requireLoaded(renewed)
    }
  }
}
