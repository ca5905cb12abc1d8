package import Audit
package import Core
internal import Glibc

/// What an audit log says: this one, and those before it that it was begun in place of.
package struct AuditRecord: Hashable, Sendable {
  /// In order; nil for a line that is no entry, as it was altered or cut short.
  package var lines: [AuditEntry?] = []
  /// A log that one of these was begun in place of is not there any more, or cannot be read: in words.
  package var missing: String?

  package init() {}

  package var entries: [AuditEntry] { lines.compactMap(\.self) }
  package var unreadable: Int { lines.count { $0 == nil } }
}

extension AuditLog {
  /// A log, and what the one that was begun in its place says of it; nil for the newest.
  typealias Link = (log: AuditLog, known: AuditEntry.Predecessor?)

  /// This log, and those that lead to it, the newest first. Whoever asks what was done asks all of them.
  func chain() throws(Failure) -> [Link] {
    var links: [Link] = [(self, nil)]
    var names: Set<String> = []
    while let last = links.last, let before = try last.log.predecessor(), names.insert(before.file).inserted,
      let path = place(of: before), (try? AuditFile.toRead(path)) != nil
    {
      links.append((AuditLog(path: path), before))
    }
    return links
  }

  private func predecessor() throws(Failure) -> AuditEntry.Predecessor? {
    try opened("read") { file in
      do { return try file.first()?.entry.follows } catch is AuditLine.Problem { return nil }
    } ?? nil
  }

  /// Every entry; lines that are none are left out.
  package func entries() throws(Failure) -> [AuditEntry] { try record().entries }

  package func record() throws(Failure) -> AuditRecord {
    var record = AuditRecord()
    for (log, _) in try chain().reversed() {
      try log.read("read") { number, line, isWhole in
        let entry = isWhole ? try? AuditLine(parsing: line).entry : nil
        record.lines.append(entry)
        if number == 1, let before = entry?.follows, let why = log.missing(before) { record.missing = why }
      }
    }
    return record
  }

  /// What actions of late say of the releases, or of the orders, that they made.
  package struct LastNumber: Hashable, Sendable {
    /// The highest; nil when none ever was made, as far as can be believed.
    package var number: UInt64?
    /// One that names a higher number than there can be.
    package var unbelievable: AuditEntry?
  }

  /// - Parameter limit: whatever a line says, no release has a higher number.
  package func lastRelease(upTo limit: UInt64 = .max) throws(Failure) -> LastNumber {
    try last("release", upTo: limit) { $0.release }
  }

  /// - Parameter limit: whatever a line says, no order has a higher epoch.
  package func lastOrder(upTo limit: UInt64 = .max) throws(Failure) -> LastNumber {
    try last("order", upTo: limit) { $0.order }
  }

  private func last(
    _ field: String, upTo limit: UInt64, _ number: (AuditEntry) -> UInt64?
  ) throws(Failure) -> LastNumber {
    let field = Array("\"\(field)\":".utf8)
    var last = LastNumber()
    for (log, _) in try chain() where last.number == nil {
      _ = try log.opened("read") { file in
        try file.fromEnd { lines in
          let entries = lines.filter { $0.contains(field) }.compactMap { try? AuditLine(parsing: $0).entry }
          last.unbelievable = last.unbelievable ?? entries.last { number($0).map { $0 > limit } ?? false }
          last.number = entries.compactMap(number).filter { $0 <= limit }.max()
          return last.number
        }
      }
    }
    return last
  }

  /// A log that was never begun has no lines.
  func read(_ what: String, _ body: (Int, [UInt8], Bool) throws -> Void) throws(Failure) {
    _ = try opened(what) { try $0.lines(body) }
  }

  /// - Returns: nil for a log that was never begun.
  private func opened<Value>(_ what: String, _ body: (AuditFile) throws -> Value) throws(Failure) -> Value? {
    do {
      let file = try AuditFile.toRead(path)
      try file.lock(.shared)
      return try body(file)
    } catch let error as SystemCallError where error.errno == ENOENT {
      return nil
    } catch {
      throw Failure("\(what) the audit log \(SafeText.escape(path))", because: error)
    }
  }
}
