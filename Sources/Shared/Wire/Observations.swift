package import Core

/// What a policy that only observes would have dropped, as the host's kernel counted it.
package struct Observations: Hashable, Sendable {
  package struct Entry: Hashable, Sendable {
    package var family: Family
    /// Where the packets came from: a numeric address.
    package var source: String
    /// As ipset prints it: `tcp`, `icmp`, or a number.
    package var proto: String
    /// As ipset prints it: the port they were for, or the type of an ICMP message; `0` where the protocol has neither.
    package var port: String
    package var packets: UInt64
    package var bytes: UInt64

    package init(
      family: Family, source: String, proto: String, port: String, packets: UInt64, bytes: UInt64
    ) {
      self.family = family
      self.source = source
      self.proto = proto
      self.port = port
      self.packets = packets
      self.bytes = bytes
    }

    /// The most packets first; of equal ones in an order that does not change.
    package static func precedes(_ a: Entry, _ b: Entry) -> Bool {
      if a.packets != b.packets { return a.packets > b.packets }
      return (a.family, a.source, a.proto, a.port) < (b.family, b.source, b.proto, b.port)
    }
  }

  /// Families whose packets the committed release observes.
  package var observing: Set<Family>
  /// Families of which the kernel counts no more than it does: a new entry takes the place of another one.
  package var full: Set<Family>
  /// The most packets first.
  package var entries: [Entry]
  /// Entries that are not in `entries` because an answer must fit one frame.
  package var omitted: Int

  package init(observing: Set<Family>, full: Set<Family> = [], entries: [Entry], omitted: Int = 0) {
    self.observing = observing
    self.full = full
    self.entries = entries
    self.omitted = omitted
  }
}

extension Observations {
  func write(to out: inout ByteWriter) {
    for family in Family.allCases { out.bool(observing.contains(family)) }
    for family in Family.allCases { out.bool(full.contains(family)) }
    var list = ByteWriter()
    var listed = 0
    let longest = 1 + (4 + WireLimit.address) + 2 * (4 + WireLimit.observedWord) + 16
    for entry in entries {
      guard listed < WireLimit.observations, list.bytes.count + longest <= WireLimit.observationBytes else { break }
      list.family(entry.family)
      list.clipped(entry.source, to: WireLimit.address)
      list.clipped(entry.proto, to: WireLimit.observedWord)
      list.clipped(entry.port, to: WireLimit.observedWord)
      list.uint64(entry.packets)
      list.uint64(entry.bytes)
      listed += 1
    }
    out.clamped(entries.count - listed + omitted)
    out.clamped(listed)
    out.raw(list.bytes)
  }

  init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    var observing: Set<Family> = []
    for family in Family.allCases where try reader.bool("observing") { observing.insert(family) }
    var full: Set<Family> = []
    for family in Family.allCases where try reader.bool("full") { full.insert(family) }
    let omitted = Int(try reader.uint32("number of observations left out"))
    var entries: [Entry] = []
    for _ in 0..<(try reader.count("number of observations", atMost: WireLimit.observations)) {
      entries.append(
        Entry(
          family: try reader.family(), source: try reader.text("source", atMost: WireLimit.address),
          proto: try reader.text("protocol", atMost: WireLimit.observedWord),
          port: try reader.text("port", atMost: WireLimit.observedWord), packets: try reader.uint64("packets"),
          bytes: try reader.uint64("bytes")))
    }
    self.init(observing: observing, full: full, entries: entries, omitted: omitted)
  }
}
