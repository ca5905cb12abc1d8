package import Audit
package import Core

/// What is to be said of a whole audit log.
package struct AuditVerification: Hashable, Sendable {
  package struct Problem: Hashable, Sendable {
    package let path: String
    package let line: Int
    package let words: String
  }

  /// Whole lines.
  package fileprivate(set) var lines = 0
  /// The hash of the last line; nil when that is no entry.
  package fileprivate(set) var head: Digest?
  /// In the order of their lines, the newest log's first, at most `told`.
  package fileprivate(set) var problems: [Problem] = []
  package fileprivate(set) var untold = 0
  /// Whether the hash that was asked for is that of a line; nil when none was.
  package fileprivate(set) var hasHead: Bool?
  /// The logs that this one, and those before it, were begun in place of, because their ends did not hold: the newest
  /// first.
  package fileprivate(set) var follows: [AuditEntry.Predecessor] = []

  package static let told = 20

  package var isIntact: Bool { problems.isEmpty && hasHead != false }

  fileprivate mutating func add(_ found: [Problem]) {
    let room = max(0, Self.told - problems.count)
    problems += found.prefix(room)
    untold += found.dropFirst(room).count
  }
}

extension AuditLog {
  /// Reads every line of this log and of those before it, and tells each that does not follow from the one before. That
  /// the end of an earlier one does not hold is why the next was begun, which says so, and no problem any more.
  /// - Parameter head: a hash that was noted elsewhere. Only with one can it be told that the end was cut off, or that all
  ///   of it was written anew.
  package func verify(head: Digest? = nil) throws(Failure) -> AuditVerification {
    var verification = AuditVerification()
    if head != nil { verification.hasHead = false }
    for (log, known) in try chain() {
      let found = try log.check(head)
      if found.hasHead { verification.hasHead = true }
      if let known {
        verification.follows.append(known)
        verification.add(found.problems.filter { $0.line <= found.lastHeld })
      } else {
        (verification.lines, verification.head) = (found.lines, found.head)
        verification.add(found.problems)
      }
    }
    return verification
  }

  /// One file.
  private struct Checked {
    var lines = 0
    var head: Digest?
    var hasHead = false
    /// The number of the last line that is an entry.
    var lastHeld = 0
    var problems: [AuditVerification.Problem] = []
  }

  private func check(_ head: Digest?) throws(Failure) -> Checked {
    var checked = Checked()
    func add(_ line: Int, _ words: String) { checked.problems.append(.init(path: path, line: line, words: words)) }
    var before: (hash: Digest, sequence: UInt64)? = (AuditLine.beginning, 0)
    try read("check") { number, line, isWhole in
      guard isWhole else { return add(number, "it was cut short; the next action sets it aside") }
      checked.lines += 1
      checked.head = nil
      do throws(AuditLine.Problem) {
        let line = try AuditLine(parsing: line)
        // After a broken line the next can only be believed.
        if let before, line.previous != before.hash || line.entry.sequence != before.sequence &+ 1 {
          add(number, "it does not follow the line before: lines are missing, or stand elsewhere")
        }
        before = (line.hash, line.entry.sequence)
        checked.head = line.hash
        checked.lastHeld = number
        if line.hash == head { checked.hasHead = true }
        if number == 1, let why = line.entry.follows.flatMap({ missing($0) }) { add(number, why) }
      } catch {
        add(number, error.description)
        before = nil
      }
    }
    return checked
  }
}
