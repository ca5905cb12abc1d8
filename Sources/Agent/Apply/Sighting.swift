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
    /// As reports have it.
    var observed: Digest
    /// The same without the agent's own notes; nil when that is not known any more.
    var held: Digest?
    /// What was committed.
    var expected: Digest
    /// Nil when it is not known any more: of the time before the agent was started.
    var chains: [ChainName: Digest]?
    /// The chains that differ, as they are; nil inside for one that is not there. Nil when that is not known.
    var differing: [ChainName: Digest?]?

    var asReported: HostChange.Side { HostChange.Side(observed: observed, differs: observed != expected) }
    /// Notes apart.
    var differs: Bool { (held ?? observed) != expected }

    func isMoved(since earlier: Side) -> Bool {
      // What was told last says only what reports had.
      guard let before = earlier.held else { return observed != earlier.observed && held != earlier.observed }
      return held != before
    }
  }

  var families: PerFamily<Side>
  var serial: Serial
  var bootID: String
  /// By the host's clock; nil where there was none before.
  var time: UTCTime?
  /// In whose words the rules were read; nil when it is not known any more.
  var programs: String?
  /// Whose changes nf_tables announces; nil when it is not known any more.
  var backend: Backend?
  /// Something of ours that is not the committed release: the safe policy, or a change that did not end.
  var isOtherOfOurs = false
  /// It is to be looked at again, whatever is announced.
  var isUnsettled = false

  var differs: Bool { families.ipv4.differs || families.ipv6.differs }

  /// As the last change left it. Only what differs matters of the expectation, which a report had.
  init(after change: HostChange) {
    families = change.families.map { _, side in
      Side(observed: side.observed, expected: side.differs ? Digest(of: side.observed.bytes) : side.observed)
    }
    serial = Serial(0)
    bootID = change.bootID
    time = change.time
  }

  init(families: PerFamily<Side>, serial: Serial, bootID: String, programs: FirewallPrograms, time: UTCTime) {
    self.families = families
    self.serial = serial
    self.bootID = bootID
    self.time = time
    self.programs = programs.description
    backend = programs.backend
  }

  /// The same host without whatever differs.
  var asCommitted: Sighting {
    var intact = self
    intact.time = nil
    intact.families = families.map { _, side in
      side.differs
        ? Side(observed: side.expected, held: side.expected, expected: side.expected, differing: [:]) : side
    }
    return intact
  }
}

extension Dictionary where Key == Sighting.ChainName, Value == Digest {
  init(of ruleset: Ruleset) {
    self.init(
      ruleset.chainDigests().map { (Sighting.ChainName(table: $0.table, chain: $0.chain), $0.digest) },
      uniquingKeysWith: { first, _ in first })
  }
}
