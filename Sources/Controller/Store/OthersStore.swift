internal import Core
internal import GRDB
internal import Glibc

// The store of another user, who lets this one read it.

extension FleetStore {
  /// Root may do with any file what its owner may.
  static func isOfAnother(_ path: String) -> Bool {
    var status = stat()
    return geteuid() != 0 && lstat(path, &status) == 0 && status.st_uid != geteuid()
  }

  static func openReading(_ path: String, fleet: FleetID) throws -> DatabasePool {
    var configuration = configuration
    configuration.readonly = true
    let pool = try DatabasePool(path: address(path), configuration: configuration)
    try pool.read { db in
      try check(db, path)
      guard try Schema.migrator.hasCompletedMigrations(db) else {
        throw Failure(
          "read \(SafeText.escape(path))", because: Reason("it was written by an older version"),
          hint: "the next command of its owner brings it up to date")
      }
      try checkFleet(db, fleet, path: path)
    }
    return pool
  }

  /// "It is not possible to open a read-only WAL database" without its log and index, or the right to make them, "or the
  /// database is immutable": without a log nobody has it open.
  private static func address(_ path: String) -> String {
    guard access(path + "-wal", F_OK) != 0 else { return path }
    let plain = Array("-._~/".utf8)
    let escaped = path.utf8.map { byte -> String in
      let isPlain = byte < 0x80 && (Character(UnicodeScalar(byte)).isLetter || Character(UnicodeScalar(byte)).isNumber)
      let digits = String(byte, radix: 16)
      return isPlain || plain.contains(byte)
        ? String(UnicodeScalar(byte)) : "%" + (digits.count < 2 ? "0" : "") + digits
    }
    return "file:" + escaped.joined() + "?immutable=1"
  }
}
