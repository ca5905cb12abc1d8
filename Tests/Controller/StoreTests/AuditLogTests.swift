import Audit
import Core
import Foundation
import Glibc
import TestSupport
import Testing

@testable import Store

let actor = AuditEntry.Actor(user: "alice", uid: 1000, host: "ops")

func entry(_ sequence: UInt64, _ phase: AuditEntry.Phase = .began, reason: String = "because") -> AuditEntry {
  var entry = AuditEntry(sequence: sequence, time: start, phase: phase, actor: actor, verb: "apply")
  entry.reason = reason
  entry.hosts = .init([host(2), host(1)], folded: "h[1-2]")
  return entry
}

extension Scratch {
  var log: AuditLog { AuditLog(path: directory + "/audit.ndjson") }

  func content() throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: log.path))) }
  func write(_ bytes: some Sequence<UInt8>) throws {
    try Data(Array(bytes)).write(to: URL(fileURLWithPath: log.path))
  }

  @discardableResult
  func fill(_ count: Int) throws -> Digest {
    var head = AuditLine.beginning
    for _ in 0..<count { head = try log.append { entry($0) }.line.hash }
    return head
  }
}

struct AuditLogTests {
  let scratch: Scratch
  init() throws { scratch = try Scratch() }

  @Test func `entries are chained from the first, read back, and the owner's alone`() throws {
    #expect(try scratch.log.verify() == AuditVerification())
    #expect(try scratch.log.entries().isEmpty)
    let head = try scratch.fill(3)
    let verification = try scratch.log.verify()
    #expect(verification.isIntact && verification.lines == 3 && verification.head == head)
    #expect(try scratch.log.entries() == [entry(1), entry(2), entry(3)])
    var status = stat()
    #expect(stat(scratch.log.path, &status) == 0 && status.st_mode & 0o777 == 0o600)
  }

  @Test func `stock tools work out the same hashes`() throws {
    try scratch.fill(5)
    let script = """
      previous=sha256:0000000000000000000000000000000000000000000000000000000000000000
      while IFS= read -r line; do
        hash=sha256:$(printf %s "$line" | sed 's/,"hash":"[^"]*"}$/}/' | sha256sum | cut -d ' ' -f 1)
        case $line in *",\\"previous\\":\\"$previous\\",\\"hash\\":\\"$hash\\"}") previous=$hash ;; *) exit 1 ;; esac
      done < "$1"
      """
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", script, "sh", scratch.log.path]
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
  }

  @Test func `any byte that is changed, and any line that is removed, moved or added, is told by its line`() throws {
    let head = try scratch.fill(6)
    let original = try scratch.content()
    let lines = original.split(separator: UInt8(ascii: "\n")).map { Array($0) + [UInt8(ascii: "\n")] }
    var random = Random.fresh()
    for _ in 0..<Fuzzing.count(300) {
      var changed = original
      let place = random.below(changed.count)
      changed[place] ^= UInt8(1 << random.below(8))
      try scratch.write(changed)
      let verification = try scratch.log.verify()
      let line = original[..<place].count { $0 == UInt8(ascii: "\n") } + 1
      #expect(!verification.isIntact, "byte \(place)")
      let told = try #require(verification.problems.first?.line)
      #expect(told == line, "byte \(place)")
    }
    for (name, changed, line) in [
      ("without the second", [0, 2, 3, 4, 5], 2), ("two changed places", [0, 2, 1, 3, 4, 5], 2),
      ("one twice", [0, 1, 1, 2, 3, 4, 5], 3), ("without the first", [1, 2, 3, 4, 5], 1),
    ] {
      try scratch.write(changed.flatMap { lines[$0] })
      #expect(try scratch.log.verify().problems.first?.line == line, "\(name)")
    }
    // The end cut off is told by a hash noted before only.
    try scratch.write(lines.dropLast().joined())
    #expect(try scratch.log.verify().isIntact)
    #expect(try scratch.log.verify(head: head).hasHead == false)
    #expect(try !scratch.log.verify(head: head).isIntact)
    try scratch.write(original)
    try scratch.fill(1)
    #expect(try scratch.log.verify(head: head).isIntact)
  }

  @Test func `a last line that was cut short anywhere is set aside, and an entry says so`() throws {
    try scratch.fill(2)
    let whole = try scratch.content()
    try scratch.fill(1)
    let longer = try scratch.content()
    let tail = Array(longer[whole.count...])
    for length in [1, 2, tail.count / 2, tail.count - 2, tail.count - 1] {
      try scratch.write(whole + tail.prefix(length))
      let cut = try scratch.log.verify()
      #expect(cut.problems.map(\.line) == [3] && cut.lines == 2)
      let appended = try scratch.log.append { entry($0, .ended) }
      #expect(appended.warning?.contains("\(length) bytes") == true)
      let entries = try scratch.log.entries()
      #expect(entries.map(\.sequence) == [1, 2, 3, 4])
      #expect(entries[2].phase == .note && entries[2].words?.contains("cut short") == true)
      #expect(entries[2].hosts == nil && entries[3].phase == .ended)
      #expect(try scratch.log.verify().isIntact)
    }
    let kept = try FileManager.default.contentsOfDirectory(atPath: scratch.directory).filter { $0.contains(".torn-") }
    #expect(kept.count == 5)
    #expect(try Array(Data(contentsOf: URL(fileURLWithPath: "\(scratch.log.path).torn-1"))) == Array(tail.prefix(1)))
  }

