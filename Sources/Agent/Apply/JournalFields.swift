internal import Core
internal import Release
internal import Wire

// How the journal spells what its records hold.

extension JournalRecord {
  /// Spellings of what a record may hold, the oldest first.
  enum Form {
    case withoutConfirmation
    case withoutNotes
    case withoutLocks
    case current
  }

  /// Texts are cut, so that a long error message can never make a record that is too large to read back.
  static func write(_ text: String, to out: inout ByteWriter) {
    var cut = text[...]
    while cut.utf8.count > maximumText { cut = cut.dropLast(max(1, (cut.utf8.count - maximumText) / 4)) }
    out.text(String(cut))
  }

  static func write<Value>(
    _ value: Value?, to out: inout ByteWriter, _ content: (Value, inout ByteWriter) -> Void
  ) {
    out.bool(value != nil)
    if let value { content(value, &out) }
  }

  static func optional<Value>(
    _ reader: inout ByteReader, _ field: String, _ content: (inout ByteReader) throws(ByteReader.Problem) -> Value
  ) throws(ByteReader.Problem) -> Value? {
    try reader.bool(field) ? try content(&reader) : nil
  }

  static func digest(_ reader: inout ByteReader, _ field: String) throws(ByteReader.Problem) -> Digest {
    guard let digest = Digest(bytes: try reader.raw(Digest.byteCount, field: field)) else {
      throw .malformed(field: field)
    }
    return digest
  }

  static func transactionID(_ reader: inout ByteReader) throws(ByteReader.Problem) -> TransactionID {
    guard let id = TransactionID(bytes: try reader.raw(TransactionID.byteCount, field: "transaction")) else {
      throw .malformed(field: "transaction")
    }
    return id
  }

  static func bundleName(_ reader: inout ByteReader) throws(ByteReader.Problem) -> BundleName {
    guard let name = BundleName(try reader.text("bundle", atMost: BundleName.maximumLength)) else {
      throw .malformed(field: "bundle")
    }
    return name
  }

  static func write(_ value: OpenTransaction, to out: inout ByteWriter) {
    out.raw(value.id.bytes)
    out.text(value.bundle.description)
    write(value.release, to: &out)
    out.raw(value.content.bytes)
    out.uint8(value.phase.rawValue)
    out.bool(value.needsConfirmation)
    out.bool(value.isManual)
    write(value.deadline, to: &out, write)
    write(value.nonce, to: &out) { nonce, out in out.raw(nonce.bytes) }
    write(value.localAct, to: &out, write)
  }

  static func transaction(
    _ reader: inout ByteReader, form: Form
  ) throws(ByteReader.Problem) -> OpenTransaction {
    let id = try transactionID(&reader)
    let bundle = try bundleName(&reader)
    let release = try floor(&reader)
    let content = try digest(&reader, "content")
    guard let phase = OpenTransaction.Phase(rawValue: try reader.uint8("phase")) else {
      throw .malformed(field: "phase")
    }
    var transaction = OpenTransaction(id: id, bundle: bundle, release: release, content: content, phase: phase)
    if form == .withoutConfirmation { return transaction }
    transaction.needsConfirmation = try reader.bool("needs confirmation")
    transaction.isManual = try reader.bool("manual")
    transaction.deadline = try optional(&reader, "deadline", deadline)
    transaction.nonce = try optional(&reader, "nonce", nonce)
    transaction.localAct = try optional(&reader, "local act", localAct)
    return transaction
  }

  static func nonce(_ reader: inout ByteReader) throws(ByteReader.Problem) -> Nonce {
    guard let nonce = Nonce(bytes: try reader.raw(Nonce.byteCount, field: "nonce")) else {
      throw .malformed(field: "nonce")
    }
    return nonce
  }

  static func write(_ value: ArmedDeadline, to out: inout ByteWriter) {
    out.uint64(value.time.nanoseconds)
    write(value.bootID, to: &out)
  }

