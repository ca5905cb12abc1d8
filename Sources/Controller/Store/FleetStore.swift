package import Core
internal import GRDB
internal import Glibc

/// Everything a controller remembers of one fleet, in one SQLite file. The only SQL of the project is in this room, and
/// no type of the library leaves it.
///
/// A call that returned has reached the disk: each commit syncs the write-ahead log, so that nothing acknowledged is
/// lost to a power cut. Readers neither wait for a writer nor stop one, within this process and from others; writers
/// take turns, and wait at most `lockTimeout` for another process.
///
/// Calls do their work on the store's own threads. Cancelling the task does not cancel them: what a run learnt of hosts
/// it changed must be kept, above all when somebody interrupts it.
package final class FleetStore: Sendable {
  /// In seconds.
  static let lockTimeout = 10
  /// "PORT" in ASCII, in SQLite's header field for this purpose.
  static let applicationID: Int32 = 0x504f_5254

  package let path: String
  package let fleet: FleetID
  let pool: DatabasePool

  /// Opens the store, and creates it, readable by its owner only, when there is none.
  /// - Parameter fleet: the only fleet that this file may be about.
  /// - Throws: when the directory does not exist, the file is another program's, another fleet's, or of a newer version.
  package convenience init(path: String, fleet: FleetID) throws(Failure) {
    do { try self.init(opening: path, fleet: fleet) } catch {
      throw StoreProblem.failure("open the store", path: path, error)
    }
  }

  /// Throws the library's errors.
  init(opening path: String, fleet: FleetID) throws {
    self.path = path
    self.fleet = fleet
    try Self.create(path)
    pool = try Self.open(path, fleet: fleet)
  }

  /// Later calls fail. Without it the file is closed when the last reference goes.
  package func close() throws(Failure) {
    do { try pool.close() } catch { throw StoreProblem.failure("close the store", path: path, error) }
  }

  /// SQLite gives its log and index files the mode of the database file. The file must not be opened and closed here:
  /// closing any descriptor of it would drop the locks that this process holds through SQLite.
  private static func create(_ path: String) throws {
    var status = stat()
    if lstat(path, &status) != 0 {
      let descriptor = Glibc.open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0o600)
      if descriptor >= 0 {
        Glibc.close(descriptor)
      } else if errno != EEXIST {
        throw systemError("create", path)
      }
      guard lstat(path, &status) == 0 else { throw systemError("look at", path) }
    }
    guard status.st_mode & S_IFMT == S_IFREG else { throw Reason("\(SafeText.escape(path)) is not a plain file") }
    if status.st_mode & 0o077 != 0, chmod(path, 0o600) != 0 { throw systemError("restrict", path) }
  }

  static func systemError(_ call: String, _ path: String) -> SystemCallError {
    let number = errno
    return SystemCallError(
      call, SafeText.escape(path), errno: number, meaning: String(cString: strerror(number)))
  }

  /// Two processes may create the same file at the same moment; the slower one finds a lock, or the tables that the
  /// faster one has just made, and looks again.
  private static func open(_ path: String, fleet: FleetID) throws -> DatabasePool {
    var attempt = 0
    while true {
      do {
        let pool = try DatabasePool(path: path, configuration: configuration)
        try pool.writeWithoutTransaction { db in
          // "synchronous=FULL … sync the WAL file after each transaction commit": the library chose NORMAL, which may
          // lose the last commits to a power cut.
          try db.execute(sql: "PRAGMA synchronous = FULL")
        }
        try pool.read { try checkOwner($0) }
        let migrator = Schema.migrator
        guard try pool.read({ try !migrator.hasBeenSuperseded($0) }) else {
          throw Failure(
            "read \(SafeText.escape(path))", because: Reason("it was written by a newer version"),
            hint: "upgrade this portcullis")
        }
        // Who only reads waits for no writer: a store that is as it should be is opened without writing.
        if try !pool.read({ try migrator.hasCompletedMigrations($0) }) { try migrator.migrate(pool) }
        if try pool.read({ try owner($0) }) == nil {
          try pool.write {
            try $0.execute(sql: "INSERT OR IGNORE INTO fleet (one, name) VALUES (1, ?)", arguments: [fleet.description])
          }
        }
        try pool.read { try check($0, fleet, path: path) }
        return pool
      } catch let error as DatabaseError
        where attempt < 20 && (error.resultCode == .SQLITE_BUSY || error.resultCode == .SQLITE_ERROR)
      {
        attempt += 1
        usleep(50_000)
      }
    }
  }

  private static var configuration: Configuration {
    var configuration = Configuration()
    configuration.label = "portcullis.store"
    configuration.busyMode = .timeout(Double(lockTimeout))
    configuration.maximumReaderCount = 4
    return configuration
  }

  /// Somebody else's database stays as it is.
  private static func checkOwner(_ db: Database) throws {
    let owner = try Int32.fetchOne(db, sql: "PRAGMA application_id") ?? 0
    let ours = try String.fetchAll(
      db, sql: "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE 'grdb_%'")
    guard owner == applicationID || (owner == 0 && ours.isEmpty) else {
      throw Reason("it is another program's database")
    }
  }

  private static func owner(_ db: Database) throws -> String? { try String.fetchOne(db, sql: "SELECT name FROM fleet") }

  private static func check(_ db: Database, _ fleet: FleetID, path: String) throws {
    let name = try owner(db) ?? ""
    guard name == fleet.description else {
      throw Failure(
        "use \(SafeText.escape(path)) for fleet \(fleet)",
        because: Reason("it belongs to fleet \(SafeText.escape(name))"),
        hint: "give each fleet a state directory of its own (--state)")
    }
  }

  func write<Value: Sendable>(
    _ operation: String, _ body: @escaping @Sendable (Database) throws -> Value
  ) async throws(Failure) -> Value {
    do {
      return try await withCheckedThrowingContinuation { continuation in
        pool.asyncWrite(body) { _, result in continuation.resume(with: result) }
      }
    } catch {
      Self.suspect(path, because: error)
      throw StoreProblem.failure(operation, path: path, error)
    }
  }

  func read<Value: Sendable>(
    _ operation: String, _ body: @escaping @Sendable (Database) throws -> Value
  ) async throws(Failure) -> Value {
    do {
      return try await withCheckedThrowingContinuation { continuation in
        pool.asyncRead { database in
          continuation.resume(with: Result { try body(database.get()) })
        }
      }
    } catch {
      Self.suspect(path, because: error)
      throw StoreProblem.failure(operation, path: path, error)
    }
  }
}
