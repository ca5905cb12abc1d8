import Apply
import Core
import Release
import Ruleset
import Testing
import Wire

/// Exclusive mode takes the tables that it declares, and nothing else: not to empty them, not to load them again.
@Suite struct ReplacedRulesTests {
  static let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j NOTRACK\nCOMMIT\n"
  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try FakeHost()
    try Modes.settle(Self.raw, on: host)
    agent = try host.recoveredAgent()
  }

  private var rawRules: Int { host.firewall.kernel.ipv4["raw"]?.chains.reduce(0) { $0 + $1.rules.count } ?? 0 }

  private func change() { host.firewall.append("-A OUTPUT -p udp -j NOTRACK", to: "raw", .ipv4) }

  @Test func `a first apply leaves the other tables`() throws {
    try host.apply(agent, Modes.exclusive2)
    #expect(rawRules == 1)
  }

  @Test func `what others do meanwhile in other tables survives a change that goes back`() throws {
    let bundle = try Modes.exclusive2.get()
    let transaction = TransactionID.random()
    _ = try agent.apply(
      bundle.files, transaction: transaction, manifest: bundle.manifest, terms: .standard, from: host.connection())
    change()
    _ = try agent.cancel(transaction)
    #expect(rawRules == 2)
    #expect(!host.canonical.ipv4.contains("*filter"))
  }

  @Test(arguments: [false, true]) func `and a withdrawal, and a removal`(isRemoval: Bool) throws {
    try host.apply(agent, Modes.exclusive2)
    change()
    if isRemoval {
      #expect(try agent.returnToGeneration0())
    } else {
      try host.apply(agent, Modes.withdrawn3)
    }
    #expect(rawRules == 2)
    #expect(!host.canonical.ipv4.contains("*filter"))
  }

  @Test func `a table that a later release takes comes back when that goes back, and when all is given up`() throws {
    let nat = """
      *nat
      :PREROUTING ACCEPT [0:0]
      :INPUT ACCEPT [0:0]
      :OUTPUT ACCEPT [0:0]
      :POSTROUTING ACCEPT [0:0]
      -A POSTROUTING -o wg0 -j MASQUERADE
      COMMIT

      """
    try Modes.settle(nat, on: host)
    try host.apply(agent, Modes.exclusive2)
    let before = host.canonical
    let bundle = try Modes.exclusiveMild3.get()
    let transaction = TransactionID.random()
    _ = try agent.apply(
      bundle.files, transaction: transaction, manifest: bundle.manifest, terms: .standard, from: host.connection())
    #expect(!host.canonical.ipv4.contains("wg0"))
    _ = try agent.cancel(transaction)
    #expect(host.canonical == before)

    try host.apply(agent, Modes.exclusiveMild3)
    #expect(!host.canonical.ipv4.contains("wg0"))
    try host.apply(agent, Modes.bundle(4, .exclusive))
    try host.apply(agent, Modes.bundle(5, .withdrawn))
    #expect(host.canonical.ipv4.contains("-A POSTROUTING -o wg0 -j MASQUERADE"))
    #expect(!host.canonical.ipv4.contains("*filter"))
  }
}
