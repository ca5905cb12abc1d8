import Audit
import Core
import Foundation
import Glibc
import Testing

@testable import Store

/// A log whose last line does not hold: nothing is chained to it, nothing of it is lost, and nobody is blocked.
struct AuditSuccessionTests {
  let scratch: Scratch
  init() throws { scratch = try Scratch() }

  private var kept: String { scratch.log.path + ".broken-1" }

  private func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

  /// - Returns: the altered log, and the hash of the line before.
  private func alterLastLine() throws -> (bytes: [UInt8], head: Digest) {
    let head = try scratch.fill(2)
    try scratch.fill(1)
    var bytes = try scratch.content()
    bytes[bytes.count - 200] ^= 1
    try scratch.write(bytes)
    return (bytes, head)
  }

  @Test func `an altered last line is told, and the next action keeps the log and begins one that says so`() throws {
    let (altered, head) = try alterLastLine()
    let told = try scratch.log.verify()
    #expect(!told.isIntact && told.problems.map(\.line) == [3])
    let appended = try scratch.log.append { entry($0) }
    #expect(appended.warning?.contains("audit.ndjson.broken-1") == true)
    #expect(try bytes(kept) == altered)

    let entries = try scratch.log.entries()
    try #require(entries.map(\.sequence) == [1, 2, 1, 2])
    #expect(entries[2].phase == .note && entries[3].phase == .began)
    let before = try #require(entries[2].follows)
    #expect(before.file == "audit.ndjson.broken-1" && before.lines == 3 && before.head == head.description)
    #expect(before.digest == Digest(of: altered).description)
    #expect(before.why.contains("it was altered"), "\(before.why)")
    let verification = try scratch.log.verify()
    #expect(verification.isIntact && verification.follows == [before])
    // A hash noted of the log before is found there.
    #expect(try scratch.log.verify(head: head).isIntact)
    #expect(try !scratch.log.verify(head: Digest(of: altered)).isIntact)
    // The next action has nothing more to say of it.
    #expect(try scratch.log.append { entry($0) }.warning == nil)
  }

  @Test func `the log before is evidence: altered again, or gone, it is told as long as the new one lives`() throws {
    var (altered, _) = try alterLastLine()
    _ = try scratch.log.append { entry($0) }
    altered[10] ^= 1
    try Data(altered).write(to: URL(fileURLWithPath: kept))
    #expect(try scratch.log.verify().problems.first?.words.contains("was altered since") == true)
    try FileManager.default.removeItem(atPath: kept)
    #expect(try scratch.log.verify().problems.first?.words.contains("cannot be read") == true)
    #expect(try !scratch.log.verify().isIntact)
  }

  @Test(arguments: [("hello\n", 1), ("\n", 9), ("x", 200_000)])
  func `what was never a log is kept too`(text: String, times: Int) throws {
    let garbage = Array(String(repeating: text, count: times).utf8)
    try scratch.write(garbage)
    #expect(try scratch.log.verify().problems.first?.line == 1)
    _ = try scratch.log.append { entry($0) }
    #expect(try bytes(kept) == garbage)
    let before = try #require(try scratch.log.verify().follows.first)
    #expect(before.head == nil && before.digest == Digest(of: garbage).description)
    #expect(try scratch.log.verify().isIntact)
  }

  @Test func `a second log that does not hold gets a name of its own, and leads to the first`() throws {
    _ = try alterLastLine()
    _ = try scratch.log.append { entry($0) }
    var second = try scratch.content()
    second[second.count - 200] ^= 1
    try scratch.write(second)
    _ = try scratch.log.append { entry($0) }
    #expect(try scratch.log.verify().follows.map(\.file) == ["audit.ndjson.broken-2", "audit.ndjson.broken-1"])
    #expect(try bytes(scratch.log.path + ".broken-2") == second)
    // Three lines, of which one was altered; two, of which one was; two that hold.
    let record = try scratch.log.record()
    #expect(record.lines.map { $0?.sequence } == [1, 2, nil, 1, nil, 1, 2] && record.missing == nil)
    // What was altered in the first, or that it is gone, is told at the third.
    var first = try bytes(kept)
    first[10] ^= 1
    try Data(first).write(to: URL(fileURLWithPath: kept))
    #expect(try scratch.log.verify().problems.map(\.path) == [scratch.log.path + ".broken-2", kept])
    try FileManager.default.removeItem(atPath: kept)
    #expect(try scratch.log.verify().problems.map(\.line) == [1])
    #expect(try scratch.log.record().missing?.contains("broken-1, cannot be read") == true)
  }

  @Test func `a line that was altered long before the end is told for ever, also when the end broke, too`() throws {
    _ = try alterLastLine()
    var twice = try scratch.content()
    twice[10] ^= 1
    try scratch.write(twice)
    _ = try scratch.log.append { entry($0) }
    #expect(
      try scratch.log.verify().problems == [
        .init(path: kept, line: 1, words: "it was altered: its hash is not that of its content")
      ])
  }

  @Test func `logs that name each other are read once`() throws {
    var note = entry(1, .note)
    note.follows = AuditEntry.Predecessor(
      file: "audit.ndjson", digest: Digest(of: []).description, lines: 1, head: nil, why: "")
    try scratch.write(try AuditLine(note, after: AuditLine.beginning).bytes)
    #expect(try scratch.log.record().lines.count == 2)
  }

  @Test func `the last release is found from the end on, in whichever log it is`() throws {
    func end(_ release: UInt64) throws {
      _ = try scratch.log.append { sequence in
        var end = entry(sequence, .ended)
        (end.of, end.release) = (sequence - 1, release)
        return end
      }
    }
    #expect(try scratch.log.lastRelease().number == nil)
    try scratch.fill(1)
    try end(7)
    try end(6)
    #expect(try scratch.log.lastRelease().number == 7)
    // More than one piece away.
    try scratch.fill(300)
    #expect(try scratch.log.lastRelease().number == 7)
    _ = try alterLastLine()
    #expect(try scratch.log.append { entry($0) }.warning != nil)
    #expect(try scratch.log.lastRelease().number == 7)
    try end(8)
    #expect(try scratch.log.lastRelease().number == 8)
    // A number beyond belief hides none of the others, in whichever log they are.
    try end(9000)
    let last = try scratch.log.lastRelease(upTo: 7)
    #expect(last.number == 7 && last.unbelievable?.release == 9000)
    #expect(try scratch.log.lastRelease(upTo: 8).number == 8)
    #expect(try scratch.log.lastRelease().unbelievable == nil)
  }

  @Test func `a first entry that names a file elsewhere leads nowhere`() throws {
    var note = entry(1, .note)
    note.follows = AuditEntry.Predecessor(
      file: "../../etc/passwd", digest: Digest(of: []).description, lines: 1, head: nil, why: "")
    try scratch.write(try AuditLine(note, after: AuditLine.beginning).bytes)
    #expect(try scratch.log.verify().problems.first?.words.contains("no file beside it") == true)
  }

  @Test func `processes that find the same log begin one, and write all they have to say into it`() async throws {
    _ = try alterLastLine()
    await threeWriters(of: scratch.log, entries: 20)
    let verification = try scratch.log.verify()
    #expect(verification.isIntact && verification.lines == 61 && verification.follows.first?.lines == 3)
    #expect(access(scratch.log.path + ".broken-2", F_OK) != 0)
  }
}
