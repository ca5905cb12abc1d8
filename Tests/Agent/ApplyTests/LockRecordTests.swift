import AgentTestSupport
import Core
import Release
import Testing
import Wire

@testable import Apply

/// What the journal says of locks, and what comes of it.
@Suite struct LockRecordTests {
  static func floor(_ epoch: UInt64, _ order: UInt8 = 0) -> EpochFloor {
    EpochFloor(epoch: Epoch(epoch), order: Digest(of: [order, UInt8(truncatingIfNeeded: epoch)]))
  }

  static func entry(_ name: String = "isolate", rank: UInt16 = 30) -> ProfileEntry {
    let files = PerFamily(
      ipv4: Manifest.File(size: 812, digest: Digest(of: Array(name.utf8))),
      ipv6: Manifest.File(size: 1020, digest: Digest(of: Array(name.utf8) + [6])))
    do { return try ProfileEntry(name: ProfileName(name)!, rank: LockRank(rank)!, files: files) } catch {
      preconditionFailure("profile \(name): \(error)")
    }
  }

  static func lock(_ epoch: UInt64 = 7, profile: String = "isolate", rank: UInt16 = 30, seconds: UInt32? = 7200) -> Lock
  {
    Lock(
      order: floor(epoch), profile: entry(profile, rank: rank), bundle: JournalTests.name, serial: Serial(7), index: 1,
      principals: ["anna@example.net", "lena"],
      sources: ["192.0.2.7/32", "2001:db8::7/128"], reason: "INC-991 – gestohlen", since: SignedBundles.now,
      time: seconds.map { LockTime(secondsLeft: $0, at: RunningTime(nanoseconds: 5_000_000_000), bootID: "8c5f") })
  }

  static let held = HeldLayer(expectation: JournalTests.expectation, isBuiltIn: false)
  static let builtIn = HeldLayer(expectation: JournalTests.expectation, isBuiltIn: true, uncut: "no conntrack")
  static let later = LockTime(secondsLeft: 7190, at: RunningTime(nanoseconds: 15_000_000_000), bootID: "8c5f")

  static var lockedLedger: Ledger {
    var ledger = JournalTests.wholeLedger
    for record in [
      JournalRecord.lockdown(lock(5, seconds: nil), voids: nil), .lifting(nil, .itself),
      .lifted(.itself, SignedBundles.now), .lockdown(lock(), voids: nil), .locked(Epoch(7), held),
    ] { ledger.replay(record) }
    return ledger
  }

  static let records: [JournalRecord] = [
    .lockdown(lock(), voids: nil), .lockdown(lock(seconds: nil), voids: JournalTests.transaction),
    .locked(Epoch(7), held), .locked(Epoch(7), builtIn), .lifting(floor(8), .order(Epoch(8))), .lifting(nil, .itself),
    .lifted(.console("the door is shut"), SignedBundles.now), .lifted(.order(Epoch(8)), SignedBundles.now),
    .lockTime(Epoch(7), later), .heard(floor(9)), .snapshot(lockedLedger),
  ]

  @Test(arguments: records) func `every record comes back as it was written`(record: JournalRecord) throws {
    #expect(try JournalRecord(decoding: record.encode()[...]) == record)
  }

  @Test(arguments: records) func `a record cut anywhere, or with a byte too many, is refused`(record: JournalRecord) {
    let bytes = record.encode()
    for count in 0..<bytes.count {
      #expect(throws: ByteReader.Problem.self) { try JournalRecord(decoding: bytes.prefix(count)) }
    }
    #expect(throws: ByteReader.Problem.self) { try JournalRecord(decoding: (bytes + [0])[...]) }
  }

  @Test func `a byte that was changed is another record or none, and never a crash`() {
    for record in Self.records {
      let bytes = record.encode()
      for index in bytes.indices {
        var changed = bytes
        changed[index] ^= 1 << (index % 8)
        guard let read = try? JournalRecord(decoding: changed[...]) else { continue }
        #expect(read != record && read.encode() == changed)
      }
    }
  }

  @Test func `snapshots of agents that knew no lockdowns are still read`() throws {
    let ledger = JournalTests.wholeLedger
    let before = [19] + JournalRecord.snapshot(ledger).encode().dropFirst().dropLast(3)
    #expect(try JournalRecord(decoding: before[...]) == .snapshot(ledger))
  }

  @Test func `a profile of no size, a name that is none and a rank out of bounds are damage`() {
    let bytes = JournalRecord.lockdown(Self.lock(), voids: nil).encode()
    let name = 1 + 8 + 32 + 4
    var changes: [(Int, UInt8)] = [(name, UInt8(ascii: "-")), (name + 7, 0xff)]
    changes += (0..<4).map { (name + 7 + 2 + $0, 0) }
    var sizeless = bytes
    for (index, byte) in changes.suffix(4) { sizeless[index] = byte }
    for (index, byte) in changes.prefix(2) {
      var changed = bytes
      changed[index] = byte
      #expect(throws: ByteReader.Problem.malformed(field: "profile")) { try JournalRecord(decoding: changed[...]) }
    }
    #expect(throws: ByteReader.Problem.malformed(field: "profile")) { try JournalRecord(decoding: sizeless[...]) }
  }

