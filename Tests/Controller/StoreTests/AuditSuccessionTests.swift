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
    #expect(entries.map(\.sequence) == [1, 2] && entries.map(\.phase) == [.note, .began])
    let before = try #require(entries[0].follows)
    #expect(before.file == "audit.ndjson.broken-1" && before.lines == 3 && before.head == head.description)
    #expect(before.digest == Digest(of: altered).description)
    #expect(before.why.contains("it was altered"), "\(before.why)")
    let verification = try scratch.log.verify()
    #expect(verification.isIntact && verification.follows == before)
    // A hash noted of the log before is not in this one.
    #expect(try !scratch.log.verify(head: head).isIntact)
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
    let before = try #require(try scratch.log.verify().follows)
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
    #expect(try scratch.log.verify().follows?.file == "audit.ndjson.broken-2")
    #expect(try bytes(scratch.log.path + ".broken-2") == second)
    #expect(
      try AuditLog(path: scratch.log.path + ".broken-2").entries().first?.follows?.file == "audit.ndjson.broken-1")
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
    let directory = scratch.directory
    func child() async {
      await #expect(processExitsWith: .success) { [directory = directory as String] in
        let log = AuditLog(path: directory + "/audit.ndjson")
        for _ in 0..<20 { _ = try log.append { entry($0) } }
      }
    }
    async let first: Void = child()
    async let second: Void = child()
    async let third: Void = child()
    _ = await (first, second, third)
    let verification = try scratch.log.verify()
    #expect(verification.isIntact && verification.lines == 61 && verification.follows?.lines == 3)
    #expect(access(scratch.log.path + ".broken-2", F_OK) != 0)
  }
}
