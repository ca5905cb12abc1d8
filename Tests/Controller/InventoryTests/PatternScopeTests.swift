import Core
import TestSupport
import Testing

@testable import Inventory

/// What an order says of whom it is for means the hosts that the pattern names.
struct PatternScopeTests {
  private static let text = """
    all:
      hosts: {lone: }
      children:
        web: {hosts: {"web[01:06]": }, children: {cache: {hosts: {web05: , c1: }}}}
        db: {hosts: {db-a: , db-b: , web01: }}
        staging: {hosts: {web02: , db-b: }}
        lonely: {hosts: {lone: }}
        c1: {hosts: {db-a: }}
    """
  private let fleet: HostInventory

  init() throws { fleet = try inventory(Self.text) }

  private static func includes(_ scope: PatternScope, _ host: InventoryHost) -> Bool {
    func holds(_ word: PatternScope.Word) -> Bool {
      switch word {
      case .everyHost: true
      case .group(let name): host.groups.contains(name)
      case .host(let id): host.id == id
      }
    }
    return scope.any.contains(where: holds) && scope.all.allSatisfy(holds) && !scope.none.contains(where: holds)
  }

  private func expectSame(_ pattern: String) throws {
    let scope = try fleet.scope(of: pattern)
    let meant = fleet.hosts.filter { Self.includes(scope, $0) }.map(\.id)
    #expect(meant == (try fleet.hosts(matching: pattern).map(\.id)), "\(pattern): \(scope)")
  }

  @Test(arguments: [
    "all", "*", "lone", "c1", "web", "web,db", "web:&staging", "web:!staging", "!web", "&staging", "&c1",
    "!c1", "web0[12]", "web0?,!web0[!1]", "web[0:2],!web[1]", "all:&web01", "all:&web0[12]", "web:&~web0[1-3]:!web02",
    "~(db|lone)", "web:&staging:&web", "lonely:!c1", "lonely,&all",
  ])
  func `a host is meant by the words when the pattern names it`(pattern: String) throws { try expectSame(pattern) }

  @Test func `any pattern, put together at random`() throws {
    var random = Random.fresh()
    let bodies = ["web", "db", "staging", "lone", "all", "web0[1-3]", "web[0]", "db-*", "~a$", "cache", "lonely", "c1"]
    var matched = 0
    for _ in 0..<500 {
      let parts = (0...random.below(4)).map { _ in
        random.pick(["", "", "&", "!"]) + random.pick(bodies)
      }
      let pattern = parts.joined(separator: ",")
      guard (try? fleet.hosts(matching: pattern)) != nil else {
        #expect(throws: Failure.self, "\(pattern)") { try fleet.scope(of: pattern) }
        continue
      }
      matched += 1
      try expectSame(pattern)
    }
    #expect(matched > 100)
  }

  @Test func `groups stay groups, so that an order is small however many hosts it means`() throws {
    #expect(
      try fleet.scope(of: "web:&staging:!db-b")
        == PatternScope(any: [.group("web")], all: [.group("staging")], none: [.host(HostID("db-b")!)]))
    #expect(try fleet.scope(of: "!web") == PatternScope(any: [.everyHost], all: [], none: [.group("web")]))
  }
}
