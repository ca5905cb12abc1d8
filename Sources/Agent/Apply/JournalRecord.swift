package import Core
package import Release
package import Wire

/// One transition of the host, made durable before the next step is taken.
///
/// There is no record between the two families: recovery does the same whether one was loaded or both, and an fsync
/// there would widen the time in which they differ. The number 4 is kept for APPLIED, which will matter once a commit
/// waits for a confirmation.
package enum JournalRecord: Hashable, Sendable {
  /// First in a compacted journal: everything before it.
  case snapshot(Ledger)
  /// A verified bundle is on disk.
  case staged(OpenTransaction)
  /// Rehearsed; the serial floor is raised before anything is applied.
  case armed(InstalledRelease)
  /// From here on the kernel may hold anything between the old rules and the new.
  case applying(TransactionID)
  /// The kernel holds the new rules, re-read and equal to the rehearsal. The pointer is flipped after this.
  case committed(CommittedBundle, InstalledRelease, Outcome)
  /// Ended before the kernel was touched.
  case abandoned(TransactionID)
  case rollingBack(TransactionID, why: String)
  /// Both families hold the last committed bundle again.
  case rolledBack(Outcome)
  /// Neither new nor old could be loaded. The outcome is nil when no transaction was under way (at boot).
  case safePolicy(why: String, Outcome?)
  /// The last committed bundle is loaded again after the safe policy was.
  case restored
  /// An answer given without changing anything.
  case answered(Outcome)
  /// The committed bundle was rehearsed anew, since the host's programs changed.
  case expectation(Expectation)
}

extension JournalRecord {
  /// Longer records are damage: nothing we write comes near.
  package static let maximumSize = 64 << 10
  private static let maximumText = 2 << 10

  package func encode() -> [UInt8] {
    var out = ByteWriter()
    switch self {
    case .snapshot(let ledger):
      out.uint8(0)
      Self.write(ledger, to: &out)
    case .staged(let transaction):
      out.uint8(1)
      Self.write(transaction, to: &out)
    case .armed(let floor):
      out.uint8(2)
      Self.write(floor, to: &out)
    case .applying(let transaction):
      out.uint8(3)
      out.raw(transaction.bytes)
    case .committed(let bundle, let floor, let outcome):
      out.uint8(5)
      Self.write(bundle, to: &out)
      Self.write(floor, to: &out)
      Self.write(outcome, to: &out)
    case .abandoned(let transaction):
      out.uint8(6)
      out.raw(transaction.bytes)
    case .rollingBack(let transaction, let why):
      out.uint8(7)
      out.raw(transaction.bytes)
      Self.write(why, to: &out)
    case .rolledBack(let outcome):
      out.uint8(8)
      Self.write(outcome, to: &out)
    case .safePolicy(let why, let outcome):
      out.uint8(9)
      Self.write(why, to: &out)
      Self.write(outcome, to: &out, Self.write)
    case .restored: out.uint8(10)
    case .answered(let outcome):
      out.uint8(11)
      Self.write(outcome, to: &out)
    case .expectation(let expectation):
      out.uint8(12)
      Self.write(expectation, to: &out)
    }
    return out.bytes
  }

  package init(decoding bytes: ArraySlice<UInt8>) throws(ByteReader.Problem) {
    var reader = ByteReader(bytes)
    switch try reader.uint8("record type") {
    case 0: self = .snapshot(try Self.ledger(&reader))
    case 1: self = .staged(try Self.transaction(&reader))
    case 2: self = .armed(try Self.floor(&reader))
    case 3: self = .applying(try Self.transactionID(&reader))
    case 5:
      let bundle = try Self.bundle(&reader)
      let floor = try Self.floor(&reader)
      self = .committed(bundle, floor, try Self.outcome(&reader))
    case 6: self = .abandoned(try Self.transactionID(&reader))
    case 7:
      let id = try Self.transactionID(&reader)
      self = .rollingBack(id, why: try reader.text("why", atMost: Self.maximumText))
    case 8: self = .rolledBack(try Self.outcome(&reader))
    case 9:
      let why = try reader.text("why", atMost: Self.maximumText)
      self = .safePolicy(why: why, try Self.optional(&reader, "outcome", Self.outcome))
    case 10: self = .restored
    case 11: self = .answered(try Self.outcome(&reader))
    case 12: self = .expectation(try Self.expectation(&reader))
    default: throw .malformed(field: "record type")
    }
    try reader.end()
  }
}

// MARK: - Fields

extension JournalRecord {
  /// Texts are cut, so that a long error message can never make a record that is too large to read back.
  private static func write(_ text: String, to out: inout ByteWriter) {
    var cut = text[...]
    while cut.utf8.count > maximumText { cut = cut.dropLast(max(1, (cut.utf8.count - maximumText) / 4)) }
    out.text(String(cut))
  }

  private static func write<Value>(
    _ value: Value?, to out: inout ByteWriter, _ content: (Value, inout ByteWriter) -> Void
  ) {
    out.bool(value != nil)
    if let value { content(value, &out) }
  }

  private static func optional<Value>(
    _ reader: inout ByteReader, _ field: String, _ content: (inout ByteReader) throws(ByteReader.Problem) -> Value
  ) throws(ByteReader.Problem) -> Value? {
    try reader.bool(field) ? try content(&reader) : nil
  }

  private static func digest(_ reader: inout ByteReader, _ field: String) throws(ByteReader.Problem) -> Digest {
    guard let digest = Digest(bytes: try reader.raw(Digest.byteCount, field: field)) else {
      throw .malformed(field: field)
    }
    return digest
  }

