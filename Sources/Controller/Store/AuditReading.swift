package import Audit
package import Core
internal import Glibc

/// What is to be said of a whole audit log.
package struct AuditVerification: Hashable, Sendable {
  package struct Problem: Hashable, Sendable {
    package let line: Int
    package let words: String
  }

  /// Whole lines.
  package fileprivate(set) var lines = 0
  /// The hash of the last line; nil when that is no entry.
  package fileprivate(set) var head: Digest?
  /// In the order of their lines, at most `told`.
  package fileprivate(set) var problems: [Problem] = []
  package fileprivate(set) var untold = 0
  /// Whether the hash that was asked for is that of a line; nil when none was.
  package fileprivate(set) var hasHead: Bool?
  /// The log that this one was begun in place of, because its end did not hold.
  package fileprivate(set) var follows: AuditEntry.Predecessor?

  package static let told = 20

  package var isIntact: Bool { problems.isEmpty && hasHead != false }

  fileprivate mutating func add(_ line: Int, _ words: String) {
    if problems.count < Self.told { problems.append(Problem(line: line, words: words)) } else { untold += 1 }
  }
}

extension AuditLog {
  /// Reads every line and tells each that does not follow from the one before.
  /// - Parameter head: a hash that was noted elsewhere. Only with one can it be told that the end was cut off, or that all
  ///   of it was written anew.
  package func verify(head: Digest? = nil) throws(Failure) -> AuditVerification {
    var verification = AuditVerification()
    if head != nil { verification.hasHead = false }
    var before: (hash: Digest, sequence: UInt64)? = (AuditLine.beginning, 0)
    try read("check") { number, line, isWhole in
      guard isWhole else {
        verification.add(number, "it was cut short; the next action sets it aside")
        return
      }
      verification.lines += 1
      verification.head = nil
      do throws(AuditLine.Problem) {
        let line = try AuditLine(parsing: line)
        // After a broken line the next can only be believed.
        if let before, line.previous != before.hash || line.entry.sequence != before.sequence &+ 1 {
          verification.add(number, "it does not follow the line before: lines are missing, or stand elsewhere")
        }
        before = (line.hash, line.entry.sequence)
        verification.head = line.hash
        if line.hash == head { verification.hasHead = true }
        if number == 1, let before = line.entry.follows {
          verification.follows = before
          if let why = missing(before) { verification.add(number, why) }
        }
      } catch {
        verification.add(number, error.description)
        before = nil
      }
    }
    return verification
  }

  /// Every entry in order; lines that are none are left out.
  package func entries() throws(Failure) -> [AuditEntry] { try contents().entries }

  /// The same.
  /// - Returns: `unreadable` is how many lines are none, as they were altered or cut short.
  package func contents() throws(Failure) -> (entries: [AuditEntry], unreadable: Int) {
    var entries: [AuditEntry] = []
    var unreadable = 0
    try read("read") { _, line, isWhole in
      guard isWhole, let entry = try? AuditLine(parsing: line).entry else {
        unreadable += 1
        return
      }
      entries.append(entry)
    }
    return (entries, unreadable)
  }

  /// A log that was never begun has no lines.
  private func read(_ what: String, _ body: (Int, [UInt8], Bool) throws -> Void) throws(Failure) {
    do {
      let file = try AuditFile.toRead(path)
      try file.lock(.shared)
      try file.lines(body)
    } catch let error as SystemCallError where error.errno == ENOENT {
      return
    } catch {
      throw Failure("\(what) the audit log \(SafeText.escape(path))", because: error)
    }
  }
}