  @Test func `sixteen signers of long names and a long reason make a record that is read back`() throws {
    var lock = Self.lock()
    lock.principals = (0..<16).map { String(repeating: "\($0 % 10)", count: 5000) }
    lock.reason = String(repeating: "é", count: 5000)
    lock.sources = (0..<300).map { "2001:db8:\($0)::/48" }
    let bytes = JournalRecord.lockdown(lock, voids: nil).encode()
    #expect(bytes.count <= JournalRecord.maximumSize)
    guard case .lockdown(let read, nil) = try JournalRecord(decoding: bytes[...]) else {
      Issue.record("another record came back")
      return
    }
    #expect(read.principals.count == 16 && read.sources == Array(lock.sources.prefix(64)))
  }

  // MARK: - Replay

  private func replayed(_ records: [JournalRecord], onto start: Ledger = Ledger()) -> Ledger {
    var ledger = start
    for record in records { ledger.replay(record) }
    return ledger
  }

  @Test func `a lock is there from its first record to its last`() {
    let lock = Self.lock()
    var ledger = replayed([.lockdown(lock, voids: nil)])
    #expect(ledger.lock == lock && ledger.lock?.held == nil)
    #expect(ledger.epochFloor == lock.order)
    ledger.replay(.locked(Epoch(7), Self.held))
    #expect(ledger.lock?.held == Self.held)
    ledger.replay(.lifting(Self.floor(8), .order(Epoch(8))))
    #expect(ledger.lock?.held == Self.held)
    #expect(ledger.epochFloor == Self.floor(8))
    ledger.replay(.lifted(.order(Epoch(8)), SignedBundles.now))
    #expect(ledger.lock == nil)
    #expect(ledger.lastLift == LastLift(epoch: Epoch(7), cause: .order(Epoch(8)), at: SignedBundles.now))
    #expect(ledger.epochFloor == Self.floor(8))
  }

  @Test func `another lock takes its place, and has to be read back anew`() {
    let ledger = replayed([
      .lockdown(Self.lock(), voids: nil), .locked(Epoch(7), Self.held), .lockdown(Self.lock(9), voids: nil),
      // Of the lock before: too late.
      .locked(Epoch(7), Self.held), .lockTime(Epoch(7), Self.later),
    ])
    #expect(ledger.lock == Self.lock(9))
  }

  @Test func `the epoch that was heard never goes down`() {
    var ledger = replayed([.heard(Self.floor(9))])
    for record in [
      JournalRecord.heard(Self.floor(8)), .lifting(Self.floor(7), .order(Epoch(7))), .lifting(nil, .itself),
      .lockdown(Self.lock(3), voids: nil),
    ] {
      ledger.replay(record)
      #expect(ledger.epochFloor == Self.floor(9))
    }
    ledger.replay(.heard(Self.floor(10)))
    #expect(ledger.epochFloor == Self.floor(10))
  }

  @Test func `a change that waits cannot be confirmed after a lock, and no other phase or transaction is touched`() {
    var waiting = JournalTests.open
    waiting.phase = .applied
    waiting.nonce = JournalTests.nonce
    func phase(_ open: OpenTransaction, voids: TransactionID?) -> OpenTransaction.Phase? {
      replayed([.staged(open), .lockdown(Self.lock(), voids: voids)]).open?.phase
    }
    #expect(phase(waiting, voids: waiting.id) == .rollingBack)
    #expect(phase(waiting, voids: nil) == .applied)
    #expect(phase(waiting, voids: .random()) == .applied)
    #expect(phase(JournalTests.open, voids: waiting.id) == .staged)
  }

  // MARK: - Time

  @Test(arguments: [
    (0, 7200), (999, 7200), (1000, 7199), (10_500, 7190), (7_199_999, 1), (7_200_000, 0), (9_000_000, 0),
  ])
  func `only running time counts, and what is left is rounded up`(milliseconds: Int, left: UInt32) {
    let start = RunningTime(nanoseconds: 1_000_000_000)
    let time = LockTime(secondsLeft: 7200, at: start, bootID: "a")
    let now = start + .milliseconds(milliseconds)
    #expect(time.secondsLeft(at: now, bootID: "a") == left)
    #expect(time.secondsLeft(at: now, bootID: "b") == 7200)
    // A clock that stands before the record is no time gained.
    #expect(time.secondsLeft(at: RunningTime(nanoseconds: 0), bootID: "a") == 7200)
  }
}