  static func deadline(_ reader: inout ByteReader) throws(ByteReader.Problem) -> ArmedDeadline {
    let time = BootTime(nanoseconds: try reader.uint64("deadline"))
    return ArmedDeadline(time: time, bootID: try reader.text("boot id", atMost: maximumText))
  }

  static func write(_ value: LocalAct, to out: inout ByteWriter) {
    out.uint8(value.deed.rawValue)
    out.uint64(UInt64(bitPattern: value.at.secondsSinceEpoch))
    write(value.reason, to: &out)
  }

  static func localAct(_ reader: inout ByteReader) throws(ByteReader.Problem) -> LocalAct {
    guard let deed = LocalOrder.Deed(rawValue: try reader.uint8("deed")) else { throw .malformed(field: "deed") }
    let at = UTCTime(secondsSinceEpoch: Int64(bitPattern: try reader.uint64("time")))
    return LocalAct(deed: deed, at: at, reason: try reader.text("reason", atMost: maximumText))
  }

  static func write(_ value: NotedFile, to out: inout ByteWriter) {
    switch value {
    case .others: out.uint8(0)
    case .kernel: out.uint8(1)
    }
  }

  static func notedFile(_ reader: inout ByteReader) throws(ByteReader.Problem) -> NotedFile {
    switch try reader.uint8("noted file") {
    case 0: .others
    case 1: .kernel
    default: throw .malformed(field: "noted file")
    }
  }

  static func write(_ value: NotedState, to out: inout ByteWriter) {
    write(value.digest, to: &out) { digest, out in out.raw(digest.bytes) }
    out.uint64(UInt64(bitPattern: value.at.secondsSinceEpoch))
    out.bool(value.isLate)
  }

  static func notedState(_ reader: inout ByteReader) throws(ByteReader.Problem) -> NotedState {
    var noted: Digest?
    if try reader.bool("noted digest") { noted = try digest(&reader, "noted digest") }
    let at = UTCTime(secondsSinceEpoch: Int64(bitPattern: try reader.uint64("time")))
    return NotedState(digest: noted, at: at, isLate: try reader.bool("late"))
  }

  static func write(_ value: InstalledRelease, to out: inout ByteWriter) {
    out.uint64(value.serial.value)
    out.raw(value.manifest.bytes)
    out.raw(value.statement.bytes)
  }

  static func floor(_ reader: inout ByteReader) throws(ByteReader.Problem) -> InstalledRelease {
    let serial = Serial(try reader.uint64("serial"))
    let manifest = try digest(&reader, "manifest")
    return InstalledRelease(serial: serial, manifest: manifest, statement: try digest(&reader, "statement"))
  }

  static func write(_ value: Expectation, to out: inout ByteWriter) {
    out.raw(value.digests.ipv4.bytes)
    out.raw(value.digests.ipv6.bytes)
    write(value.programs, to: &out)
  }

  static func expectation(_ reader: inout ByteReader) throws(ByteReader.Problem) -> Expectation {
    let ipv4 = try digest(&reader, "expected ipv4")
    let digests = PerFamily(ipv4: ipv4, ipv6: try digest(&reader, "expected ipv6"))
    return Expectation(digests: digests, programs: try reader.text("programs", atMost: maximumText))
  }

  static func write(_ value: CommittedBundle, to out: inout ByteWriter) {
    out.text(value.name.description)
    write(value.accepted, to: &out)
    out.raw(value.content.bytes)
    out.uint64(UInt64(bitPattern: value.at.secondsSinceEpoch))
    write(value.expectation, to: &out)
  }

  static func bundle(_ reader: inout ByteReader) throws(ByteReader.Problem) -> CommittedBundle {
    let name = try bundleName(&reader)
    let accepted = try floor(&reader)
    let content = try digest(&reader, "content")
    let at = UTCTime(secondsSinceEpoch: Int64(bitPattern: try reader.uint64("time")))
    return CommittedBundle(
      name: name, accepted: accepted, content: content, at: at, expectation: try expectation(&reader))
  }

