package import Audit
package import Core
internal import GRDB
internal import Glibc

/// A store is the controller's memory, not the fleet's truth: one that is damaged is kept under another name, and a new
/// one is filled by what hosts say.
extension FleetStore {
  /// Opens the store as `init` does, in place of a damaged one if need be.
  /// - Parameter isBelieved: whether a waiver that the damaged file still has was not ended since.
  /// - Parameter hadContent: whether there must be a store: asked when the file is missing or empty.
  package static func replacingDamaged(
    path: String, fleet: FleetID, at now: UTCTime, keeping isBelieved: (Waiver) -> Bool = { _ in true },
    hadContent: () -> Bool = { false }
  ) throws(Failure) -> (store: FleetStore, setAside: SetAside?) {
    do {
      // Whoever was killed while it put a new store in place of a damaged one had it ready.
      if access(path, F_OK) != 0, access(successor(of: path), F_OK) == 0 {
        let lock = try exclusively(path + ".lock")
        defer { Glibc.close(lock) }
        if access(path, F_OK) != 0 { try rename(successor(of: path), to: path) }
      }
      let isLost = isVoid(path) && hadContent()
      if !isLost, !isSuspect(path), let store = try unlessDamaged(path, fleet) { return (store, nil) }
      // Two processes that find the same damage must not set aside what one of them has begun anew.
      let lock = try exclusively(path + ".lock")
      defer { Glibc.close(lock) }
      let isStillLost = isLost && isVoid(path)
      if !isStillLost, let store = try unlessDamaged(path, fleet) {
        guard isSuspect(path) else { return (store, nil) }
        if try store.isSound() {
          unlink(suspicion(of: path))
          return (store, nil)
        }
        try? store.close()
      }
      let waivers = salvageWaivers(from: path, isBelieved)
      let kept = freeName(path, at: now)
      try makeSuccessor(of: path, fleet, waivers.kept, at: now, damaged: kept)
      try setAside(path, as: kept)
      try rename(successor(of: path), to: path)
      unlink(suspicion(of: path))
      return (try FleetStore(path: path, fleet: fleet), SetAside(path: isStillLost ? nil : kept, waivers: waivers))
    } catch {
      throw StoreProblem.failure("replace the damaged store", path: path, error)
    }
  }

  /// What became of a damaged store.
  package struct SetAside: Hashable, Sendable {
    /// Nil when the file was missing or empty.
    package let path: String?
    package let waivers: SalvagedWaivers
  }

  /// Whether there is no file, or one with nothing in it: what a full disk or a copy that went wrong leaves. A library
  /// that opens it makes a new database of it, and says nothing.
  package static func isVoid(_ path: String) -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0 else { return errno == ENOENT }
    return status.st_mode & S_IFMT == S_IFREG && status.st_size == 0
  }

  /// Damage shows when the page is read that has it. A file beside the store says so to whoever opens it next.
  static func suspicion(of path: String) -> String { path + ".suspect" }

  static func suspect(_ path: String, because error: any Error) {
    guard isDamage(error) else { return }
    let descriptor = Glibc.open(suspicion(of: path), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    if descriptor >= 0 { Glibc.close(descriptor) }
  }

  private static func isSuspect(_ path: String) -> Bool { access(suspicion(of: path), F_OK) == 0 }

  private static func isDamage(_ error: any Error) -> Bool {
    guard let error = error as? DatabaseError else { return false }
    return error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB
  }

  private static func unlessDamaged(_ path: String, _ fleet: FleetID) throws -> FleetStore? {
    do { return try FleetStore(opening: path, fleet: fleet) } catch  where isDamage(error) { return nil }
  }

  private func isSound() throws -> Bool {
    do {
      return try pool.read { try String.fetchOne($0, sql: "PRAGMA integrity_check(1)") } == "ok"
    } catch  where Self.isDamage(error) {
      return false
    }
  }

  private static func successor(of path: String) -> String { path + ".new" }

  /// Whole before the damaged one goes: whoever dies in between must not lose people's words.
  private static func makeSuccessor(
    of path: String, _ fleet: FleetID, _ waivers: [Waiver], at now: UTCTime, damaged: String
  ) throws {
    let path = successor(of: path)
    for suffix in ["-shm", "-wal", ""] { unlink(path + suffix) }
    let store = try FleetStore(path: path, fleet: fleet)
    try store.pool.write { db in
      try db.execute(literal: "INSERT INTO rebuilt (one, at, damaged) VALUES (1, \(now.column), \(damaged))")
      try insert(waivers, db)
    }
    try store.pool.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
    try store.close()
    for suffix in ["-shm", "-wal"] { unlink(path + suffix) }
  }

  private static func rename(_ path: String, to name: String) throws {
    guard Glibc.rename(path, name) == 0 else { throw systemError("rename", path) }
  }

  private static func freeName(_ path: String, at now: UTCTime) -> String {
    let stamp = now.description.filter { $0 != "-" && $0 != ":" }
    var kept = "\(path).damaged-\(stamp)"
    var number = 1
    while access(kept, F_OK) == 0 {
      number += 1
      kept = "\(path).damaged-\(stamp)-\(number)"
    }
    return kept
  }

  /// Its log and index first: a new database must not find them.
  private static func setAside(_ path: String, as kept: String) throws {
    for suffix in ["-shm", "-wal", ""] where Glibc.rename(path + suffix, kept + suffix) != 0 {
      guard errno == ENOENT else { throw systemError("rename", path + suffix) }
    }
  }

  private static func exclusively(_ path: String) throws -> Int32 {
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw systemError("open", path) }
    for _ in 0..<lockTimeout * 10 {
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
      usleep(100_000)
    }
    Glibc.close(descriptor)
    throw Reason("another process holds \(SafeText.escape(path))")
  }
}
