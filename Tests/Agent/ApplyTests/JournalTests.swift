import AgentTestSupport
import Core
import Release
import Testing
import Wire

@testable import Apply

@Suite struct JournalTests {
  static let digests = (0..<6).map { Digest(of: [UInt8($0)]) }
  static let transaction = TransactionID(bytes: [UInt8](repeating: 7, count: 16))!
  static let name = BundleName(Serial(7), unique: 0xabc)
  static let accepted = InstalledRelease(serial: Serial(7), manifest: digests[0], statement: digests[1])
  static let expectation = Expectation(
    digests: PerFamily(ipv4: digests[2], ipv6: digests[3]), programs: "1.8.9 nft")
  static let bundle = CommittedBundle(
    name: name, accepted: accepted, content: digests[4], at: SignedBundles.now, expectation: expectation)
  static func outcome(_ result: Outcome.Result = .reverted) -> Outcome {
    Outcome(transaction: transaction, result: result, serial: Serial(7), manifest: digests[0], detail: "why – not")
  }
  static let open = OpenTransaction(id: transaction, bundle: name, release: accepted, content: digests[4])

  static let deadline = ArmedDeadline(time: BootTime(nanoseconds: 61_000_000_000), bootID: "8c5f")
  static let nonce = Nonce(bytes: [UInt8](repeating: 9, count: 32))!
  static let act = LocalAct(deed: .rollback, at: SignedBundles.now, reason: "the console, at night")

  static let note = NotedState(digest: digests[5], at: SignedBundles.now, isLate: true)
  static let unwritten = NotedState(digest: nil, at: SignedBundles.now, isLate: false)

  static let records: [JournalRecord] = [
    .applied(transaction, nonce, deadline), .armed(accepted, nil), .safePolicyIsWhole, .localAct(act),
    .staged(
      OpenTransaction(
        id: transaction, bundle: name, release: accepted, content: digests[4], phase: .applied,
        needsConfirmation: false, isManual: true, localAct: act)),
    .staged(open), .armed(accepted, deadline), .applying(transaction),
    .committed(bundle, accepted, outcome(.committed)),
    .abandoned(transaction), .rollingBack(transaction, why: "ipv4 failed"), .rolledBack(outcome()),
    .safePolicy(why: "nothing loads", outcome(.failed)), .safePolicy(why: "boot", nil), .restored,
    .answered(outcome(.unchanged)), .expectation(expectation), .noted(.others, note), .noted(.kernel, unwritten),
    .snapshot(wholeLedger), .snapshot(Ledger()),
  ]

  static var wholeLedger: Ledger {
    var ledger = Ledger()
    for record in [
      JournalRecord.committed(bundle, accepted, outcome(.committed)), .safePolicy(why: "x", outcome(.failed)),
      .staged(open), .applied(transaction, nonce, deadline), .rolledBack(outcome()), .localAct(act), .safePolicyIsWhole,
      .committed(
        CommittedBundle(
          name: name, accepted: accepted, content: digests[5], at: SignedBundles.now, expectation: expectation),
        accepted, outcome(.committed)),
      .staged(open), .applied(transaction, nonce, deadline), .noted(.kernel, note), .noted(.others, unwritten),
    ] { ledger.replay(record) }
    return ledger
  }

  @Test(arguments: records) func `every record comes back as it was written`(record: JournalRecord) throws {
    #expect(try JournalRecord(decoding: record.encode()[...]) == record)
  }

  @Test(arguments: records) func `a record cut anywhere or with a byte too many is refused`(record: JournalRecord) {
    let bytes = record.encode()
    for count in 0..<bytes.count {
      #expect(throws: ByteReader.Problem.self) { try JournalRecord(decoding: bytes.prefix(count)) }
    }
    #expect(throws: ByteReader.Problem.self) { try JournalRecord(decoding: (bytes + [0])[...]) }
  }

