import Core
import Foundation
import GRDB
import Glibc
import Testing
import Wire

@testable import Store

/// The owner is root here, and the child another user.
@Suite(.enabled(if: getuid() == 0, "becoming another user needs root"))
struct OthersStoreTests {
  private func shared() async throws -> (Scratch, FleetStore) {
    let scratch = try Scratch()
    chmod(scratch.directory, 0o755)
    let store = try scratch.open()
    _ = try await store.allocateSerial()
    return (scratch, store)
  }

  private func age(_ path: String) throws {
    let older = try DatabaseQueue(path: path)
    try older.write { try $0.execute(sql: "DELETE FROM grdb_migrations WHERE identifier <> '1'") }
    try older.close()
  }

  @Test func `a store that another user may read is read, and stays as it is`() async throws {
    let (scratch, store) = try await shared()
    try store.close()
    chmod(scratch.path, 0o644)
    let before = try Data(contentsOf: URL(fileURLWithPath: scratch.path))
    await #expect(processExitsWith: .success) { [path = scratch.path as String] in
      setgid(65534)
      setuid(65534)
      let store = try FleetStore(existing: path, fleet: fleet)
      guard try await store.lastSerial() == Serial(1) else { exit(3) }
      guard (try? await store.allocateSerial()) == nil else { exit(4) }
      try store.close()
      guard (try? FleetStore(existing: path, fleet: FleetID("prod")!)) == nil else { exit(5) }
      // Whoever writes needs it for himself.
      guard (try? FleetStore(path: path, fleet: fleet)) == nil else { exit(6) }
    }
    #expect(scratch.mode() == 0o644)
    #expect(try Data(contentsOf: URL(fileURLWithPath: scratch.path)) == before)
  }

  @Test func `it is read while its owner has it open`() async throws {
    let (scratch, store) = try await shared()
    for suffix in ["", "-wal", "-shm"] { chmod(scratch.path + suffix, 0o644) }
    _ = try await store.allocateSerial()
    await #expect(processExitsWith: .success) { [path = scratch.path as String] in
      setgid(65534)
      setuid(65534)
      let store = try FleetStore(existing: path, fleet: fleet)
      guard try await store.lastSerial() == Serial(2) else { exit(3) }
    }
    #expect(try await store.allocateSerial() == Serial(3))
  }

  @Test func `one of an older version is named with who can bring it up to date`() async throws {
    let (scratch, store) = try await shared()
    try store.close()
    try age(scratch.path)
    chmod(scratch.path, 0o644)
    await #expect(processExitsWith: .success) { [path = scratch.path as String] in
      setgid(65534)
      setuid(65534)
      do {
        _ = try FleetStore(existing: path, fleet: fleet)
        exit(3)
      } catch {
        guard message(error).contains("older version") else { exit(4) }
      }
    }
  }

  @Test func `an own store is restricted by its readers too`() async throws {
    let (scratch, store) = try await shared()
    try store.close()
    chmod(scratch.path, 0o644)
    let again = try FleetStore(existing: scratch.path, fleet: fleet)
    #expect(try await again.lastSerial() == Serial(1))
    #expect(scratch.mode() == 0o600)
  }

  @Test func `no name of a folder is taken for an option of the database`() async throws {
    let scratch = try Scratch()
    let folder = scratch.directory + "/a b?mode=rwc&x=%41#ä"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    let path = folder + "/store.sqlite"
    let store = try FleetStore(path: path, fleet: fleet)
    _ = try await store.allocateSerial()
    try store.close()
    for place in [scratch.directory, folder] { chmod(place, 0o755) }
    chmod(path, 0o644)
    await #expect(processExitsWith: .success) { [path = path as String] in
      setgid(65534)
      setuid(65534)
      guard try await FleetStore(existing: path, fleet: fleet).lastSerial() == Serial(1) else { exit(3) }
    }
  }
}
