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

  func savedRuleset(_ family: Family) throws -> Ruleset {
    try parse(saved: try firewall.save(family), family)
  }

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
      if let table = Self.unspeakableTable(saved) {
        throw Reason(
          "table \(table) of \(family) holds rules that only nft can show, so they can neither be kept nor checked; find "
            + "them with 'nft list ruleset', and move them to a table of another name")
      }
      return try parse(saved: saved, family)
    }
  }

  /// "# Table `filter' is incompatible, use 'nft' tool." is all the programs print of such a table, and they call that
  /// a success. Base chains of other names are no such thing: the programs live with those.
  static func unspeakableTable(_ saved: [UInt8]) -> String? {
    let (start, end) = (Array("# Table `".utf8), Array("' is incompatible".utf8))
    for line in saved.split(separator: UInt8(ascii: "\n")) where line.starts(with: start) {
      let rest = line.dropFirst(start.count)
      if let found = rest.firstRange(of: end) { return SafeText.escape(rest[..<found.lowerBound]) }
    }
    return nil
  }

  /// How long the programs of one load may take: a change that is not yet confirmed by then is to be undone.
  func loadLimit(until deadline: ArmedDeadline?) -> Duration {
    guard let deadline else { return Self.loadLimit }
    return max(Self.shortestLoadLimit, min(Self.loadLimit, deadline.time - bootClock.now()))
  }

  /// Loads one family. Somebody who changed the rules after they were read makes it start from a fresh read.
  ///
  /// - Parameter note: makes durable what is about to be taken over, before it is.
  func load(
    _ target: LoadTarget, _ family: Family, read: Ruleset?, within limit: Duration = HostAgent.loadLimit,
    noting note: ([TakenRule]) throws -> Void = { _ in }
  ) throws {
    var saved = try read ?? (target.needsRead ? savedRuleset(family) : Ruleset())
    let start = bootClock.now()
    var attempt = 1
    while true {
      let (texts, change) = target.change(family, from: saved)
      if let change, !change.taken.isEmpty { try note(change.taken) }
      do throws(FirewallProblem) {
        // Nothing to declare and nothing to empty; the programs would take an empty text for a success anyway.
        for text in texts where !text.bytes.isEmpty {
          let left = limit - (bootClock.now() - start)
          try firewall.load(text, into: family, within: max(Self.shortestLoadLimit, left))
        }
        return
      } catch {
        guard target.needsRead, attempt < Self.maximumLoads, bootClock.now() - start < limit,
          let fresh = try? savedRuleset(family), fresh != saved
        else { throw error }
        saved = fresh
        attempt += 1
      }
    }
  }

  /// Loads both families outside of a transaction, read before the first is changed, and re-read.
  ///
  /// - Parameter evenUnread: the last resort must not fail because nobody can read what is there.
  func loadBoth(_ target: LoadTarget, evenUnread: Bool = false) throws {
    var read: PerFamily<Ruleset>?
    if target.needsRead {
      do { read = try savedRulesets() } catch {
        guard evenUnread else { throw error }
        read = PerFamily { _ in Ruleset() }
      }
    }
    for family in [Family.ipv6, .ipv4] { try load(target, family, read: read?[family]) }
  }

  /// Throws with words when the kernel does not hold the target.
  func requireLoaded(_ target: LoadTarget) throws {
    for family in Family.allCases {
      if let difference = target.difference(try savedRuleset(family), family) {
        throw Reason("the rules read back differ from what was loaded: \(difference)")
      }
    }
  }

  /// Like `requireLoaded`, but the words of an upgraded program, and chains of other people that came or went, are
  /// learnt anew before they count as a difference.
  func requireLoadedAfterUpgrade(_ target: LoadTarget) throws {
    do {
      try requireLoaded(target)
    } catch {
      guard let rehearsed = try? rehearse(target, live: nil, knock: []),
        rehearsed.expectation.digests != target.expected
      else { throw error }
      var renewed = target
      renewed.expected = rehearsed.expectation.digests
      try requireLoaded(renewed)
    }
  }
}
