import Apply
import Core
import Release
import Ruleset
import Testing
import Wire

/// A host that may not make network namespaces, like most containers: nothing can be rehearsed there, and nobody knocks.
@Suite struct WithoutNamespaceTests {
  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try Modes.host()
    host.firewall.rehearsalProblem = FirewallProblem(
      .noNamespace, program: "unshare", family: nil,
      words: "no network namespace for the rehearsal: Operation not permitted")
    agent = try host.recoveredAgent()
  }

  @Test(arguments: [Modes.owned2, Modes.exclusive2])
  func `a change goes on with a warning, and what the host prints of it is learnt once it is loaded`(
    bundle: Modes.Bundle
  ) throws {
    let transaction = TransactionID.random()
    let change = try ConfirmTests.begin(agent, bundle, transaction, from: host.connection())
    #expect(
      change.warnings.contains(
        "neither rehearsed nor knocked, only its deadline protects this change: no network namespace for the rehearsal: "
          + "Operation not permitted"))
    #expect(host.promise.armed != nil)
    let outcome = try agent.confirm(
      ChangeConfirmation(transaction: transaction, manifest: change.manifest, nonce: change.nonce),
      from: host.connection())
    #expect(outcome.result == .committed)
    let ledger = try host.ledger()
    let expected = try #require(ledger.committed?.expectation.digests)
    for family in Family.allCases {
      #expect(try agent.report(.random(), managementSource: "").families[family].expected == expected[family])
    }
    #expect(try host.apply(agent, bundle).result == .unchanged)
    host.firewall.append("-A INPUT -p tcp -m tcp --dport 1 -j ACCEPT", to: "filter", .ipv4)
    #expect(try host.recoveredAgent().restore() == .committed(Serial(2)))
  }

  @Test(arguments: [Modes.owned2, Modes.exclusive2])
  func `the deadline takes it back, and so does what was not loaded as it is written`(bundle: Modes.Bundle) throws {
    let before = host.canonical
    _ = try ConfirmTests.begin(agent, bundle, .random(), from: host.connection())
    #expect(host.canonical != before)
    host.pass(.seconds(60))
    agent.expire(because: "nobody came")
    #expect(host.canonical == before)

    var isAtWork = true
    host.firewall.beforeSave = { firewall, family in
      guard isAtWork, family == .ipv4, firewall.canonical(.ipv4).contains("--dport 443") else { return }
      isAtWork = false
      for name in firewall.kernel.ipv4.keys {
        for chain in firewall.kernel.ipv4[name]!.chains.indices {
          firewall.kernel.ipv4[name]!.chains[chain].rules.removeAll {
            String(decoding: $0.bytes, as: UTF8.self).contains("--dport 443")
          }
        }
      }
    }
    let outcome = try host.apply(agent, bundle)
    #expect(outcome.result == .reverted)
    #expect(host.canonical == before)
  }

  @Test(arguments: [(Modes.owned2, Modes.owned3), (Modes.exclusive2, Modes.exclusive3)])
  func `programs that print in other words since an upgrade keep nobody from booting or going back`(
    bundle: Modes.Bundle, successor: Modes.Bundle
  ) throws {
    try host.apply(agent, bundle)
    let before = host.canonical
    host.firewall.wording = { $0.replacing("-p tcp -m tcp", with: "-p 6 -m tcp") }
    // The same programs print other rules: somebody else's work.
    #expect(try host.recoveredAgent().restore() != .committed(Serial(2)))
    host.firewall.version = "1.8.11"
    #expect(try host.recoveredAgent().restore() == .committed(Serial(2)))
    #expect(host.canonical == before)
    let next = try host.recoveredAgent()
    host.faults.breaks = "load ipv4"
    let slept = host.boot.sleeps.count
    host.firewall.beforeLoad = { [host] _, _ in if host.boot.sleeps.count > slept { host.faults.breaks = nil } }
    let outcome = try host.apply(next, successor)
    #expect(outcome.result == .reverted, "\(outcome.detail)")
    // A copy is kept in the words that the programs have now.
    #expect(host.canonical.map { _, text in text.replacing("-p 6 -m tcp", with: "-p tcp -m tcp") } == before)
  }

  @Test(arguments: [Modes.owned2, Modes.exclusive2], [true, false])
  func `programs that print in other words are no drift, where the kernel has the rules as they were loaded`(
    bundle: Modes.Bundle, wasEdited: Bool
  ) throws {
    // A table that an exclusive release does not declare is to be empty.
    host.firewall.kernel.ipv4["nat"] = nil
    try host.apply(agent, bundle)
    #expect(try agent.isIntact())
    if wasEdited {
      host.firewall.distort = { table in
        for chain in table.chains.indices { table.chains[chain].digest = Digest(of: "edited".utf8) }
      }
    }
    host.firewall.wording = { $0.replacing("-p tcp -m tcp", with: "-p 6 -m tcp") }
    host.firewall.version = "1.8.11"
    #expect(try agent.isIntact() != wasEdited)
    #expect((try agent.report(.random(), managementSource: "").renewal == nil) == wasEdited)
  }

  @Test func `a host that had a place for the first rehearsal does not go on without`() throws {
    host.firewall.rehearsalProblem = nil
    var count = 0
    host.firewall.beforeRehearsal = { firewall in
      count += 1
      firewall.rehearsalProblem =
        count == 1
        ? FirewallProblem(.refused, program: "iptables-restore", family: .ipv4, words: "no such match")
        : FirewallProblem(.noNamespace, program: "unshare", family: nil, words: "No space left on device")
    }
    let before = host.canonical
    #expect(throws: Refusal.self) { try host.apply(agent, Modes.owned2) }
    #expect(host.canonical == before)
    #expect(host.firewall.loads == 0)
  }

  @Test func `a release that gives our rules up does so there too`() throws {
    let before = host.canonical
    try host.apply(agent, Modes.owned2)
    #expect(try host.apply(agent, Modes.withdrawn3).result == .committed)
    #expect(host.canonical == before)
  }
}
