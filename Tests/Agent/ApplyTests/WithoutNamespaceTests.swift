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

  @Test func `a release that gives our rules up does so there too`() throws {
    let before = host.canonical
    try host.apply(agent, Modes.owned2)
    #expect(try host.apply(agent, Modes.withdrawn3).result == .committed)
    #expect(host.canonical == before)
  }
}
