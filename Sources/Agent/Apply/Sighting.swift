internal import Core
internal import Ruleset
internal import Wire

/// What the agent saw of its host's rules at one time: as much as it takes to say later what changed.
struct Sighting: Hashable {
  struct ChainName: Hashable, Comparable {
    var table: String
    var chain: String

    static func < (a: ChainName, b: ChainName) -> Bool { (a.table, a.chain) < (b.table, b.chain) }
  }

  struct Side: Hashable {
    var observed: Digest
    /// What was committed.
    var expected: Digest
    /// Nil when it is not known any more: of the time before the agent was started.
    var chains: [ChainName: Digest]?

    var differs: Bool { observed != expected }
    var asReported: HostChange.Side { HostChange.Side(observed: observed, differs: differs) }
  }

  var families: PerFamily<Side>
  var serial: Serial
  var bootID: String
  /// In whose words the rules were read; nil when it is not known any more.
  var programs: String?
  /// Something of ours that is not the committed release: the safe policy, or a change that did not end.
  var isOtherOfOurs = false

  var differs: Bool { families.ipv4.differs || families.ipv6.differs }

  /// As the last change left it. Only what differs matters of the expectation, which a report had.
  init(after change: HostChange) {
    families = change.families.map { _, side in
      Side(observed: side.observed, expected: side.differs ? Digest(of: side.observed.bytes) : side.observed)
    }
    serial = Serial(0)
    bootID = change.bootID
  }

  init(families: PerFamily<Side>, serial: Serial, bootID: String, programs: String) {
    self.families = families
    self.serial = serial
    self.bootID = bootID
    self.programs = programs
  }

  /// The same host without whatever differs.
  var asCommitted: Sighting {
    var intact = self
    intact.families = families.map { _, side in
      side.differs ? Side(observed: side.expected, expected: side.expected) : side
    }
    return intact
  }

  /// What happened since an earlier sighting.
  ///
  /// - Parameters:
  ///   - hasActed: the agent did something of its own in between.
  ///   - actors: who asked the kernel for changes in between.
  func changes(since earlier: Sighting, hasActed: Bool, actors: [HostChange.Actor], at time: UTCTime) -> [HostChange] {
    let isMoved = Family.allCases.contains { families[$0].observed != earlier.families[$0].observed }
    guard isMoved || hasActed && differs != earlier.differs else { return [] }
    // The same rules in the words of other programs, or in those of another agent.
    if programs != earlier.programs, bootID == earlier.bootID, !hasActed, !differs, !earlier.differs { return [] }
    let isOurs = hasActed || bootID != earlier.bootID
    let (chains, omitted) = movedChains(since: earlier)
    func change(
      _ cause: HostChange.Cause, _ sides: PerFamily<HostChange.Side>, _ actors: [HostChange.Actor] = []
    ) -> HostChange {
      HostChange(
        sequence: 0, time: time, bootID: bootID, cause: cause, families: sides, chains: chains,
        omittedChains: omitted, actors: actors)
    }
    let now = families.map { _, side in side.asReported }
    guard isOurs else { return [change(.others, now, actors)] }
    let ours = HostChange.Cause.ours(serial)
    if !differs || isOtherOfOurs { return [change(ours, now)] }
    // What we load is read back before it is committed: whatever is different now came later, and from somebody else.
    var loaded = change(ours, families.map { _, side in HostChange.Side(observed: side.expected, differs: false) })
    loaded.chains = []
    loaded.omittedChains = 0
    return [loaded, change(.others, now, actors)]
  }

  private func movedChains(since earlier: Sighting) -> (named: [HostChange.Chain], omitted: Int) {
    var moved: [HostChange.Chain] = []
    var omitted = 0
    for family in Family.allCases {
      guard let before = earlier.families[family].chains, let after = families[family].chains else { continue }
      let names = Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }.sorted()
      for name in names {
        guard moved.count < WireLimit.changedChains else {
          omitted += 1
          continue
        }
        moved.append(
          HostChange.Chain(
            family: family, table: name.table, chain: name.chain,
            change: before[name] == nil ? .added : after[name] == nil ? .removed : .changed))
      }
    }
    return (moved, omitted)
  }
}

extension Dictionary where Key == Sighting.ChainName, Value == Digest {
  init(of ruleset: Ruleset) {
    self.init(
      ruleset.chainDigests().map { (Sighting.ChainName(table: $0.table, chain: $0.chain), $0.digest) },
      uniquingKeysWith: { first, _ in first })
  }
}
