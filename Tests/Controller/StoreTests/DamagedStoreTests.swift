import Audit
import Core
import Foundation
import GRDB
import Glibc
import TestSupport
import Testing

@testable import Store

struct DamagedStoreTests {
  let scratch: Scratch
  init() throws { scratch = try Scratch() }

  private func open() throws -> (store: FleetStore, setAside: FleetStore.SetAside?) {
    try FleetStore.replacingDamaged(path: scratch.path, fleet: fleet, at: start)
  }

  private func files() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: scratch.directory).sorted()
  }

  @Test func `a sound store is opened as it is`() async throws {
    let first = try open()
    _ = try await first.store.allocateSerial()
    try first.store.close()
    let again = try open()
    #expect(again.setAside == nil)
    #expect(try await again.store.lastSerial() == Serial(1))
    #expect(try await again.store.isRebuilt() == false)
  }

  @Test func `what is no database is kept under another name, and a new store is begun`() async throws {
    let words = "this is not a database, but long enough to be looked at as one ..."
    try Data(words.utf8).write(to: URL(fileURLWithPath: scratch.path))
    let opened = try open()
    let kept = try #require(opened.setAside?.path)
    #expect(kept == scratch.path + ".damaged-20261121T000000Z")
    #expect(try String(contentsOfFile: kept, encoding: .utf8) == words)
    #expect(try await opened.store.isRebuilt())
    #expect(try await opened.store.observations().isEmpty)
    try opened.store.close()
    // The next one is whole, and a second damage in the same second has a name of its own.
    #expect(try open().setAside == nil)
    try Data(words.utf8).write(to: URL(fileURLWithPath: scratch.path))
    for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: scratch.path + suffix) }
    #expect(try open().setAside?.path == kept + "-2")
  }

  @Test(arguments: [false, true])
  func `a file that is missing or empty is a lost store where there was one, and a new one where not`(
    isEmpty: Bool
  ) async throws {
    func open(_ scratch: Scratch, hadContent: Bool) throws -> (store: FleetStore, setAside: FleetStore.SetAside?) {
      try FleetStore.replacingDamaged(path: scratch.path, fleet: fleet, at: start, hadContent: { hadContent })
    }
    let fresh = try Scratch()
    for path in isEmpty ? [scratch.path, fresh.path] : [] { try Data().write(to: URL(fileURLWithPath: path)) }
    let lost = try open(scratch, hadContent: true)
    let told = try #require(lost.setAside)
    #expect(told.path == nil && told.waivers.kept.isEmpty)
    #expect(try await lost.store.isRebuilt())
    try lost.store.close()
    // Once it was begun anew it is a store like any other.
    #expect(try open(scratch, hadContent: true).setAside == nil)
    let new = try open(fresh, hadContent: false)
    #expect(new.setAside == nil)
    #expect(try await !new.store.isRebuilt())
  }

  @Test func `damage that shows later is looked for by whoever opens the store next`() async throws {
    let store = try scratch.open()
    try await store.record(reports: (0..<200).map { received(makeReport(host($0), chains: 20), 1) })
    _ = try await store.pool.writeWithoutTransaction { try $0.checkpoint(.truncate) }
    try store.close()
    var bytes = try Data(contentsOf: URL(fileURLWithPath: scratch.path))
    let pages = bytes.count / 4096
    try #require(pages > 100)
    // Those of the tables come first, what fills them after.
    for page in pages * 2 / 3..<pages {
      bytes.replaceSubrange(page * 4096..<page * 4096 + 64, with: Data(repeating: 0xff, count: 64))
    }
    try bytes.write(to: URL(fileURLWithPath: scratch.path))
    // What is not read is not missed.
    let damaged = try open()
    #expect(damaged.setAside == nil)
    let error = await #expect(throws: Failure.self) { try await damaged.store.observations() }
    #expect(error.map(message)?.contains("damaged") == true)
    try damaged.store.close()
    #expect(try files().contains("store.sqlite.suspect"))
    let opened = try open()
    #expect(opened.setAside != nil)
    #expect(try await opened.store.observations().isEmpty)
    #expect(try !files().contains("store.sqlite.suspect"))
  }

  /// A store with these waivers, and with damage that is found when it is opened next.
  private func damaged(_ waivers: [Waiver], _ damage: (inout Data) throws -> Void) async throws {
    let store = try scratch.open()
    try await store.save(waivers: waivers)
    try await store.record(reports: (0..<200).map { received(makeReport(host($0), chains: 20), 1) })
    _ = try await store.pool.writeWithoutTransaction { try $0.checkpoint(.truncate) }
    try store.close()
    var bytes = try Data(contentsOf: URL(fileURLWithPath: scratch.path))
    for page in bytes.count / 4096 * 2 / 3..<bytes.count / 4096 {
      bytes.replaceSubrange(page * 4096..<page * 4096 + 64, with: Data(repeating: 0xff, count: 64))
    }
    try damage(&bytes)
    try bytes.write(to: URL(fileURLWithPath: scratch.path))
    FleetStore.suspect(scratch.path, because: DatabaseError(resultCode: .SQLITE_CORRUPT))
  }

  @Test func `waivers are taken over from a damaged store, but for those that were ended since`() async throws {
    let waivers = (1...3).map { makeWaiver(host($0)) }
    try await damaged(waivers) { _ in }
    let opened = try FleetStore.replacingDamaged(path: scratch.path, fleet: fleet, at: start) { $0.host != host(2) }
    #expect(try await opened.store.waivers() == [waivers[0], waivers[2]])
    let salvaged = try #require(opened.setAside?.waivers)
    #expect(
      salvaged.words == "2 waivers were taken over from it, 1 altered or ended since was not; "
        + "what no waiver of 'portcullis drift waivers' covers is drift again")
  }

  @Test func `damage never makes a waiver wider: what is not as it was written is drift again`() async throws {
    let waivers = (1...3).map { makeWaiver(host($0)) }
    try await damaged(waivers) { bytes in
      // Another difference for h2.
      let place = try #require(bytes.range(of: Data(waivers[1].difference.bytes))).lowerBound
      bytes[place] ^= 1
    }
    let opened = try open()
    #expect(try await opened.store.waivers() == [waivers[0], waivers[2]])
    #expect(opened.setAside?.waivers.refused == 1)
  }

  @Test func `whoever is killed while it replaces a damaged store loses no waiver`() async throws {
    let waivers = (1...3).map { makeWaiver(host($0)) }
    try await damaged(waivers) { _ in }
    try open().store.close()
    // As it is between two of its steps.
    try FileManager.default.moveItem(atPath: scratch.path, toPath: scratch.path + ".new")
    let opened = try open()
    #expect(try await opened.store.waivers() == waivers)
    #expect(try await opened.store.isRebuilt())
    #expect(try !files().contains("store.sqlite.new"))
  }

  @Test func `any damage to a store leaves only waivers that were there, and says when there may have been more`()
    async throws
  {
    let waivers = (1...40).map { makeWaiver(host($0)) }
    try await damaged(waivers) { _ in }
    let original = try Data(contentsOf: URL(fileURLWithPath: scratch.path))
    var random = Random.fresh()
    for _ in 0..<Fuzzing.count(40) {
      var bytes = original
      for _ in 0..<1 + random.below(400) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
      let path = "\(scratch.directory)/fuzzed"
      try bytes.write(to: URL(fileURLWithPath: path))
      let salvaged = FleetStore.salvageWaivers(from: path) { _ in true }
      #expect(salvaged.kept.allSatisfy(waivers.contains))
      #expect(salvaged.words.contains("is drift again"))
    }
  }

  @Test func `a suspicion that is not confirmed changes nothing`() async throws {
    let store = try scratch.open()
    _ = try await store.allocateSerial()
    FleetStore.suspect(scratch.path, because: DatabaseError(resultCode: .SQLITE_FULL))
    #expect(try !files().contains("store.sqlite.suspect"))
    FleetStore.suspect(scratch.path, because: DatabaseError(resultCode: .SQLITE_CORRUPT))
    #expect(try files().contains("store.sqlite.suspect"))
    let opened = try open()
    #expect(opened.setAside == nil)
    #expect(try await opened.store.lastSerial() == Serial(1))
    #expect(try !files().contains("store.sqlite.suspect"))
  }

  @Test func `another fleet's, another program's and a newer store are refused, not set aside`() throws {
    try scratch.open().close()
    let later = try DatabaseQueue(path: scratch.path)
    try later.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('999')") }
    try later.close()
    let error = #expect(throws: Failure.self) { try open() }
    #expect(error.map(message)?.contains("newer version") == true)
    #expect(throws: Failure.self) {
      try FleetStore.replacingDamaged(path: scratch.path, fleet: FleetID("prod")!, at: start)
    }
    #expect(try files().allSatisfy { !$0.contains("damaged") })
  }

  @Test func `processes that find the same damage begin one store`() async throws {
    try Data(repeating: 7, count: 8192).write(to: URL(fileURLWithPath: scratch.path))
    let directory = scratch.directory
    func child() async {
      await #expect(processExitsWith: .success) { [directory = directory as String] in
        let opened = try FleetStore.replacingDamaged(path: directory + "/store.sqlite", fleet: fleet, at: start)
        _ = try await opened.store.allocateSerial()
      }
    }
    async let first: Void = child()
    async let second: Void = child()
    async let third: Void = child()
    _ = await (first, second, third)
    #expect(try files().filter { $0.contains("damaged") && !$0.contains("-wal") && !$0.contains("-shm") }.count == 1)
    #expect(try await open().store.lastSerial() == Serial(3))
  }
}