  static func write(_ value: Outcome, to out: inout ByteWriter) {
    out.raw(value.transaction.bytes)
    out.uint8(value.result.rawValue)
    out.uint64(value.serial.value)
    out.raw(value.manifest.bytes)
    write(value.detail, to: &out)
  }

  static func outcome(_ reader: inout ByteReader) throws(ByteReader.Problem) -> Outcome {
    let id = try transactionID(&reader)
    guard let result = Outcome.Result(rawValue: try reader.uint8("result")) else { throw .malformed(field: "result") }
    let serial = Serial(try reader.uint64("serial"))
    let manifest = try digest(&reader, "manifest")
    let detail = try reader.text("detail", atMost: maximumText)
    return Outcome(transaction: id, result: result, serial: serial, manifest: manifest, detail: detail)
  }

  static func write(_ value: Ledger, to out: inout ByteWriter) {
    write(value.floor, to: &out, write)
    write(value.committed, to: &out, write)
    write(value.open, to: &out, write)
    out.uint8(UInt8(value.recorded.count))
    for recorded in value.recorded {
      write(recorded.outcome, to: &out)
      write(recorded.nonce, to: &out) { nonce, out in out.raw(nonce.bytes) }
    }
    write(value.lastFailure, to: &out) { failure, out in
      out.uint64(failure.serial.value)
      out.uint8(failure.result.rawValue)
      write(failure.detail, to: &out)
    }
    write(value.degraded, to: &out, write)
    write(value.previous, to: &out, write)
    out.bool(value.safePolicyIsWhole)
    write(value.localAct, to: &out, write)
    for file in NotedFile.allCases { write(value.noted[file], to: &out, write) }
    write(value.lock, to: &out, write)
    write(value.epochFloor, to: &out, write)
    write(value.lastLift, to: &out, write)
  }

  static func ledger(_ reader: inout ByteReader, form: Form) throws(ByteReader.Problem) -> Ledger {
    var ledger = Ledger()
    ledger.floor = try optional(&reader, "floor", floor)
    ledger.committed = try optional(&reader, "committed", bundle)
    ledger.open = try optional(&reader, "open") { (reader) throws(ByteReader.Problem) in
      try transaction(&reader, form: form)
    }
    let count = Int(try reader.uint8("outcomes"))
    guard count <= Ledger.maximumOutcomes else { throw .malformed(field: "outcomes") }
    for _ in 0..<count {
      let outcome = try outcome(&reader)
      let nonce = form == .withoutConfirmation ? nil : try optional(&reader, "nonce", nonce)
      ledger.recorded.append(RecordedOutcome(outcome: outcome, nonce: nonce))
    }
    if try reader.bool("last failure") {
      let serial = Serial(try reader.uint64("serial"))
      guard let result = Outcome.Result(rawValue: try reader.uint8("result")) else {
        throw .malformed(field: "result")
      }
      let detail = try reader.text("detail", atMost: maximumText)
      ledger.lastFailure = LastFailure(serial: serial, result: result, detail: detail)
    }
    if try reader.bool("degraded") { ledger.degraded = try reader.text("degraded", atMost: maximumText) }
    if form == .withoutConfirmation { return ledger }
    ledger.previous = try optional(&reader, "previous", bundle)
    ledger.safePolicyIsWhole = try reader.bool("safe policy is whole")
    ledger.localAct = try optional(&reader, "local act", localAct)
    if form == .withoutNotes { return ledger }
    for file in NotedFile.allCases { ledger.noted[file] = try optional(&reader, "noted file", notedState) }
    if form == .withoutLocks { return ledger }
    ledger.lock = try optional(&reader, "lock", lock)
    ledger.epochFloor = try optional(&reader, "order", epochFloor)
    ledger.lastLift = try optional(&reader, "last lift", lastLift)
    return ledger
  }
}
