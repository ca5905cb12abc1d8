package import Audit
package import Core
internal import GRDB
internal import Glibc

/// A store is the controller's memory, not the fleet's truth: one that is damaged is kept under another name, and a new
/// one is filled by what hosts say.
extension FleetStore {
  /// Opens the store as `init` does, in place of a damaged or lost one if need be.
  /// - Parameter believing: made once, when there is something to take over: whether a waiver that the damaged file still
  ///   has was not ended since.
  /// - Parameter hadContent: whether there must be a store that knows of hosts: asked when none does.
  package static func replacingDamaged(
    path: String, fleet: FleetID, at now: UTCTime, believing: () -> (Waiver) -> Bool = { { _ in true } },
    hadContent: (Emptiness) -> Bool = { _ in false }
  ) throws(Failure) -> (store: FleetStore, setAside: SetAside?) {
    do {
      try finishReplacing(path)
      if case .whole(let store) = try look(path, fleet, hadContent, isAlone: false) { return (store, nil) }
      // Two processes that find the same damage must not set aside what one of them has begun anew.
      let lock = try exclusively(path + ".lock")
      defer { Glibc.close(lock) }
      let isDamaged: Bool
      switch try look(path, fleet, hadContent, isAlone: true) {
      case .whole(let store): return (store, nil)
      case .damaged: isDamaged = true
      case .lost: isDamaged = false
      }
      do {
        let setAside = try replace(path, fleet, isDamaged: isDamaged, at: now, believing)
        return (try FleetStore(path: path, fleet: fleet), setAside)
      } catch {
        throw StoreProblem.failure("replace the \(isDamaged ? "damaged" : "lost") store", path: path, error)
      }
    } catch {
      throw StoreProblem.failure("open the store", path: path, error)
    }
  }

  /// In which way a store knows of no hosts.
  package enum Emptiness: Sendable {
    /// There is no file, or nothing in it: no store was ever made, or it was lost.
    case missing
    /// As it is before the first enrolment, and after its log was lost.
    case blank
  }

  /// What became of a store that could not be used.
  package struct SetAside: Hashable, Sendable {
    /// Where all of it is kept; nil when there was nothing to keep.
    package let path: String?
    /// False: it knew of no hosts, although there were some.
    package let isDamaged: Bool
    package let waivers: SalvagedWaivers
  }

  /// Whether there is no store where there was one. A library that opens such a file makes a new database of it, throws
  /// away the log beside it, and says nothing.
  package static func isLost(_ path: String, _ hadContent: () -> Bool) -> Bool {
    // In this order: whoever makes a store fills the file first.
    let hasLog = size(path + "-wal") ?? 0 > 0
    return (size(path) ?? 0) == 0 && (hasLog || hadContent())
  }

  private enum Found {
    case whole(FleetStore)
    case damaged
    case lost
  }

  /// - Parameter isAlone: nobody else looks, so that a suspicion can be settled.
  private static func look(
    _ path: String, _ fleet: FleetID, _ hadContent: (Emptiness) -> Bool, isAlone: Bool
  ) throws -> Found {
    guard !isLost(path, { hadContent(.missing) }) else { return .lost }
    let store: FleetStore
    do {
      store = try FleetStore(opening: path, fleet: fleet)
      // Such as one whose log is gone, in which everything was.
      if try store.knowsNothing(), hadContent(.blank) {
        try store.close()
        return .lost
      }
    } catch  where isDamage(error) {
      return .damaged
    }
    guard isSuspect(path) else { return .whole(store) }
    if isAlone, try store.isSound() {
      unlink(suspicion(of: path))
      return .whole(store)
    }
    // One that is damaged may not even close.
    try? store.close()
    return .damaged
  }