  @Test func `what agents wrote that did not wait for confirmations is still read`() throws {
    // A transaction without the five flags at its end, ARMED without a deadline, a snapshot without its last eight.
    let staged = [1] + JournalRecord.staged(Self.open).encode().dropFirst().dropLast(5)
    #expect(try JournalRecord(decoding: staged[...]) == .staged(Self.open))
    let armed = [2] + JournalRecord.armed(Self.accepted, nil).encode().dropFirst().dropLast(1)
    #expect(try JournalRecord(decoding: armed[...]) == .armed(Self.accepted, nil))
    var ledger = Ledger()
    ledger.replay(.armed(Self.accepted, nil))
    let snapshot = [0] + JournalRecord.snapshot(ledger).encode().dropFirst().dropLast(8)
    #expect(try JournalRecord(decoding: snapshot[...]) == .snapshot(ledger))
    let unnoted = [15] + JournalRecord.snapshot(ledger).encode().dropFirst().dropLast(5)
    #expect(try JournalRecord(decoding: unnoted[...]) == .snapshot(ledger))
  }

  @Test func `the checksum is CRC-32C`() {
    // RFC 3720 appendix B.4: 32 bytes of zeros, and the customary check value.
    #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
    #expect(CRC32C.checksum("123456789".utf8) == 0xe306_9283)
  }

  @Test func `a journal torn at any byte of its last record says what stood before it`() throws {
    let first = Self.records.prefix(4).flatMap(Journal.frame)
    let whole = try Journal.parse(first)
    let last = Journal.frame(.rolledBack(Self.outcome()))
    for count in 0..<last.count {
      let parsed = try Journal.parse(first + last.prefix(count))
      #expect(parsed.ledger == whole.ledger)
      #expect(parsed.goodBytes == first.count)
    }
    // A tail of the right length whose pages never reached the disk.
    for count in 1...last.count {
      let zeroed = last.prefix(last.count - count) + [UInt8](repeating: 0, count: count)
      if Array(zeroed) == last { continue }
      #expect(try Journal.parse(first + zeroed).goodBytes == first.count)
    }
  }

  @Test func `opening a torn journal cuts the tail off, and what is appended then is found`() throws {
    let disk = MemoryDisk(faults: Faults())
    var journal = try Journal(on: disk)
    try journal.append(.staged(Self.open))
    let whole = try #require(try disk.read("journal", atMost: 1 << 20))
    for count in 1..<Journal.frame(.armed(Self.accepted, Self.deadline)).count {
      disk.tamper("journal", whole + Journal.frame(.armed(Self.accepted, Self.deadline)).prefix(count))
      var reopened = try Journal(on: disk)
      #expect(reopened.ledger.open == Self.open)
      try reopened.append(.abandoned(Self.transaction))
      #expect(try Journal.read(from: disk).open == nil)
    }
  }

  @Test func `a bad record with a good one after it is damage, and is not guessed around`() throws {
    let frames = Self.records.prefix(3).map(Journal.frame)
    let bytes = frames.flatMap { $0 }
    for index in 0..<(frames[0].count + frames[1].count) {
      var damaged = bytes
      damaged[index] ^= 0x40
      let damage = #expect(throws: JournalDamage.self) { try Journal.parse(damaged) }
      #expect(damage?.offset == (index < frames[0].count ? 0 : frames[0].count))
    }
  }