  @Test func `what is no file is named`() throws {
    let folder = AuditLog(path: scratch.directory)
    #expect(throws: Failure.self) { try folder.append { entry($0) } }
    #expect(throws: Failure.self) { try AuditLog(path: "/dev/null").append { entry($0) } }
  }

  @Test func `an entry fits its line whatever people write`() throws {
    let long = String(repeating: "\u{202e}\"\\", count: 100_000)
    let appended = try scratch.log.append { sequence in
      var entry = AuditEntry(
        sequence: sequence, time: start, phase: .began, actor: .init(user: long, uid: 0, host: long), verb: long)
      entry.reason = AuditEntry.safe(long)
      entry.words = AuditEntry.safe(long)
      entry.hosts = .init((0..<10_000).map { host($0) }, folded: String(repeating: "h", count: 9_000))
      return entry
    }
    #expect(appended.line.bytes.count < AuditLine.limit)
    #expect(appended.line.entry.hosts?.count == 10_000)
    #expect(try scratch.log.verify().isIntact)
    #expect(try scratch.log.entries().count == 1)
  }

  @Test func `hosts are counted and their names hashed in order, whatever the order they came in`() {
    let one = AuditEntry.Hosts([host(2), host(1)], folded: "h[1-2]")
    #expect(one == AuditEntry.Hosts([host(1), host(2)], folded: "h[1-2]"))
    #expect(one.digest == Digest(of: "h1\nh2\n".utf8).description && one.count == 2)
  }

  @Test func `actions are their beginnings with their ends`() {
    var end = entry(3, .ended)
    end.of = 1
    let actions = AuditAction.pair([entry(1), entry(2), end, entry(4, .note)])
    #expect(actions.map(\.began.sequence) == [1, 2, 4])
    #expect(actions.map { $0.ended?.sequence } == [3, nil, 4])
    // In another log numbers begin anew; an action may end in a later one than it began in.
    var late = entry(5, .ended)
    late.of = 2
    let both = AuditAction.pair([entry(1), entry(2), end, entry(1), end, late])
    #expect(both.map(\.began.sequence) == [1, 2, 1] && both.map { $0.ended?.sequence } == [3, 5, 3])
  }

  // MARK: - Processes and disks

  @Test(arguments: [15, 50, 120]) func `what was acknowledged survives SIGKILL`(milliseconds: Int) async throws {
    let directory = scratch.directory
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [directory = directory as String, milliseconds = milliseconds as Int] in
      let log = AuditLog(path: directory + "/audit.ndjson")
      try await untilKilled(after: milliseconds, in: directory) { _ in _ = try log.append { entry($0) } }
    }
    let acknowledged = acknowledged(in: directory)
    print("killed after \(milliseconds) ms: \(acknowledged) acknowledged")
    _ = try scratch.log.append { entry($0) }
    let entries = try scratch.log.entries().filter { $0.phase == .began }.count - 1
    #expect(entries == acknowledged || entries == acknowledged + 1)
    #expect(try scratch.log.verify().isIntact)
  }

  @Test func `processes take turns, and no number comes twice`() async throws {
    await threeWriters(of: scratch.log, entries: 40)
    let verification = try scratch.log.verify()
    #expect(verification.isIntact && verification.lines == 120)
  }

  @Test(.enabled(if: getuid() == 0, "mounting a small file system needs root"))
  func `on a full disk nothing begins, and what has begun can still be ended`() throws {
    guard mount("tmpfs", scratch.directory, "tmpfs", 0, "size=256k,mode=0700") == 0 else {
      throw SystemCallError("mount", scratch.directory, errno: errno, meaning: String(cString: strerror(errno)))
    }
    defer { umount2(scratch.directory, Int32(MNT_DETACH)) }
    try scratch.fill(2)
    let filler = open(scratch.directory + "/filler", O_CREAT | O_WRONLY, 0o600)
    defer { close(filler) }
    let block = [UInt8](repeating: 1, count: 4096)
    while write(filler, block, block.count) > 0 {}
    // Longer than what is left of any block.
    _ = try scratch.log.append { sequence in
      var end = entry(sequence, .ended)
      end.words = AuditEntry.safe(String(repeating: "\u{202e}", count: 600))
      return end
    }
    let before = try scratch.content()
    var failure: Failure?
    for _ in 0..<100 where failure == nil {
      do { _ = try scratch.log.append { entry($0) } } catch { failure = error }
    }
    let words = message(try #require(failure))
    #expect(words.contains("the disk is full: make room"), "\(words)")
    #expect(try scratch.content().starts(with: before))
    #expect(try scratch.log.verify().isIntact)
  }
}
