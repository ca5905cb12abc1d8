import Core
import TestSupport
import Testing

@testable import Inventory

@Suite("Host patterns")
struct PatternTests {
  private let fleet: HostInventory

  init() throws {
    fleet = try inventory(
      """
      all:
        hosts: {lone: }
        children:
          web: {hosts: {"web[01:06]": }}
          db: {hosts: {db-a: , db-b: , web01: }}
          staging: {hosts: {web02: , db-b: }}
          rack1: {hosts: {rack10: , rack11: }}
          empty: {}
      """)
  }

  @Test(
    "A pattern names hosts in inventory order",
    arguments: [
      ("all", "lone web01 web02 web03 web04 web05 web06 db-a db-b rack10 rack11"),
      ("*", "lone web01 web02 web03 web04 web05 web06 db-a db-b rack10 rack11"),
      ("ungrouped", "lone"),
      ("db", "web01 db-a db-b"),
      ("db,lone", "lone web01 db-a db-b"),
      ("db:lone", "lone web01 db-a db-b"),
      (" db , lone ", "lone web01 db-a db-b"),
      ("web:&staging", "web02"),
      ("web:!staging", "web01 web03 web04 web05 web06"),
      ("!web", "lone db-a db-b rack10 rack11"),
      ("&staging", "web02 db-b"),
      ("!staging,web,&db", "web01"),
      ("web0[12]", "web01 web02"),
      ("web0?,!web0[!1]", "web01"),
      ("db-*", "db-a db-b"),
      ("d?", "web01 db-a db-b"),
      ("web[0]", "web01"),
      ("web[-1]", "web06"),
      ("web[0:2]", "web01 web02 web03"),
      ("web[4:]", "web05 web06"),
      ("web[0-1]", "web01 web02"),
      ("all[0:1]", "lone web01"),
      ("web[01-03,06]", "web01 web02 web03 web06"),
      ("web[01:03]", "web02 web03 web04"),
      ("rack[10-11]", "rack10 rack11"),
      ("rack1[0-1]", "rack10 rack11"),
      ("rack1[0]", "rack10"),
      ("~web0[1-2]$", "web01 web02"),
      ("~(db|lone)", "lone web01 db-a db-b"),
      ("~we.*6,db-a", "web06 db-a"),
    ])
  func matches(pattern: String, hosts: String) throws {
    let found = try fleet.hosts(matching: pattern).map(\.id.description).joined(separator: " ")
    #expect(found == hosts)
  }

  @Test(
    "Arguments name each host once, in their own order",
    arguments: [
      ("web02,web01", "web02 web01"),
      ("db-b,db", "db-b db-a web01"),
      ("web,db", "web01 web02 web03 web04 web05 web06 db-a db-b"),
      ("lone,rack1,!rack10,web[0]", "lone rack11 web01"),
      ("&web,db-a,web06,web01", "web06 web01"),
      ("!web", "lone db-a db-b rack10 rack11"),
      ("web[06,01-02]", "web06 web01 web02"),
    ])
  func order(pattern: String, hosts: String) throws {
    #expect(try fleet.hosts(named: pattern).map(\.id.description).joined(separator: " ") == hosts)
  }

  @Test(
    "A part that matches nothing is a usage error that names it, whatever the others match",
    arguments: [
      ("weeb", "\"weeb\" matches no host or group of the inventory", "did you mean \"web\"?"),
      ("web,dbb", "\"dbb\" matches no host or group of the inventory", "did you mean \"db\"?"),
      ("web:!stagin", "\"!stagin\" matches no host or group of the inventory", "did you mean \"staging\"?"),
      ("web:&nothing", "\"&nothing\" matches no host or group of the inventory", nil),
      ("x*", "\"x*\" matches no host or group of the inventory", nil),
      ("empty", "group \"empty\" has no hosts", nil),
      ("web[9]", "\"web[9]\" matches no host or group of the inventory", nil),
      ("web[05-08]", "of \"web[05-08]\", web[07-08] are not in the inventory", nil),
      ("db:&rack1", "pattern \"db:&rack1\" matches no host", nil),
      ("~zzz", "\"~zzz\" matches no host or group of the inventory", nil),
      ("", "the pattern is empty", nil),
      (",,", "the pattern is empty", nil),
    ] as [(String, String, String?)])
  func nothing(pattern: String, cause: String, hint: String?) throws {
    do {
      let found = try fleet.hosts(matching: pattern)
      Issue.record("matched \(found.map(\.id))")
    } catch {
      #expect(error.kind == .usage)
      #expect("\(error.cause!)" == cause)
      if let hint { #expect(error.hint == hint) }
    }
  }

  @Test(
    "Regular expressions that could run for ever are refused, and those that could not still end",
    arguments: [
      "~(a+)+$", "~(a|a)*b", "~(?:x{2,})+", "~(a)\\1", "~(?=a)b", "~(", "~", "~a*a*a*a*b", "~[", "~\\",
      "~(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)b",
    ])
  func hostileRegex(pattern: String) {
    let error = #expect(throws: Failure.self) { try fleet.hosts(matching: pattern) }
    #expect(error?.kind == .usage)
  }

  @Test("The most that a regular expression may do ends in time")
  func slowestRegex() throws {
    let long = String(repeating: "a", count: 253)
    let fleet = try inventory("all: {hosts: {\(long): }}")
    let start = ProcessorTime.now
    _ = try? fleet.hosts(matching: "~a*a*a*b")
    #expect(ProcessorTime.now - start < .seconds(30))
  }

  @Test("A file names hosts and patterns line by line")
  func file() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("failed.txt", "web02\r\n# comment\n\ndb-a # was down\nrack1\n")
    #expect(try fleet.hosts(matching: "@\(path)").map(\.id.description) == ["web02", "db-a", "rack10", "rack11"])
    #expect(try fleet.hosts(matching: "@\(path),!rack1").map(\.id.description) == ["web02", "db-a"])
    let without = try folder.write("without.txt", "all\n!web\n!rack1\n")
    #expect(try fleet.hosts(matching: "@\(without)").map(\.id.description) == ["lone", "db-a", "db-b"])
    #expect(throws: Failure.self) { try fleet.hosts(matching: "all,!@\(without)") }
    for text in ["web99\n", "&@\(path)\n", "@\(path)\n", "\n"] {
      let bad = try folder.write("bad.txt", text)
      let error = #expect(throws: Failure.self) { try fleet.hosts(matching: "@\(bad)") }
      #expect(error?.kind == .usage)
    }
    let error = #expect(throws: Failure.self) { try fleet.hosts(matching: "@\(folder.path)/none") }
    #expect(error?.kind == .usage)
  }
}