  @Test func `random bytes never crash the parser`() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = seed
    for _ in 0..<2000 {
      var bytes: [UInt8] = []
      for _ in 0..<Int(random % 300) {
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes.append(UInt8(truncatingIfNeeded: random >> 33))
      }
      random = random &* 6_364_136_223_846_793_005 &+ 1
      _ = try? Journal.parse(bytes)
      _ = try? JournalRecord(decoding: bytes[...])
    }
  }

  @Test func `a journal that grows is rewritten as one snapshot with the same meaning`() throws {
    let faults = Faults()
    let disk = MemoryDisk(faults: faults)
    var journal = try Journal(on: disk, compactingAt: 2000)
    var sizes: [Int] = []
    for number in 0..<100 {
      var outcome = Self.outcome()
      outcome.serial = Serial(UInt64(number))
      try journal.append(.rolledBack(outcome))
      sizes.append(try #require(try disk.read("journal", atMost: 1 << 20)).count)
      #expect(try Journal.read(from: disk) == journal.ledger)
    }
    #expect(sizes.max()! < 4000)
    disk.cutPower()
    #expect(try Journal.read(from: disk) == journal.ledger)
  }

  @Test func `a compaction that fails or dies anywhere loses nothing`() throws {
    var number = 0
    for dies in [true, false] {
      number = 0
      while true {
        number += 1
        let faults = Faults()
        let disk = MemoryDisk(faults: faults)
        var journal = try Journal(on: disk, compactingAt: 700)
        for _ in 0..<3 { try journal.append(.armed(Self.accepted, Self.deadline)) }
        faults.arm(dies ? .die(number) : .fail(number))
        for _ in 0..<12 { _ = try? journal.append(.answered(Self.outcome())) }
        let reached = faults.calls >= number
        faults.restart()
        disk.cutPower()
        let ledger = try Journal(on: disk).ledger
        #expect(ledger.floor == Self.accepted)
        guard reached else { break }
      }
      #expect(number > 20)
    }
  }

  /// What an agent read it has acted on: a kill between a write and its sync, and a power cut later, must not take it back.
  @Test(arguments: [true, false])
  func `what a journal has said it still says after a power cut`(dies: Bool) throws {
    var number = 0
    var reached = true
    while reached {
      number += 1
      let faults = Faults()
      let disk = MemoryDisk(faults: faults)
      var journal = try Journal(on: disk, compactingAt: 700)
      faults.arm(dies ? .die(number) : .fail(number))
      for serial in 1...12 {
        var outcome = Self.outcome()
        outcome.serial = Serial(UInt64(serial))
        _ = try? journal.append(.answered(outcome))
      }
      reached = faults.calls >= number
      faults.restart()
      let said = dies ? try Journal(on: disk).ledger : journal.ledger
      disk.cutPower()
      #expect(try Journal.read(from: disk) == said, "call \(number)")
    }
    #expect(number > 20)
  }

  @Test func `an append that fails is not in the journal, and the next one is`() throws {
    let faults = Faults()
    for number in 1...2 {
      let disk = MemoryDisk(faults: faults)
      faults.restart()
      var journal = try Journal(on: disk)
      try journal.append(.staged(Self.open))
      faults.arm(.fail(number))
      #expect(throws: SystemCallError.self) { try journal.append(.armed(Self.accepted, Self.deadline)) }
      #expect(try Journal.read(from: disk).floor == nil)
      try journal.append(.abandoned(Self.transaction))
      #expect(try Journal.read(from: disk).open == nil)
    }
  }

  @Test func `sixteen answers are kept, the latest of each transaction, and the floor never sinks`() {
    var ledger = Ledger()
    for number in 0..<40 {
      let id = TransactionID(bytes: [UInt8](repeating: UInt8(number / 2), count: 16))!
      ledger.replay(
        .answered(
          Outcome(
            transaction: id, result: .unchanged, serial: Serial(UInt64(number)), manifest: Self.digests[0], detail: ""))
      )
    }
    #expect(ledger.outcomes.count == 16)
    #expect(ledger.outcomes.last?.serial == Serial(39))
    ledger.replay(.armed(Self.accepted, Self.deadline))
    ledger.replay(
      .armed(InstalledRelease(serial: Serial(3), manifest: Self.digests[5], statement: Self.digests[5]), nil))
    #expect(ledger.floor == Self.accepted)
  }

  @Test func `long words are cut so that a record can always be read back`() throws {
    let words = String(repeating: "é", count: 100_000)
    let record = try JournalRecord(decoding: JournalRecord.rollingBack(Self.transaction, why: words).encode()[...])
    guard case .rollingBack(_, let why) = record else {
      Issue.record("another record came back")
      return
    }
    #expect(!why.isEmpty && why.utf8.count <= 2048)
  }

  @Test(arguments: ["../journal", "7-", "7-00000000000000G0", "07-0000000000000abc", "7-0000000000000abc/x", ""])
  func `only names of our own form are bundle names`(name: String) {
    #expect(BundleName(name) == nil)
    #expect(BundleName("7-0000000000000abc") == Self.name)
  }
}
