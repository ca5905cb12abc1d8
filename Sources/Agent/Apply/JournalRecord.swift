package import Core
package import Release
package import Wire

/// One transition of the host, made durable before the next step is taken.
///
/// There is no record between the two families: recovery does the same whether one was loaded or both, and an fsync
/// there would widen the time in which they differ.
package enum JournalRecord: Hashable, Sendable {
  /// First in a compacted journal: everything before it.
  case snapshot(Ledger)
  /// A verified bundle is on disk.
  case staged(OpenTransaction)
  /// Rehearsed; the serial floor is raised before anything is applied.
  case armed(InstalledRelease, ArmedDeadline?)
  /// From here on the kernel may hold anything between the old rules and the new.
  case applying(TransactionID)
  /// The kernel holds the new rules, re-read and equal to the rehearsal; they wait to be confirmed.
  case applied(TransactionID, Nonce, ArmedDeadline)
  /// They are there to stay. The pointer is flipped after this.
  case committed(CommittedBundle, InstalledRelease, Outcome)
  /// Ended before the kernel was touched.
  case abandoned(TransactionID)
  case rollingBack(TransactionID, why: String)
  /// Both families hold the last committed bundle again.
  case rolledBack(Outcome)
  /// Neither new nor old could be loaded. The outcome is nil when no transaction was under way (at boot).
  case safePolicy(why: String, Outcome?)
  /// The safe policy is about to take whole tables, other people's rules with them.
  case safePolicyIsWhole
  /// Root did something at the console.
  case localAct(LocalAct)
  /// The last committed bundle is loaded again after the safe policy was.
  case restored
  /// An answer given without changing anything.
  case answered(Outcome)
  /// The committed bundle was rehearsed anew, since the host's programs changed.
  case expectation(Expectation)
  /// A file that nothing signed covers was written, or is to be there no more.
  case noted(NotedFile, NotedState)
  /// Before anything of the lock is done. A change that waited to be confirmed cannot be any more.
  case lockdown(Lock, voids: TransactionID?)
  /// Both families hold the layer of the lock of this epoch, re-read.
  case locked(Epoch, HeldLayer)
  /// Before the layer is touched: the lock stays one until `lifted`.
  case lifting(EpochFloor?, LiftCause)
  /// Nothing of the layer is left, re-read.
  case lifted(LiftCause, UTCTime)
  /// What is left of the time of the lock of this epoch.
  case lockTime(Epoch, LockTime)
  /// An order that asks nothing of this host.
  case heard(EpochFloor)
}

extension JournalRecord {
  /// Longer records are damage: nothing we write comes near.
  package static let maximumSize = 64 << 10
  static let maximumText = 2 << 10

  package func encode() -> [UInt8] {
    var out = ByteWriter()
    switch self {
    case .snapshot(let ledger):
      out.uint8(26)
      Self.write(ledger, to: &out)
    case .staged(let transaction):
      out.uint8(13)
      Self.write(transaction, to: &out)
    case .armed(let floor, let deadline):
      out.uint8(14)
      Self.write(floor, to: &out)
      Self.write(deadline, to: &out, Self.write)
    case .applying(let transaction):
      out.uint8(3)
      out.raw(transaction.bytes)
    case .applied(let transaction, let nonce, let deadline):
      out.uint8(4)
      out.raw(transaction.bytes)
      out.raw(nonce.bytes)
      Self.write(deadline, to: &out)
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
    case .safePolicyIsWhole: out.uint8(17)
    case .localAct(let act):
      out.uint8(16)
      Self.write(act, to: &out)
    case .restored: out.uint8(10)
    case .answered(let outcome):
      out.uint8(11)
      Self.write(outcome, to: &out)
    case .expectation(let expectation):
      out.uint8(12)
      Self.write(expectation, to: &out)
    case .noted(let file, let state):
      out.uint8(18)
      Self.write(file, to: &out)
      Self.write(state, to: &out)
    case .lockdown(let lock, let voided):
      out.uint8(20)
      Self.write(lock, to: &out)
      Self.write(voided, to: &out) { voided, out in out.raw(voided.bytes) }
    case .locked(let epoch, let held):
      out.uint8(21)
      out.uint64(epoch.value)
      Self.write(held, to: &out)
    case .lifting(let floor, let cause):
      out.uint8(22)
      Self.write(floor, to: &out, Self.write)
      Self.write(cause, to: &out)
    case .lifted(let cause, let time):
      out.uint8(23)
      Self.write(cause, to: &out)
      out.uint64(UInt64(bitPattern: time.secondsSinceEpoch))
    case .lockTime(let epoch, let time):
      out.uint8(24)
      out.uint64(epoch.value)
      Self.write(time, to: &out)
    case .heard(let floor):
      out.uint8(25)
      Self.write(floor, to: &out)
    }
    return out.bytes
  }

  package init(decoding bytes: ArraySlice<UInt8>) throws(ByteReader.Problem) {
    var reader = ByteReader(bytes)
    switch try reader.uint8("record type") {
    // 0, 1 and 2 are as agents wrote them that did not wait for confirmations.
    case 0: self = .snapshot(try Self.ledger(&reader, form: .withoutConfirmation))
    case 1: self = .staged(try Self.transaction(&reader, form: .withoutConfirmation))
    case 2: self = .armed(try Self.floor(&reader), nil)
    case 3: self = .applying(try Self.transactionID(&reader))
    case 4:
      let id = try Self.transactionID(&reader)
      let nonce = try Self.nonce(&reader)
      self = .applied(id, nonce, try Self.deadline(&reader))
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
    case 13: self = .staged(try Self.transaction(&reader, form: .current))
    case 14:
      let floor = try Self.floor(&reader)
      self = .armed(floor, try Self.optional(&reader, "deadline", Self.deadline))
    // As agents wrote it that noted nothing.
    case 15: self = .snapshot(try Self.ledger(&reader, form: .withoutNotes))
    case 16: self = .localAct(try Self.localAct(&reader))
    case 17: self = .safePolicyIsWhole
    case 18:
      let file = try Self.notedFile(&reader)
      self = .noted(file, try Self.notedState(&reader))
    // As agents wrote it that knew no lockdowns.
    case 19: self = .snapshot(try Self.ledger(&reader, form: .withoutLocks))
    case 20:
      let lock = try Self.lock(&reader)
      self = .lockdown(lock, voids: try Self.optional(&reader, "voided transaction", Self.transactionID))
    case 21:
      let epoch = try Self.epoch(&reader)
      self = .locked(epoch, try Self.heldLayer(&reader))
    case 22:
      let floor = try Self.optional(&reader, "order", Self.epochFloor)
      self = .lifting(floor, try Self.liftCause(&reader))
    case 23:
      let cause = try Self.liftCause(&reader)
      self = .lifted(cause, UTCTime(secondsSinceEpoch: Int64(bitPattern: try reader.uint64("time"))))
    case 24:
      let epoch = try Self.epoch(&reader)
      self = .lockTime(epoch, try Self.lockTime(&reader))
    case 25: self = .heard(try Self.epochFloor(&reader))
    case 26: self = .snapshot(try Self.ledger(&reader, form: .current))
    default: throw .malformed(field: "record type")
    }
    try reader.end()
  }
}
