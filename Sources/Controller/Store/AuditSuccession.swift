internal import Audit
internal import Core
internal import Glibc

/// A log whose last line does not hold can be continued by nobody, and must block nobody for ever. It is kept as it is,
/// and a new one is begun whose first entry names it, with the hash of all of it and of its last line that holds.
extension AuditFile {
  /// Nothing can be chained to the last line.
  struct Unusable: Error {
    let why: any Error
  }

  /// What a new log's first entry says of this one.
  func summary(as name: String, because why: any Error) throws -> AuditEntry.Predecessor {
    var held: AuditLine?
    var lines = 0
    try self.lines { _, line, isWhole in
      guard isWhole else { return }
      lines += 1
      if let line = try? AuditLine(parsing: line) { held = line }
    }
    return AuditEntry.Predecessor(
      file: name, digest: try digest().description, lines: lines, head: held?.hash.description,
      why: AuditEntry.safe(ErrorChain(why).line))
  }

  /// A name beside it that is free.
  func freeName(_ ending: String) -> String {
    var number = 1
    while access("\(path).\(ending)-\(number)", F_OK) == 0 { number += 1 }
    return "\(path).\(ending)-\(number)"
  }

  /// Puts a log that has only this line in its place; this one gets the other name. Whoever dies in between leaves the
  /// old log in place, at most with two names.
  func succeed(by line: AuditLine, keptAs kept: String) throws {
    let new = path + ".new"
    let descriptor = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw Self.error("create", new) }
    defer { close(descriptor) }
    try Self.writeAll(line.bytes, to: descriptor, new)
    guard fsync(descriptor) == 0 else { throw Self.error("fsync", new) }
    guard link(path, kept) == 0 else { throw Self.error("link", kept) }
    guard rename(new, path) == 0 else { throw Self.error("rename", new) }
    try synchronizeDirectory()
  }
}

extension AuditLog {
  /// Why the log that this one was begun in place of is not the evidence it was; nil when it is.
  func missing(_ before: AuditEntry.Predecessor) -> String? {
    let name = SafeText.escape(before.file)
    guard let kept = place(of: before) else { return "it names a log before it that is no file beside it: \(name)" }
    do {
      let digest = try AuditFile.toRead(kept).digest()
      return digest.description == before.digest
        ? nil : "the log before it, \(name), was altered since it was set aside"
    } catch {
      return "the log before it, \(name), cannot be read: \(ErrorChain(error).line)"
    }
  }

  /// Beside this one: a path would lead elsewhere, and nil is what it gets.
  func place(of before: AuditEntry.Predecessor) -> String? {
    guard !before.file.contains("/") else { return nil }
    let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    return path.contains("/") ? "\(folder)/\(before.file)" : before.file
  }
}