  private static func transactionID(_ reader: inout ByteReader) throws(ByteReader.Problem) -> TransactionID {
    guard let id = TransactionID(bytes: try reader.raw(TransactionID.byteCount, field: "transaction")) else {
      throw .malformed(field: "transaction")
    }
    return id
  }

  private static func bundleName(_ reader: inout ByteReader) throws(ByteReader.Problem) -> BundleName {
    guard let name = BundleName(try reader.text("bundle", atMost: BundleName.maximumLength)) else {
      throw .malformed(field: "bundle")
    }
    return name
  }

  private static func write(_ value: OpenTransaction, to out: inout ByteWriter) {
    out.raw(value.id.bytes)
    out.text(value.bundle.description)
    write(value.release, to: &out)
    out.raw(value.content.bytes)
    out.uint8(value.phase.rawValue)
  }

  private static func transaction(_ reader: inout ByteReader) throws(ByteReader.Problem) -> OpenTransaction {
    let id = try transactionID(&reader)
    let bundle = try bundleName(&reader)
    let release = try floor(&reader)
    let content = try digest(&reader, "content")
    guard let phase = OpenTransaction.Phase(rawValue: try reader.uint8("phase")) else {
      throw .malformed(field: "phase")
    }
    return OpenTransaction(id: id, bundle: bundle, release: release, content: content, phase: phase)
  }

  private static func write(_ value: InstalledRelease, to out: inout ByteWriter) {
    out.uint64(value.serial.value)
    out.raw(value.manifest.bytes)
    out.raw(value.statement.bytes)
  }

  private static func floor(_ reader: inout ByteReader) throws(ByteReader.Problem) -> InstalledRelease {
    let serial = Serial(try reader.uint64("serial"))
    let manifest = try digest(&reader, "manifest")
    return InstalledRelease(serial: serial, manifest: manifest, statement: try digest(&reader, "statement"))
  }

  private static func write(_ value: Expectation, to out: inout ByteWriter) {
    out.raw(value.digests.ipv4.bytes)
    out.raw(value.digests.ipv6.bytes)
    write(value.programs, to: &out)
  }

  private static func expectation(_ reader: inout ByteReader) throws(ByteReader.Problem) -> Expectation {
    let ipv4 = try digest(&reader, "expected ipv4")
    let digests = PerFamily(ipv4: ipv4, ipv6: try digest(&reader, "expected ipv6"))
    return Expectation(digests: digests, programs: try reader.text("programs", atMost: maximumText))
  }

  private static func write(_ value: CommittedBundle, to out: inout ByteWriter) {
    out.text(value.name.description)
    write(value.accepted, to: &out)
    out.raw(value.content.bytes)
    out.uint64(UInt64(bitPattern: value.at.secondsSinceEpoch))
    write(value.expectation, to: &out)
  }

  private static func bundle(_ reader: inout ByteReader) throws(ByteReader.Problem) -> CommittedBundle {
    let name = try bundleName(&reader)
    let accepted = try floor(&reader)
    let content = try digest(&reader, "content")
    let at = UTCTime(secondsSinceEpoch: Int64(bitPattern: try reader.uint64("time")))
    return CommittedBundle(
      name: name, accepted: accepted, content: content, at: at, expectation: try expectation(&reader))
  }

  private static func write(_ value: Outcome, to out: inout ByteWriter) {
    out.raw(value.transaction.bytes)
    out.uint8(value.result.rawValue)
    out.uint64(value.serial.value)
    out.raw(value.manifest.bytes)
    write(value.detail, to: &out)
  }

  private static func outcome(_ reader: inout ByteReader) throws(ByteReader.Problem) -> Outcome {
    let id = try transactionID(&reader)
    guard let result = Outcome.Result(rawValue: try reader.uint8("result")) else { throw .malformed(field: "result") }
    let serial = Serial(try reader.uint64("serial"))
    let manifest = try digest(&reader, "manifest")
    let detail = try reader.text("detail", atMost: maximumText)
    return Outcome(transaction: id, result: result, serial: serial, manifest: manifest, detail: detail)
  }

  private static func write(_ value: Ledger, to out: inout ByteWriter) {
    write(value.floor, to: &out, write)
    write(value.committed, to: &out, write)
    write(value.open, to: &out, write)
    out.uint8(UInt8(value.outcomes.count))
    for outcome in value.outcomes { write(outcome, to: &out) }
    write(value.lastFailure, to: &out) { failure, out in
      out.uint64(failure.serial.value)
      out.uint8(failure.result.rawValue)
      write(failure.detail, to: &out)
    }
    write(value.degraded, to: &out, write)
  }

  private static func ledger(_ reader: inout ByteReader) throws(ByteReader.Problem) -> Ledger {
    var ledger = Ledger()
    ledger.floor = try optional(&reader, "floor", floor)
    ledger.committed = try optional(&reader, "committed", bundle)
    ledger.open = try optional(&reader, "open", transaction)
    let count = Int(try reader.uint8("outcomes"))
    guard count <= Ledger.maximumOutcomes else { throw .malformed(field: "outcomes") }
    for _ in 0..<count { ledger.outcomes.append(try outcome(&reader)) }
    if try reader.bool("last failure") {
      let serial = Serial(try reader.uint64("serial"))
      guard let result = Outcome.Result(rawValue: try reader.uint8("result")) else {
        throw .malformed(field: "result")
      }
      let detail = try reader.text("detail", atMost: maximumText)
      ledger.lastFailure = LastFailure(serial: serial, result: result, detail: detail)
    }
    if try reader.bool("degraded") { ledger.degraded = try reader.text("degraded", atMost: maximumText) }
    return ledger
  }
}
