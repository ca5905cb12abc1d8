package import Core

/// One change of a host's packet filter, as its agent saw it.
package struct HostChange: Hashable, Sendable {
  package enum Cause: Hashable, Sendable {
    /// Somebody other than the agent.
    case others
    /// The agent itself: an apply, its end, or going back; with the release that is committed since, if one is.
    case ours(Serial?)
    /// The agent itself; whatever differs afterwards differed before, and it did nothing about it.
    case oursBesides(Serial?)
  }

  /// What the agent saw of one family afterwards.
  package struct Side: Hashable, Sendable {
    /// As in a report.
    package var observed: Digest
    /// It is not what was committed.
    package var differs: Bool
    package init(observed: Digest, differs: Bool) {
      self.observed = observed
      self.differs = differs
    }
  }

  package struct Chain: Hashable, Sendable {
    package enum Change: UInt8, Hashable, Sendable {
      case added = 0
      case removed = 1
      case changed = 2
    }
    package var family: Family
    package var table: String
    package var chain: String
    package var change: Change
    package init(family: Family, table: String, chain: String, change: Change) {
      self.family = family
      self.table = table
      self.chain = chain
      self.change = change
    }
  }

  /// Who asked the kernel for it, as the kernel announced it. Best effort: the name is what the process calls itself, and
  /// its number may be another's by now.
  package struct Actor: Hashable, Sendable {
    package var name: String
    package var process: UInt32
    package init(name: String, process: UInt32) {
      self.name = name
      self.process = process
    }
  }

  /// Grows by one with each change the agent records.
  package var sequence: UInt64
  /// When it was seen, by the host's own clock.
  package var time: UTCTime
  package var bootID: String
  package var cause: Cause
  package var families: PerFamily<Side>
  package var chains: [Chain]
  /// Chains that changed too and are not in `chains`.
  package var omittedChains: Int
  package var actors: [Actor]
  /// For what no kernel announces: when it was not yet there, by the host's own clock, if that is known.
  package var since: UTCTime?

  package init(
    sequence: UInt64, time: UTCTime, bootID: String, cause: Cause, families: PerFamily<Side>, chains: [Chain] = [],
    omittedChains: Int = 0, actors: [Actor] = [], since: UTCTime? = nil
  ) {
    self.sequence = sequence
    self.time = time
    self.bootID = bootID
    self.cause = cause
    self.families = families
    self.chains = chains
    self.omittedChains = omittedChains
    self.actors = actors
    self.since = since
  }
}

/// What changed after the change that was named, oldest first.
package struct Changes: Hashable, Sendable {
  package var entries: [HostChange]
  /// Changes after that one which the agent does not remember any more.
  package var omitted: Int
  /// What to name next time: the last change of this answer, or the last there was.
  package var last: UInt64

  package init(entries: [HostChange] = [], omitted: Int = 0, last: UInt64) {
    self.entries = entries
    self.omitted = omitted
    self.last = last
  }
}

extension Changes {
  func write(to out: inout ByteWriter) {
    out.uint64(last)
    out.clamped(omitted)
    let entries = entries.prefix(WireLimit.changes)
    out.clamped(entries.count)
    for entry in entries { entry.write(to: &out) }
  }

  init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    let last = try reader.uint64("last change")
    let omitted = Int(try reader.uint32("number of changes left out"))
    var entries: [HostChange] = []
    for _ in 0..<(try reader.count("number of changes", atMost: WireLimit.changes)) {
      entries.append(try HostChange(&reader))
    }
    self.init(entries: entries, omitted: omitted, last: last)
  }
}

extension HostChange {
  package func write(to out: inout ByteWriter) {
    out.uint64(sequence)
    out.time(time)
    out.clipped(bootID, to: WireLimit.bootID)
    switch cause {
    case .others: out.uint8(0)
    case .ours(let serial):
      out.uint8(1)
      out.optional(serial) { $0.serial($1) }
    case .oursBesides(let serial):
      out.uint8(2)
      out.optional(serial) { $0.serial($1) }
    }
    for family in Family.allCases {
      out.digest(families[family].observed)
      out.bool(families[family].differs)
    }
    let chains = chains.prefix(WireLimit.changedChains)
    out.clamped(omittedChains + self.chains.count - chains.count)
    out.clamped(chains.count)
    for chain in chains {
      out.family(chain.family)
      out.clipped(chain.table, to: WireLimit.table)
      out.clipped(chain.chain, to: WireLimit.chain)
      out.uint8(chain.change.rawValue)
    }
    let actors = actors.prefix(WireLimit.actors)
    out.clamped(actors.count)
    for actor in actors {
      out.clipped(actor.name, to: WireLimit.actor)
      out.uint32(actor.process)
    }
    out.optional(since) { $0.time($1) }
  }

  package init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    let sequence = try reader.uint64("number of the change")
    let time = try reader.time("time of the change")
    let bootID = try reader.text("boot id", atMost: WireLimit.bootID)
    let cause: Cause
    switch try reader.uint8("cause") {
    case 0: cause = .others
    case 1: cause = .ours(try Self.serial(&reader))
    case 2: cause = .oursBesides(try Self.serial(&reader))
    default: throw .malformed(field: "cause")
    }
    var sides: [Side] = []
    for _ in Family.allCases {
      sides.append(Side(observed: try reader.digest("observed"), differs: try reader.bool("differs")))
    }
    let omittedChains = Int(try reader.uint32("number of chains left out"))
    var chains: [Chain] = []
    for _ in 0..<(try reader.count("number of chains", atMost: WireLimit.changedChains)) {
      chains.append(
        Chain(
          family: try reader.family(), table: try reader.text("table", atMost: WireLimit.table),
          chain: try reader.text("chain", atMost: WireLimit.chain),
          change: try reader.one(of: Chain.Change.self, "kind of change")))
    }
    var actors: [Actor] = []
    for _ in 0..<(try reader.count("number of processes", atMost: WireLimit.actors)) {
      actors.append(
        Actor(
          name: try reader.text("process name", atMost: WireLimit.actor), process: try reader.uint32("process number")))
    }
    let since = try reader.optional("since") { (reader) throws(ByteReader.Problem) in try reader.time("since") }
    self.init(
      sequence: sequence, time: time, bootID: bootID, cause: cause,
      families: PerFamily(ipv4: sides[0], ipv6: sides[1]), chains: chains, omittedChains: omittedChains, actors: actors,
      since: since)
  }

  private static func serial(_ reader: inout ByteReader) throws(ByteReader.Problem) -> Serial? {
    try reader.optional("serial") { (reader) throws(ByteReader.Problem) in try reader.serial() }
  }
}
