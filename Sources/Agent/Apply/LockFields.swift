internal import Core
internal import Release

// How the journal spells locks.

extension JournalRecord {
  /// Of management, in a lock. Who has more keeps the first ones: a record has its size.
  private static let maximumSources = 64

  static func write(_ value: EpochFloor, to out: inout ByteWriter) {
    out.uint64(value.epoch.value)
    out.raw(value.order.bytes)
  }

  static func epoch(_ reader: inout ByteReader) throws(ByteReader.Problem) -> Epoch {
    Epoch(try reader.uint64("epoch"))
  }

  static func epochFloor(_ reader: inout ByteReader) throws(ByteReader.Problem) -> EpochFloor {
    let epoch = try epoch(&reader)
    return EpochFloor(epoch: epoch, order: try digest(&reader, "order"))
  }

  static func write(_ value: ProfileEntry, to out: inout ByteWriter) {
    out.text(value.name.description)
    out.uint16(value.rank.value)
    for family in Family.allCases {
      out.uint32(UInt32(value.files[family].size))
      out.raw(value.files[family].digest.bytes)
    }
  }

  static func profile(_ reader: inout ByteReader) throws(ByteReader.Problem) -> ProfileEntry {
    guard let name = ProfileName(try reader.text("profile", atMost: ProfileName.maximumLength)),
      let rank = LockRank(try reader.uint16("rank"))
    else { throw .malformed(field: "profile") }
    let files = try PerFamily { (_) throws(ByteReader.Problem) in
      let size = Int(try reader.uint32("size of profile"))
      return Manifest.File(size: size, digest: try digest(&reader, "profile"))
    }
    do throws(FormatProblem) {
      return try ProfileEntry(name: name, rank: rank, files: files)
    } catch {
      throw .malformed(field: "profile")
    }
  }

  static func write(_ value: LockTime, to out: inout ByteWriter) {
    out.uint32(value.secondsLeft)
    out.uint64(value.at.nanoseconds)
    write(value.bootID, to: &out)
  }

  static func lockTime(_ reader: inout ByteReader) throws(ByteReader.Problem) -> LockTime {
    let left = try reader.uint32("seconds left")
    let at = RunningTime(nanoseconds: try reader.uint64("time"))
    return LockTime(secondsLeft: left, at: at, bootID: try reader.text("boot id", atMost: maximumText))
  }

  static func write(_ value: HeldLayer, to out: inout ByteWriter) {
    write(value.expectation, to: &out)
    out.bool(value.isBuiltIn)
    write(value.uncut, to: &out, write)
  }

  static func heldLayer(_ reader: inout ByteReader) throws(ByteReader.Problem) -> HeldLayer {
    let expectation = try expectation(&reader)
    let isBuiltIn = try reader.bool("built in")
    let uncut = try optional(&reader, "connections not cut") { (reader) throws(ByteReader.Problem) in
      try reader.text("connections not cut", atMost: maximumText)
    }
    return HeldLayer(expectation: expectation, isBuiltIn: isBuiltIn, uncut: uncut)
  }

  static func write(_ value: Lock, to out: inout ByteWriter) {
    write(value.order, to: &out)
    write(value.profile, to: &out)
    out.text(value.bundle.description)
    out.uint64(value.serial.value)
    out.uint8(value.index)
    let principals = value.principals.prefix(UnverifiedOrder.maximumSignatures)
    out.uint8(UInt8(principals.count))
    for principal in principals { write(principal, to: &out) }
    let sources = value.sources.prefix(maximumSources)
    out.uint8(UInt8(sources.count))
    for source in sources { write(source, to: &out) }
    write(value.reason, to: &out)
    out.uint64(UInt64(bitPattern: value.since.secondsSinceEpoch))
    write(value.time, to: &out, write)
    write(value.held, to: &out, write)
  }

  static func lock(_ reader: inout ByteReader) throws(ByteReader.Problem) -> Lock {
    let order = try epochFloor(&reader)
    let profile = try profile(&reader)
    let bundle = try bundleName(&reader)
    let serial = Serial(try reader.uint64("serial"))
    let index = try reader.uint8("place of profile")
    var principals: [String] = []
    let count = Int(try reader.uint8("number of signers"))
    guard count <= UnverifiedOrder.maximumSignatures else { throw .malformed(field: "number of signers") }
    for _ in 0..<count { principals.append(try reader.text("signer", atMost: maximumText)) }
    var sources: [String] = []
    let known = Int(try reader.uint8("number of sources"))
    guard known <= maximumSources else { throw .malformed(field: "number of sources") }
    for _ in 0..<known { sources.append(try reader.text("source", atMost: maximumText)) }
    let reason = try reader.text("reason", atMost: maximumText)
    let since = UTCTime(secondsSinceEpoch: Int64(bitPattern: try reader.uint64("time")))
    let time = try optional(&reader, "time left", lockTime)
    return Lock(
      order: order, profile: profile, bundle: bundle, serial: serial, index: index, principals: principals,
      sources: sources, reason: reason, since: since, time: time, held: try optional(&reader, "held layer", heldLayer))
  }

  static func write(_ value: LiftCause, to out: inout ByteWriter) {
    switch value {
    case .order(let epoch):
      out.uint8(0)
      out.uint64(epoch.value)
    case .itself: out.uint8(1)
    case .console(let reason):
      out.uint8(2)
      write(reason, to: &out)
    }
  }

  static func liftCause(_ reader: inout ByteReader) throws(ByteReader.Problem) -> LiftCause {
    switch try reader.uint8("cause of lift") {
    case 0: .order(try epoch(&reader))
    case 1: .itself
    case 2: .console(try reader.text("reason", atMost: maximumText))
    default: throw .malformed(field: "cause of lift")
    }
  }

  static func write(_ value: LastLift, to out: inout ByteWriter) {
    out.uint64(value.epoch.value)
    write(value.cause, to: &out)
    out.uint64(UInt64(bitPattern: value.at.secondsSinceEpoch))
  }

  static func lastLift(_ reader: inout ByteReader) throws(ByteReader.Problem) -> LastLift {
    let epoch = try epoch(&reader)
    let cause = try liftCause(&reader)
    return LastLift(
      epoch: epoch, cause: cause, at: UTCTime(secondsSinceEpoch: Int64(bitPattern: try reader.uint64("time"))))
  }
}
