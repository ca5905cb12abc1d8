import Foundation
import Testing

/// A store that cannot be used: every verb says so, and what to do.
@Suite(.enabled(if: Machine.obstacle == nil, "the executables, root and iptables are needed"))
struct RefusedStoreTests {
  private static let reading = [
    "status", "drift waivers", "events", "history web1", "plan", "hosts", "doctor", "release list", "observe show",
    "render web1", "validate", "rollback --yes",
  ]
  private static let writing = [
    "status --refresh", "drift", "drift show web1", "drift --watch --for 1s", "drift repair --yes",
    "drift waive -l web1 --until 2037-01-31 --reason x", "drift adopt -l web1", "apply --yes", "confirm", "enroll web1",
  ]

  private func run(_ verb: String, _ fleet: MistakesTests.Fleet) async throws -> Finished {
    try await Command.run(Machine.portcullis, verb.split(separator: " ").map(String.init), in: fleet.folder)
  }

  private func fleetWithStore() async throws -> (fleet: MistakesTests.Fleet, store: String) {
    let fleet = try MistakesTests.Fleet(files: ["keys/known_hosts": ""])
    // Nobody is enrolled, which it says once it has made the store.
    _ = try await fleet.portcullis("status", "--refresh")
    let store = "\(fleet.folder)/state/fleet.sqlite"
    try #require(FileManager.default.fileExists(atPath: store))
    return (fleet, store)
  }

  @Test func aStoreOfANewerVersionIsRefusedByEveryVerbAndStaysAsItIs() async throws {
    let (fleet, store) = try await fleetWithStore()
    func python(_ lines: String) async throws -> String {
      let script = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\n\(lines)\ndb.close()\n"
      return try await Command.succeed("/usr/bin/python3", ["-c", script, store]).out
    }
    _ = try await python("db.execute(\"INSERT INTO grdb_migrations VALUES ('999')\")\ndb.commit()")
    // Not the bytes: the library counts how often it opened a file.
    let content = "print('\\n'.join(db.iterdump()))"
    let before = try await python(content)
    #expect(before.contains("'999'"))
    for verb in Self.reading + Self.writing {
      let refused = try await run(verb, fleet)
      #expect(refused.status == 1 && refused.out.isEmpty, "\(verb): \(refused)")
      #expect(refused.err.contains("state/fleet.sqlite: it was written by a newer version"), "\(verb): \(refused)")
      #expect(refused.err.contains("hint: upgrade this portcullis"), "\(verb): \(refused)")
    }
    #expect(try await python(content) == before)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: "\(fleet.folder)/state").allSatisfy {
        !$0.contains("damaged")
      })
  }

  @Test func aDamagedStoreIsNamedByVerbsThatReadAndSetAsideByThoseThatWrite() async throws {
    let (fleet, store) = try await fleetWithStore()
    func damage() throws {
      for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: store + suffix) }
      try write(String(repeating: "no database at all ", count: 1000), to: store)
    }
    try damage()
    for verb in Self.reading {
      let refused = try await run(verb, fleet)
      #expect(refused.status == 1 && refused.err.contains("run 'portcullis status --refresh'"), "\(verb): \(refused)")
    }
    #expect(try text(of: store).hasPrefix("no database"))
    for verb in Self.writing {
      try damage()
      let begun = try await run(verb, fleet)
      #expect(begun.err.contains("warning: the store was damaged: it is kept as "), "\(verb): \(begun)")
    }
  }
}
