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
      try FleetStore.replacingDamaged(path: scratch.path, fleet: fleet, at: start, hadContent: { _ in hadContent })
    }
    let fresh = try Scratch()
    for path in isEmpty ? [scratch.path, fresh.path] : [] { try Data().write(to: URL(fileURLWithPath: path)) }
    let lost = try open(scratch, hadContent: true)
    let told = try #require(lost.setAside)
    #expect(told.path == nil && !told.isDamaged && told.waivers.kept.isEmpty)
    #expect(try await lost.store.isRebuilt())
    try lost.store.close()
    // Once it was begun anew it is a store like any other.
    #expect(try open(scratch, hadContent: true).setAside == nil)
    let new = try open(fresh, hadContent: false)
    #expect(new.setAside == nil)
    #expect(try await !new.store.isRebuilt())
  }

  /// Nothing of what was written has left its log yet.
  private func filled(_ scratch: Scratch) async throws -> FleetStore {
    let store = try scratch.open()
    _ = try await store.allocateSerial()
    try await store.save(waivers: [makeWaiver(host(1))])
    try #require(scratch.size("-wal") > 0)
    return store
  }

  @Test func `a store whose log is gone is a lost one where there were hosts, not a new fleet`() async throws {
    let source = try Scratch()
    let store = try await filled(source)
    try FileManager.default.copyItem(atPath: source.path, toPath: scratch.path)
    try store.close()
    let opened = try FleetStore.replacingDamaged(
      path: scratch.path, fleet: fleet, at: start, hadContent: { $0 == .blank })
    let told = try #require(opened.setAside)
    #expect(!told.isDamaged && told.path == scratch.path + ".damaged-20261121T000000Z")
    #expect(try await opened.store.isRebuilt())
    try opened.store.close()
    // It is asked of stores that know nothing only.
    let again = try FleetStore.replacingDamaged(path: scratch.path, fleet: fleet, at: start, hadContent: { _ in true })
    #expect(again.setAside == nil)
    _ = try await again.store.allocateSerial()
    try again.store.close()
    _ = try FleetStore.replacingDamaged(
      path: scratch.path, fleet: fleet, at: start,
      hadContent: { _ in
        Issue.record("it was asked")
        return true
      })
  }

  @Test func `an empty file beside a log that is not is kept with that log, whoever knows of hosts`() async throws {
    let source = try Scratch()
    let store = try await filled(source)
    for suffix in ["-wal", "-shm"] {
      try FileManager.default.copyItem(atPath: source.path + suffix, toPath: scratch.path + suffix)
    }
    try store.close()
    try Data().write(to: URL(fileURLWithPath: scratch.path))
    let log = try Data(contentsOf: URL(fileURLWithPath: scratch.path + "-wal"))
    #expect(FleetStore.isLost(scratch.path) { false })
    let opened = try open()
    let kept = try #require(opened.setAside?.path)
    #expect(try Data(contentsOf: URL(fileURLWithPath: kept + "-wal")) == log)
    #expect(try Data(contentsOf: URL(fileURLWithPath: kept)).isEmpty)
    #expect(try await opened.store.isRebuilt())
    #expect(try await opened.store.lastSerial() == .none)
  }

  @Test func `all of a damaged store is kept as it was found, with what its log says`() async throws {
    try await damaged([makeWaiver(host(1))]) { _ in }
    let writer = try scratch.open()
    try await writer.save(waivers: [makeWaiver(host(2))])
    let copy = try Scratch()
    for suffix in ["", "-wal"] {
      try FileManager.default.copyItem(atPath: scratch.path + suffix, toPath: copy.path + suffix)
    }
    try writer.close()
    FleetStore.suspect(copy.path, because: DatabaseError(resultCode: .SQLITE_CORRUPT))
    let opened = try FleetStore.replacingDamaged(path: copy.path, fleet: fleet, at: start)
    #expect(try await opened.store.waivers() == [makeWaiver(host(1)), makeWaiver(host(2))])
    let kept = try #require(opened.setAside?.path)
    #expect(FleetStore.salvageWaivers(from: kept) { _ in true }.kept.count == 2)
  }

  @Test(arguments: ["empty", "unmarked", "not closed"])
  func `a new store that was not finished is made again`(state: String) async throws {
    let half = scratch.path + ".new"
    if state == "empty" {
      try Data().write(to: URL(fileURLWithPath: half))
    } else {
      let store = try FleetStore(path: half, fleet: fleet)
      if state == "not closed" {
        try await store.write("mark") { try FleetStore.markRebuilt($0, at: start, because: "-") }
      }
      _ = try await store.allocateSerial()
      try store.close()
      if state == "not closed" { try Data([1]).write(to: URL(fileURLWithPath: half + "-wal")) }
    }
    let opened = try FleetStore.replacingDamaged(path: scratch.path, fleet: fleet, at: start, hadContent: { _ in true })
    #expect(opened.setAside?.isDamaged == false)
    #expect(try await opened.store.lastSerial() == .none)
    #expect(try await opened.store.isRebuilt())
    #expect(try files().allSatisfy { !$0.contains(".new") })
  }

  @Test func `a store that is older than a release goes on above it, and looks for hosts`() async throws {
    let store = try scratch.open()
    _ = try await store.allocateSerial()
    try store.catchUp(with: Serial(12), at: start)
    try store.catchUp(with: Serial(3), at: start)
    #expect(try store.newestSerial() == Serial(12))
    #expect(try await store.isRebuilt())
    #expect(try await store.allocateSerial() == Serial(13))
  }

  @Test func `only what replaces a store says that it does`() throws {
    let words = #expect(throws: Failure.self) {
      try FleetStore.replacingDamaged(path: scratch.directory + "/none/store.sqlite", fleet: fleet, at: start)
    }.map(message)
    #expect(words?.hasPrefix("open the store (") == true, "\(words ?? "")")
    try Data(repeating: 7, count: 8192).write(to: URL(fileURLWithPath: scratch.path))
    try FileManager.default.createDirectory(atPath: scratch.path + ".new", withIntermediateDirectories: false)
    let replacing = #expect(throws: Failure.self) { try open() }.map(message)
    #expect(replacing?.contains("damaged") == true || replacing?.contains(".new is not a plain file") == true)
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
    let opened = try FleetStore.replacingDamaged(path: scratch.path, fleet: fleet, at: start) {
      { $0.host != host(2) }
    }
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
    // Of the old one, which a new database must not find.
    for suffix in ["-wal", "-shm"] {
      try Data(repeating: 7, count: 4096).write(to: URL(fileURLWithPath: scratch.path + suffix))
    }
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
    await threeAtOnce {
      await #expect(processExitsWith: .success) { [directory = directory as String] in
        let opened = try FleetStore.replacingDamaged(path: directory + "/store.sqlite", fleet: fleet, at: start)
        _ = try await opened.store.allocateSerial()
      }
    }
    #expect(try files().filter { $0.contains("damaged") && !$0.contains("-wal") && !$0.contains("-shm") }.count == 1)
    #expect(try await open().store.lastSerial() == Serial(3))
  }
}
