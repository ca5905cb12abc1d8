package import Audit
package import Core
internal import Glibc

/// The audit log: a file that only grows, one entry a line, each chained to the one before by its hash. What `append`
/// returned has reached the disk. Processes take turns.
package struct AuditLog: Sendable {
  package let path: String

  package init(path: String) { self.path = path }

  package struct Appended: Sendable {
    package let line: AuditLine
    /// What a person must know of the log, in words.
    package let warning: String?
  }

  /// Kept free at a beginning, so that its end can be told on a disk that fills meanwhile.
  private static let room = 2 * AuditLine.limit

  /// A last line that was cut short is set aside first, with an entry that says so.
  /// - Parameter make: the entry with that sequence.
  package func append(_ make: (_ sequence: UInt64) -> AuditEntry) throws(Failure) -> Appended {
    let operation = "write the audit log \(SafeText.escape(path))"
    do {
      var file = try AuditFile.toAppendAlone(path)
      var warning: String?
      var last: AuditFile.Last
      do { last = try file.last() } catch let broken as AuditFile.Unusable {
        warning = try beginAnew(in: file, because: broken.why, like: make(1))
        file = try AuditFile.toAppendAlone(path)
        last = try file.last()
      }
      if last.torn > 0 {
        let kept = try file.setAside(last)
        let words =
          "the last line was cut short, as when a program is killed while it writes; its \(last.torn) bytes are in "
          + SafeText.escape(kept)
        warning = "\(SafeText.escape(path)): \(words)"
        last = try write({ Self.note(words, like: make($0)) }, after: last, to: file)
      }
      last = try write(make, after: last, to: file)
      return Appended(line: last.line!, warning: warning)
    } catch let error as SystemCallError where error.errno == ENOSPC || error.errno == EDQUOT {
      throw Failure(operation, because: error, hint: "the disk is full: make room, then do it again")
    } catch {
      throw Failure(operation, because: error)
    }
  }

  /// - Returns: what a person must know.
  private func beginAnew(in file: AuditFile, because why: any Error, like entry: AuditEntry) throws -> String {
    let kept = file.freeName("broken")
    let name = kept.split(separator: "/").last.map(String.init) ?? kept
    let before = try file.summary(as: name, because: why)
    let words = "the log before this one does not hold at its end, and is kept as \(SafeText.escape(name))"
    var note = Self.note(words, like: entry)
    (note.sequence, note.follows) = (1, before)
    try file.succeed(by: try AuditLine(note, after: AuditLine.beginning), keptAs: kept)
    return
      "\(SafeText.escape(path)): its end does not hold (\(before.why)); it is kept as \(SafeText.escape(kept)), and a "
      + "new log was begun that says so"
  }

  private static func note(_ words: String, like entry: AuditEntry) -> AuditEntry {
    var note = entry
    note.phase = .note
    note.verb = "audit"
    (note.reason, note.of, note.hosts, note.release, note.exitCode) = (nil, nil, nil, nil, nil)
    note.words = words
    return note
  }

  private func write(
    _ make: (UInt64) -> AuditEntry, after last: AuditFile.Last, to file: AuditFile
  ) throws -> AuditFile.Last {
    let line = try AuditLine(
      make((last.line?.entry.sequence ?? 0) &+ 1), after: last.line?.hash ?? AuditLine.beginning)
    try file.append(line.bytes, at: last.end, keepingFree: line.entry.phase == .began ? Self.room : 0)
    return AuditFile.Last(line: line, end: last.end + line.bytes.count, torn: 0)
  }
}
