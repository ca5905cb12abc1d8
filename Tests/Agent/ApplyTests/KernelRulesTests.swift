import Core
import Release
import Ruleset
import TestSupport
import Testing
import Wire

@testable import Apply

/// What the save programs do not show of our rules, on a host in memory.
@Suite struct KernelRulesTests {
  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try FakeHost()
    agent = try host.recoveredAgent()
  }

  private func differences(_ family: Family = .ipv4) throws -> [String] {
    try agent.differences(in: "kernel", family)
  }

  /// Puts a rule that no save program prints into a chain.
  private func insert(_ rule: NotableRule, into chain: String) {
    host.firewall.distort = { table in
      for index in table.chains.indices where table.name == "filter" && table.chains[index].name == chain {
        table.chains[index].notable.append(rule)
      }
    }
  }

  private func native(_ position: Int, mayPass: Bool = false, looksUpVerdict: Bool = false, calls: String? = nil)
    -> NotableRule
  {
    NotableRule(
      position: position, digest: Digest(of: "native".utf8), isNative: true, mayPass: mayPass,
      looksUpVerdict: looksUpVerdict, calls: calls)
  }

  @Test func `what is counted only is another difference too when it changes`() {
    func digests(_ last: String) -> [Digest] {
      let difference = HostDifference(
        kernel: (0..<1500).map { .init(family: .ipv4, place: "filter/PCL-\($0)", words: $0 == 1400 ? last : "-") },
        others: (0..<1500).map {
          .init(
            family: .ipv4, name: "inet/t\($0)", before: nil, now: Digest(of: ($0 == 1400 ? last : "-").utf8),
            drops: false)
        })
      return difference.tables(.ipv4, expected: false, of: BesideRules()).map { Ruleset(tables: [$0]).digest }
    }
    #expect(digests("one") == digests("one"))
    #expect(zip(digests("one"), digests("two")).allSatisfy { $0 != $1 } && digests("one").count == 2)
  }

  @Test func `a clean host shows nothing, in any mode`() throws {
    for bundle in [Modes.owned2, Modes.exclusive3, Modes.withdrawn4] {
      try host.apply(agent, bundle)
      #expect(try Family.allCases.allSatisfy { try differences($0).isEmpty })
      #expect(try agent.isIntact())
    }
  }

  @Test(arguments: [Modes.owned2, Modes.exclusive2])
  func `a native rule in a chain of ours is drift, and apply loads the chain again`(
    bundle: Modes.Bundle
  ) throws {
    try host.apply(agent, bundle)
    let chain =
      try bundle.get().files.isEmpty ? "" : (host.canonical.ipv4.contains("PCL-INPUT") ? "PCL-INPUT" : "INPUT")
    insert(native(1), into: chain)
    let shown = try differences()
    #expect(shown.contains { $0.hasPrefix("-A filter/\(chain) # rule 2 has words that iptables-save does not print") })
    #expect(try !agent.isIntact())
    let before = host.firewall.loads
    #expect(try host.apply(agent, bundle).result == .committed)
    #expect(host.firewall.loads > before)
  }

  @Test func `rules that print the same and are others are drift`() throws {
    try host.apply(agent, Modes.owned2)
    host.firewall.distort = { table in
      for index in table.chains.indices where table.chains[index].name == "PCL:web" {
        table.chains[index].digest = Digest(of: "tcp dport 1 tcp dport 443 accept".utf8)
      }
    }
    let shown = try differences()
    #expect(shown.count == 1 && shown[0].hasPrefix("-A filter/PCL:web # the rules are not those that were loaded"))
    // The note outlives the agent, and does not follow what somebody did meanwhile.
    #expect(try host.recoveredAgent().differences(in: "kernel", .ipv4) == shown)
    // What the text shows is shown once.
    host.firewall.append("-A PCL:web -s 192.0.2.9/32 -j ACCEPT", to: "filter", .ipv4)
    #expect(try differences().isEmpty)
    #expect(try !agent.isIntact())
  }

  @Test func `programs that changed make no alarm, and hide no rule that was changed`() throws {
    try host.apply(agent, Modes.owned2)
    host.firewall.version = "1.8.11"
    #expect(try agent.isIntact())
    host.firewall.distort = { table in
      for index in table.chains.indices { table.chains[index].digest = Digest(of: "other words".utf8) }
    }
    #expect(try !agent.isIntact())
    host.firewall.distort = nil
    let renewal = try #require(try agent.report(.random(), managementSource: "").renewal)
    #expect(renewal == Renewal(from: "1.8.9 nft", to: "1.8.11 nft", at: host.clock.now()))
    // The next commit is by the programs of now.
    try host.apply(agent, Modes.owned5)
    host.clock.time = host.clock.time + 1
    try host.apply(agent, Modes.bundle(6, .owned))
    #expect(try agent.report(.random(), managementSource: "").renewal == nil)
  }

  private func kernelFile() throws -> [UInt8]? { try host.disk.read(NotedFile.kernel.name, atMost: 1 << 20) }

  private static let notNoted =
    "-A not-noted # how the kernel holds the rules is not known from when they were loaded: an apply loads them again"

  @Test func `a note of an earlier load is never compared with a later one, and one that is missing is taken later`()
    throws
  {
    try host.apply(agent, Modes.owned2)
    host.firewall.nftablesProblem = Self.busy
    try host.apply(agent, Modes.owned3)
    #expect(try kernelFile() == nil)
    let report = try agent.report(.random(), managementSource: "")
    #expect(report.others?.problem == "nf_tables: busy")
    #expect(try differences() == [Self.notNoted])
    // It is what it was to be as far as anybody can tell, and nobody can.
    #expect(try host.apply(agent, Modes.owned3).result == .committed)
    host.firewall.nftablesProblem = nil
    #expect(try !agent.look(for: []) || kernelFile() != nil)
    #expect(try differences().isEmpty && agent.isIntact())
    let words = "kernel-rules was not written until \(host.clock.now()): nobody can tell what came before"
    #expect(try agent.report(.random(), managementSource: "").others?.problem == words)
    #expect(try host.apply(agent, Modes.owned3).result == .unchanged)
    host.firewall.distort = { table in
      for index in table.chains.indices { table.chains[index].digest = Digest(of: "others".utf8) }
    }
    #expect(try !agent.isIntact())
  }

  @Test func `nothing is noted late of rules that somebody changed meanwhile`() throws {
    host.firewall.nftablesProblem = Self.busy
    try host.apply(agent, Modes.owned2)
    host.firewall.nftablesProblem = nil
    host.firewall.append("-A PCL:web -s 192.0.2.9/32 -j ACCEPT", to: "filter", .ipv4)
    #expect(try !agent.look(for: []))
    #expect(try differences() == [Self.notNoted] && kernelFile() == nil)
    #expect(try host.apply(agent, Modes.owned2).result == .committed)
    #expect(try agent.isIntact())
  }

  @Test func `an upgrade from an agent that noted nothing adds no difference to what differs, and notes later`() throws
  {
    try host.apply(agent, Modes.owned2)
    host.firewall.append("-A PCL:web -s 192.0.2.9/32 -j ACCEPT", to: "filter", .ipv4)
    let before = try agent.report(.random(), managementSource: "").families.ipv4.observed
    var earlier = try Journal.read(from: host.disk)
    earlier.noted = [:]
    host.disk.tamper(Journal.fileName, Journal.frame(.snapshot(earlier)))
    try host.disk.remove(NotedFile.kernel.name)
    let later = try host.recoveredAgent()
    #expect(try later.report(.random(), managementSource: "").families.ipv4.observed == before)
    try Modes.settle(
      String(decoding: host.firewall.save(.ipv4), as: UTF8.self).replacing(Self.added, with: ""), on: host)
    #expect(try later.isIntact())
    #expect(try kernelFile() != nil)
  }

  private static let added = "-A PCL:web -s 192.0.2.9/32 -j ACCEPT\n"

  @Test(arguments: [nil, "format 1\n", "content x\n"])
  func `a note that somebody edited or removed is taken again by an apply, and by nothing else`(text: String?) throws {
    try host.apply(agent, Modes.owned2)
    let note = try #require(try kernelFile())
    #expect(KernelNote(parsing: note)?.encode() == note)
    for cut in 0..<note.count { _ = KernelNote(parsing: Array(note[..<cut])) }
    if let text {
      host.disk.tamper(NotedFile.kernel.name, Array(text.utf8))
    } else {
      try host.disk.remove(NotedFile.kernel.name)
    }
    let later = try host.recoveredAgent()
    #expect(try !later.look(for: []))
    #expect(try later.differences(in: "kernel", .ipv4) == [Self.notNoted])
    #expect(try host.apply(later, Modes.owned2).result == .committed)
    #expect(try kernelFile() == note && later.isIntact())
  }

  @Test func `a note of another format is taken anew, which is said`() throws {
    try host.apply(agent, Modes.owned2)
    let note = try #require(try kernelFile())
    let old = Array(String(decoding: note, as: UTF8.self).dropFirst(NotedFile.format.count + 1).utf8)
    host.disk.tamper(NotedFile.kernel.name, old)
    let state = NotedState(digest: Digest(of: old), at: host.clock.now(), isLate: false)
    let later = try host.recoveredAgent()
    try later.append(.noted(.kernel, state))
    #expect(try later.isIntact())
    #expect(try kernelFile() == note)
    let words = try #require(try later.report(.random(), managementSource: "").others?.problem)
    #expect(words.hasPrefix("kernel-rules was not written until "))
  }

  @Test func `a host whose kernel nobody can read is not taken for one that needs nothing`() throws {
    try host.apply(agent, Modes.owned2)
    #expect(try host.apply(agent, Modes.owned2).result == .unchanged)
    host.firewall.nftablesProblem = Self.busy
    let before = host.firewall.loads
    #expect(try host.apply(agent, Modes.owned2).result == .committed)
    #expect(host.firewall.loads > before)
  }

  private static let busy = FirewallProblem(.unavailable, program: "nf_tables", family: nil, words: "busy")

  private func wait(_ seconds: Int) { host.boot.time = host.boot.time + .seconds(seconds) }

  @Test func `what differs does not go away while the kernel cannot be read`() throws {
    try host.apply(agent, Modes.owned2)
    host.firewall.otherTables = [OthersTests.table("evil")]
    _ = try agent.look(for: [])
    let (known, others) = (agent.changes.last, try agent.differences(in: "others", .ipv4))
    #expect(others.count == 1)
    host.firewall.nftablesProblem = Self.busy
    #expect(try agent.differences(in: "others", .ipv4) == others && differences().isEmpty)
    // Nor is anything told of it.
    #expect(throws: Refusal.self) { try agent.look(for: []) }
    #expect(agent.changes.last == known)
    wait(61)
    #expect(try differences() == ["-A unreadable # nf_tables: busy"])
    _ = try agent.look(for: [])
    #expect(agent.changes.changes(after: known)?.entries.map(\.families.ipv4.differs) == [true])
    host.firewall.nftablesProblem = nil
    #expect(try differences().isEmpty && agent.differences(in: "others", .ipv4) == others)
  }

  @Test func `a moment in which the kernel cannot be read is no drift`() throws {
    try host.apply(agent, Modes.owned2)
    #expect(try agent.isIntact())
    wait(3600)
    host.firewall.nftablesProblem = Self.busy
    #expect(try agent.isIntact())
    wait(59)
    #expect(try agent.isIntact())
    wait(2)
    #expect(try !agent.isIntact())
  }

  @Test func `an agent that has read nothing yet waits as long before it says so, and misses nobody meanwhile`() throws
  {
    host.firewall.otherTables = [OthersTests.table("guard")]
    try host.apply(agent, Modes.owned2)
    host.firewall.nftablesProblem = Self.busy
    let later = try host.recoveredAgent()
    #expect(try later.isIntact())
    #expect(try later.report(.random(), managementSource: "").others?.problem == "nf_tables: busy")
    wait(59)
    #expect(try later.isIntact())
    wait(2)
    #expect(try later.differences(in: "kernel", .ipv4) == ["-A unreadable # nf_tables: busy"])
    #expect(try later.differences(in: "others", .ipv4).isEmpty)
  }

  @Test func `a load of ours hides nothing of what others have`() throws {
    try host.apply(agent, Modes.owned2)
    host.firewall.otherTables = [OthersTests.table("evil")]
    let others = try agent.differences(in: "others", .ipv4)
    #expect(others.count == 1)
    host.firewall.nftablesProblem = Self.busy
    try host.apply(agent, Modes.owned3)
    #expect(try agent.differences(in: "others", .ipv4) == others)
    // Of our own what was read before says nothing any more.
    #expect(try differences() == [Self.notNoted])
  }

  @Test(arguments: [
    (0, true, false, "INPUT", true), (0, false, false, "INPUT", false), (9, true, false, "INPUT", false),
    (0, true, true, "mine", true), (0, true, false, "mine", false),
  ])
  func `a native rule of somebody else counts where it lets packets pass above ours`(
    position: Int, mayPass: Bool, looksUpVerdict: Bool, chain: String, isDrift: Bool
  ) throws {
    try Modes.settle(
      "*filter\n:INPUT ACCEPT [0:0]\n:mine - [0:0]\n-A INPUT -s 192.0.2.66/32 -j DROP\nCOMMIT\n", on: host)
    try host.apply(agent, Modes.owned2)
    insert(native(position, mayPass: mayPass, looksUpVerdict: looksUpVerdict), into: chain)
    #expect(try differences().isEmpty != isDrift)
  }

  @Test func `a hook with a condition that is not printed is drift`() throws {
    try host.apply(agent, Modes.owned2)
    host.firewall.distort = { table in
      for chain in table.chains.indices where table.chains[chain].name == "INPUT" {
        for rule in table.chains[chain].notable.indices {
          table.chains[chain].notable[rule].isNative = true
          table.chains[chain].notable[rule].isUnconditional = false
        }
      }
    }
    #expect(
      try differences().contains { $0.contains("calls PCL-INPUT under a condition that iptables-save does not print") })
  }

  @Test(arguments: [Modes.owned2, Modes.exclusive2])
  func `a table that is switched off, and a chain out of its place, are drift`(
    bundle: Modes.Bundle
  ) throws {
    try host.apply(agent, bundle)
    host.firewall.distort = { $0.isDormant = $0.family == .ipv4 }
    #expect(try differences() == ["-A filter # the table is switched off (dormant): no packet passes through it"])
    #expect(try differences(.ipv6).isEmpty)
    host.firewall.distort = { table in
      for index in table.chains.indices where table.chains[index].name == "INPUT" { table.chains[index].hook = nil }
    }
    #expect(try differences() == ["-A filter/INPUT # the chain is not hooked: no packet passes through it"])
    host.firewall.distort = { table in
      for index in table.chains.indices { table.chains[index].hook?.priority += 5 }
    }
    #expect(try differences().contains("-A filter/INPUT # the chain hangs at hook 1, priority 5, not at 1, 0"))
  }
}

extension HostAgent {
  /// The lines of one table of what is observed, and not of what is expected.
  func differences(in table: String, _ family: Family) throws -> [String] {
    let text = try text(TextRequest(family: family, side: .observed))
    let rules = try Ruleset.parse(save: text, file: "observed")
    return (rules[table: table]?.chains ?? []).flatMap(\.rules).map { String(decoding: $0.bytes, as: UTF8.self) }
  }

  func isIntact() throws -> Bool {
    let families = try report(.random(), managementSource: "").families
    return Family.allCases.allSatisfy { families[$0].expected == families[$0].observed }
  }
}