  /// Everything is kept under another name before anything of it is opened, and a new store is whole before the old one
  /// goes: whoever dies in between must not lose people's words.
  private static func replace(
    _ path: String, _ fleet: FleetID, isDamaged: Bool, at now: UTCTime, _ believing: () -> (Waiver) -> Bool
  ) throws -> SetAside {
    let kept = try keep(path, at: now)
    // Nothing can be read from an empty file, and opening it destroys the log beside it.
    let waivers = size(path) ?? 0 > 0 ? salvageWaivers(from: path, believing()) : SalvagedWaivers()
    try makeSuccessor(of: path, fleet, waivers.kept, at: now, damaged: kept ?? path)
    try succeed(path)
    unlink(suspicion(of: path))
    return SetAside(path: kept, isDamaged: isDamaged, waivers: waivers)
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

  private func isSound() throws -> Bool {
    do {
      return try pool.read { try String.fetchOne($0, sql: "PRAGMA integrity_check(1)") } == "ok"
    } catch  where Self.isDamage(error) {
      return false
    }
  }

  private static func successor(of path: String) -> String { path + ".new" }

  /// A store without its log and index: once it is closed, all of it is in the one file.
  private static func makeSuccessor(
    of path: String, _ fleet: FleetID, _ waivers: [Waiver], at now: UTCTime, damaged: String
  ) throws {
    let path = successor(of: path)
    for suffix in ["-shm", "-wal", ""] { unlink(path + suffix) }
    let store = try FleetStore(path: path, fleet: fleet)
    try store.pool.write { db in
      try markRebuilt(db, at: now, because: damaged)
      try insert(waivers, db)
    }
    try store.pool.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
    try store.close()
    for suffix in ["-shm", "-wal"] { unlink(path + suffix) }
  }

  /// The old one's log and index go last but one: a new database must not find them.
  private static func succeed(_ path: String) throws {
    for suffix in ["", "-wal", "-shm"] where unlink(path + suffix) != 0 && errno != ENOENT {
      throw systemError("unlink", path + suffix)
    }
    guard rename(successor(of: path), path) == 0 else { throw systemError("rename", successor(of: path)) }
  }

  /// Whoever was killed while it put a new store in place of another had it ready.
  private static func finishReplacing(_ path: String) throws {
    guard access(path, F_OK) != 0, access(successor(of: path), F_OK) == 0 else { return }
    let lock = try exclusively(path + ".lock")
    defer { Glibc.close(lock) }
    guard access(path, F_OK) != 0, isComplete(successor(of: path)) else { return }
    try succeed(path)
  }

  /// The mark is written together with what was taken over. One that still has a log was never closed.
  private static func isComplete(_ successor: String) -> Bool {
    guard size(successor + "-wal") == nil, size(successor) ?? 0 > 0 else { return false }
    defer { for suffix in ["-shm", "-wal"] { unlink(successor + suffix) } }
    var configuration = Configuration()
    configuration.readonly = true
    // One that cannot be read was never finished, and is made again.
    return (try? DatabaseQueue(path: successor, configuration: configuration).read { try isRebuilt($0) }) ?? false
  }

  /// All of it, also what a library that opens the file would throw away.
  /// - Returns: where; nil when there is nothing to keep.
  private static func keep(_ path: String, at now: UTCTime) throws -> String? {
    guard ["", "-wal"].contains(where: { size(path + $0) ?? 0 > 0 }) else { return nil }
    let kept = freeName(path, at: now)
    for suffix in ["", "-wal", "-shm"] where link(path + suffix, kept + suffix) != 0 {
      guard errno == ENOENT else { throw systemError("link", kept + suffix) }
    }
    return kept
  }

  private static func freeName(_ path: String, at now: UTCTime) -> String {
    let stamp = now.description.filter { $0 != "-" && $0 != ":" }
    let first = "\(path).damaged-\(stamp)"
    var number = 1
    func name() -> String { number == 1 ? first : "\(first)-\(number)" }
    while ["", "-wal", "-shm"].contains(where: { access(name() + $0, F_OK) == 0 }) { number += 1 }
    return name()
  }

  /// Nil when there is no such file. What is none counts as full.
  private static func size(_ path: String) -> Int? {
    var status = stat()
    guard lstat(path, &status) == 0 else { return errno == ENOENT ? nil : .max }
    return status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : .max
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
