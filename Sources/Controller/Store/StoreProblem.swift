internal import Core
internal import GRDB

/// The database's errors in an operator's words.
enum StoreProblem {
  static func failure(_ operation: String, path: String, _ error: any Error) -> Failure {
    let file = SafeText.escape(path)
    switch error {
    case let failure as Failure: return failure
    case let database as DatabaseError:
      let words = database.message.map { SafeText.escape($0) } ?? "SQLite error"
      return Failure(
        "\(operation) (\(file))",
        because: Reason("\(words) (SQLite \(database.extendedResultCode.rawValue))"),
        hint: hint(for: database, file: file))
    default: return Failure("\(operation) (\(file))", because: error)
    }
  }

  private static func hint(for error: DatabaseError, file: String) -> String? {
    switch error.resultCode {
    case .SQLITE_CORRUPT, .SQLITE_NOTADB:
      "the file is damaged: put back a backup, or run 'portcullis status --refresh', which sets it aside and asks the "
        + "hosts again"
    case .SQLITE_BUSY, .SQLITE_LOCKED:
      "another process is writing for longer than \(FleetStore.lockTimeout) seconds: wait for it, then try again"
    case .SQLITE_FULL: "the disk is full: free some space, then try again; nothing was changed"
    case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH:
      "the file or its directory cannot be written: check their owner and whether the disk is mounted read-only"
    case .SQLITE_CANTOPEN: "check that the directory exists and belongs to you"
    case .SQLITE_IOERR: "the disk failed or is full: check the system's log"
    default: nil
    }
  }
}
