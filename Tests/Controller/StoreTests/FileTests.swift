import Audit
import Core
import Foundation
import GRDB
import Glibc
import Testing
import Wire

@testable import Store

struct FileTests {
  @Test func `the file and its companions are the owner's alone, whatever the umask and the mode before`() async throws
  {
    let scratch = try Scratch()
    let store = try scratch.open()
    _ = try await store.allocateSerial()
    for suffix in ["", "-wal", "-shm"] { #expect(scratch.mode(suffix) == 0o600, "\(suffix)") }
    try store.close()
    chmod(scratch.path, 0o644)
    let again = try scratch.open()
    #expect(try await again.lastSerial() == Serial(1))
    #expect(scratch.mode() == 0o600)
  }

  @Test func `every commit is synced`() async throws {
    let store = try Scratch().open()
    let settings = try await store.write("look") { db in
      (try Int.fetchOne(db, sql: "PRAGMA synchronous"), try Int.fetchOne(db, sql: "PRAGMA foreign_keys"))
    }
    #expect(settings.0 == 2 && settings.1 == 1)
    #expect(try await store.read("look") { try String.fetchOne($0, sql: "PRAGMA journal_mode") } == "wal")
  }

  @Test func `a store belongs to one fleet`() throws {
    let scratch = try Scratch()
    try scratch.open().close()
    let error = #expect(throws: Failure.self) { try FleetStore(path: scratch.path, fleet: FleetID("prod")!) }
    #expect(error.map(message)?.contains("belongs to fleet lab") == true)
  }

  @Test func `another program's database stays as it is`() throws {
    let scratch = try Scratch()
    let other = try DatabaseQueue(path: scratch.path)
    try other.write { try $0.execute(sql: "CREATE TABLE cats (name TEXT)") }
    try other.close()
    let error = #expect(throws: Failure.self) { try scratch.open() }
    #expect(error.map(message)?.contains("another program's") == true)
    let tables = try DatabaseQueue(path: scratch.path).read {
      try String.fetchAll($0, sql: "SELECT name FROM sqlite_schema")
    }
    #expect(tables == ["cats"])
  }

  @Test func `a file of a newer version is refused, not changed`() throws {
    let scratch = try Scratch()
    try scratch.open().close()
    let later = try DatabaseQueue(path: scratch.path)
    try later.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('999')") }
    try later.close()
    let error = #expect(throws: Failure.self) { try scratch.open() }
    #expect(error.map(message)?.contains("newer version") == true)
  }

  @Test func `what is no database, no plain file or nowhere is named`() throws {
    let scratch = try Scratch()
    try Data("this is not a database, but long enough to be looked at as one ...".utf8).write(
      to: URL(fileURLWithPath: scratch.path))
    let error = #expect(throws: Failure.self) { try scratch.open() }
    #expect(error.map(message)?.contains(scratch.path) == true)
    #expect(error.map(message)?.contains("damaged") == true)
    for path in [scratch.directory, scratch.directory + "/missing/store.sqlite", "/dev/null"] {
      let error = #expect(throws: Failure.self) { try FleetStore(path: path, fleet: fleet) }
      #expect(error.map(message)?.contains(path) == true)
    }
    #expect(throws: Failure.self) { try FleetStore(path: "", fleet: fleet) }
  }

  @Test func `a damaged file is an error with a way out, not a crash`() async throws {
    let seed = UInt64.random(in: .min ... .max)
    print("damage seed \(seed)")
    var state = seed
    func next(_ limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(limit))
    }
    let scratch = try Scratch()
    let store = try scratch.open()
    try await store.record(reports: (0..<200).map { received(makeReport(host($0), chains: 5), 1) })
    let made = makeRelease(try await store.allocateSerial(), hosts: 200)
    try await store.save(made.release, bundles: made.bundles, texts: made.texts)
    try store.close()
    let original = try Data(contentsOf: URL(fileURLWithPath: scratch.path))
    var errors = 0
    for _ in 0..<60 {
      var damaged = original
      for _ in 0..<1 + next(200) { damaged[next(damaged.count)] = UInt8(next(256)) }
      if next(4) == 0 { damaged.removeLast(next(damaged.count)) }
      for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: scratch.path + suffix) }
      try damaged.write(to: URL(fileURLWithPath: scratch.path))
      do {
        let store = try scratch.open()
        _ = try await store.observations()
        _ = try await store.desiredHosts()
        for number in 0..<200 { _ = try await store.bundleFiles(for: host(number)) }
      } catch {
        errors += 1
        #expect(!message(error).isEmpty)
      }
    }
    // About six files of ten are damaged where something is read. Were it next to none, nothing would have been tried.
    #expect(errors > 10)
  }

  @Test func `a full disk is named, and what was there stays`() async throws {
    let scratch = try Scratch()
    let store = try scratch.open()
    try await store.record(reports: [received(makeReport(host(1)), 1)])
    let pages = try await store.write("limit") { db in
      let pages = try Int.fetchOne(db, sql: "PRAGMA page_count")!
      return try Int.fetchOne(db, sql: "PRAGMA max_page_count = \(pages + 2)")!
    }
    #expect(pages > 0)
    let error = await #expect(throws: Failure.self) {
      try await store.record(reports: (0..<500).map { received(makeReport(host($0), chains: 50), 2) })
    }
    #expect(error.map(message)?.contains("the disk is full") == true)
    #expect(try await store.observations().count == 1)
  }

  private struct Kind: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let write: @Sendable (FleetStore, _ number: Int) async throws -> Void

    static let all = [
      Kind(testDescription: "changes") { store, number in
        try await store.record(changes: [heardChanges(host(number), 1...60)])
      },
      Kind(testDescription: "differences") { store, number in
        try await store.remember([makeDifference(host(number), String(repeating: "x\(number)", count: 5000))])
      },
      Kind(testDescription: "waivers") { store, number in
        try await store.save(waivers: (0..<50).map { makeWaiver(host(number * 50 + $0)) })
      },
      Kind(testDescription: "silence") { store, number in
        try await store.record(
          contactFailures: [
            host(number): ContactFailure(at: start, reason: String(repeating: "no route ", count: 500))
          ])
      },
    ]
  }

  /// All that is kept, kind by kind.
  private func contents(_ store: FleetStore) async throws -> [Int] {
    let numbers = (0..<200).map { host($0) }
    return [
      try await store.events().count, try await store.waivers().count,
      try await store.differences(of: numbers).count,
    ]
  }

  @Test(arguments: Kind.all) private func `of what a full disk refuses nothing is kept, and all of the rest`(
    kind: Kind
  ) async throws {
    let scratch = try Scratch()
    let store = try scratch.open()
    try await kind.write(store, 0)
    _ = try await store.write("limit") { db in
      let pages = try Int.fetchOne(db, sql: "PRAGMA page_count")!
      return try Int.fetchOne(db, sql: "PRAGMA max_page_count = \(pages + 8)")!
    }
    var failure: (any Error)?
    var acknowledged = try await contents(store)
    for number in 1..<200 where failure == nil {
      do {
        try await kind.write(store, number)
        acknowledged = try await contents(store)
      } catch {
        failure = error
      }
    }
    #expect(message(try #require(failure)).contains("the disk is full"))
    #expect(try await contents(store) == acknowledged)
    try store.close()
    #expect(try await contents(try scratch.open()) == acknowledged)
  }

  @Test(.enabled(if: getuid() == 0, "mounting a small file system needs root"))
  func `a disk that is really full fails the write, not the store`() async throws {
    let scratch = try Scratch()
    guard mount("tmpfs", scratch.directory, "tmpfs", 0, "size=1m,mode=0700") == 0 else {
      throw SystemCallError("mount", scratch.directory, errno: errno, meaning: String(cString: strerror(errno)))
    }
    defer { umount2(scratch.directory, Int32(MNT_DETACH)) }
    let store = try scratch.open()
    try await store.record(reports: [received(makeReport(host(1)), 1)])
    var failure: (any Error)?
    for second in 0..<200 where failure == nil {
      do {
        try await store.record(
          reports: (0..<20).map { received(makeReport(host($0), rules: "\(second)", chains: 20), Int64(second)) })
      } catch {
        failure = error
      }
    }
    let words = message(try #require(failure))
    #expect(words.contains("full"), "\(words)")
    #expect(!(try await store.observations().isEmpty))
    // A store that cannot be made says so too.
    #expect(throws: Failure.self) { try FleetStore(path: scratch.directory + "/second.sqlite", fleet: fleet) }
  }
}
