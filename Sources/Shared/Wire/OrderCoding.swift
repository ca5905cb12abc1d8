internal import Core

extension OrderDelivery {
  func write(to out: inout ByteWriter) {
    out.raw(nonce.bytes)
    out.uint8(kind.rawValue)
    out.string(statement)
    out.uint8(UInt8(clamping: signatures.count))
    for signature in signatures { out.string(signature) }
  }

  init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    let nonce = try reader.nonce()
    let kind = try reader.one(of: Kind.self, "kind of order")
    let statement = try reader.string("order", atMost: WireLimit.order)
    let count = Int(try reader.uint8("number of signatures"))
    guard count <= BundleFile.maximumSignatures else {
      throw .tooLong(field: "number of signatures", length: count, limit: BundleFile.maximumSignatures)
    }
    var signatures: [[UInt8]] = []
    for _ in 0..<count { signatures.append(Array(try reader.string("signature", atMost: WireLimit.orderSignature))) }
    self.init(nonce: nonce, kind: kind, statement: Array(statement), signatures: signatures)
  }
}

extension Obeyed {
  func write(to out: inout ByteWriter) {
    out.epoch(epoch)
    out.uint8(result.rawValue)
    out.optional(lock) { out, lock in lock.write(to: &out) }
    out.uint32(flowsCut)
    for time in [times.verify, times.journal, times.load, times.cut, times.reread] { out.uint32(time) }
    let warnings = warnings.prefix(WireLimit.warnings)
    out.clamped(warnings.count)
    for warning in warnings { out.clipped(warning, to: WireLimit.warning) }
  }

  init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    let epoch = try reader.epoch()
    let result = try reader.one(of: Result.self, "result")
    let lock = try reader.optional("lock") { (reader) throws(ByteReader.Problem) in try LockReport(&reader) }
    let flowsCut = try reader.uint32("connections cut")
    let times = Times(
      verify: try reader.uint32("time to verify"), journal: try reader.uint32("time to record"),
      load: try reader.uint32("time to load"), cut: try reader.uint32("time to cut"),
      reread: try reader.uint32("time to read back"))
    var warnings: [String] = []
    for _ in 0..<(try reader.count("number of warnings", atMost: WireLimit.warnings)) {
      warnings.append(try reader.text("warning", atMost: WireLimit.warning))
    }
    self.init(epoch: epoch, result: result, lock: lock, flowsCut: flowsCut, times: times, warnings: warnings)
  }
}

extension LockdownReport {
  func write(to out: inout ByteWriter) {
    out.optional(lock) { out, lock in lock.write(to: &out) }
    out.epoch(heard)
    let profiles = profiles.prefix(WireLimit.profiles)
    out.clamped(profiles.count)
    for profile in profiles {
      out.text(profile.name.description)
      out.uint16(profile.rank.value)
      out.optional(profile.problem) { out, words in out.clipped(words, to: WireLimit.reason) }
    }
    out.optional(lastLift) { out, lift in lift.write(to: &out) }
  }

  init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    let lock = try reader.optional("lock") { (reader) throws(ByteReader.Problem) in try LockReport(&reader) }
    let heard = try reader.epoch()
    var profiles: [Profile] = []
    for _ in 0..<(try reader.count("number of profiles", atMost: WireLimit.profiles)) {
      profiles.append(
        Profile(
          name: try reader.profileName(), rank: try reader.lockRank(),
          problem: try reader.optional("problem of profile") { (reader) throws(ByteReader.Problem) in
            try reader.text("problem of profile", atMost: WireLimit.reason)
          }))
    }
    let lift = try reader.optional("last lift") { (reader) throws(ByteReader.Problem) in try LiftReport(&reader) }
    self.init(lock: lock, heard: heard, profiles: profiles, lastLift: lift)
  }
}

extension LockReport {
  fileprivate func write(to out: inout ByteWriter) {
    out.epoch(epoch)
    out.digest(order)
    out.text(profile.description)
    out.uint16(rank.value)
    let principals = principals.prefix(BundleFile.maximumSignatures)
    out.clamped(principals.count)
    for principal in principals { out.clipped(principal, to: WireLimit.principal) }
    out.clipped(reason, to: WireLimit.reason)
    out.uint8(phase.rawValue)
    out.time(since)
    out.optional(secondsLeft) { $0.uint32($1) }
    out.serial(serial)
    for family in Family.allCases {
      out.optional(differences[family]) { out, words in out.clipped(words, to: WireLimit.reason) }
    }
    out.optional(uncut) { out, words in out.clipped(words, to: WireLimit.reason) }
  }

  fileprivate init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    let epoch = try reader.epoch()
    let order = try reader.digest("order")
    let profile = try reader.profileName()
    let rank = try reader.lockRank()
    var principals: [String] = []
    for _ in 0..<(try reader.count("number of signers", atMost: BundleFile.maximumSignatures)) {
      principals.append(try reader.text("signer", atMost: WireLimit.principal))
    }
    let reason = try reader.text("reason", atMost: WireLimit.reason)
    let phase = try reader.one(of: Phase.self, "phase of lock")
    let since = try reader.time("time of lock")
    let left = try reader.optional("seconds left") { (reader) throws(ByteReader.Problem) in
      try reader.uint32("seconds left")
    }
    let serial = try reader.serial()
    let differences = try PerFamily { (_) throws(ByteReader.Problem) in
      try reader.optional("difference of lock") { (reader) throws(ByteReader.Problem) in
        try reader.text("difference of lock", atMost: WireLimit.reason)
      }
    }
    let uncut = try reader.optional("connections not cut") { (reader) throws(ByteReader.Problem) in
      try reader.text("connections not cut", atMost: WireLimit.reason)
    }
    self.init(
      epoch: epoch, order: order, profile: profile, rank: rank, principals: principals, reason: reason, phase: phase,
      since: since, secondsLeft: left, serial: serial, differences: differences, uncut: uncut)
  }
}

extension LiftReport {
  fileprivate func write(to out: inout ByteWriter) {
    out.epoch(epoch)
    switch cause {
    case .order(let epoch):
      out.uint8(0)
      out.epoch(epoch)
    case .itself: out.uint8(1)
    case .console(let reason):
      out.uint8(2)
      out.clipped(reason, to: WireLimit.reason)
    }
    out.time(at)
  }

  fileprivate init(_ reader: inout ByteReader) throws(ByteReader.Problem) {
    let epoch = try reader.epoch()
    let cause: Cause
    switch try reader.uint8("cause of lift") {
    case 0: cause = .order(try reader.epoch())
    case 1: cause = .itself
    case 2: cause = .console(try reader.text("reason", atMost: WireLimit.reason))
    default: throw .malformed(field: "cause of lift")
    }
    self.init(epoch: epoch, cause: cause, at: try reader.time("time of lift"))
  }
}

extension ByteReader {
  fileprivate mutating func epoch() throws(Problem) -> Epoch { Epoch(try uint64("epoch")) }

  fileprivate mutating func profileName() throws(Problem) -> ProfileName {
    guard let name = ProfileName(try text("profile", atMost: ProfileName.maximumLength)) else {
      throw .malformed(field: "profile")
    }
    return name
  }

  fileprivate mutating func lockRank() throws(Problem) -> LockRank {
    guard let rank = LockRank(try uint16("rank")) else { throw .malformed(field: "rank") }
    return rank
  }
}

extension ByteWriter {
  fileprivate mutating func epoch(_ epoch: Epoch) { uint64(epoch.value) }
}
