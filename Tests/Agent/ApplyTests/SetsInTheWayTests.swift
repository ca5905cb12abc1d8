import Apply
import Core
import Ruleset
import Testing
import Wire

@testable import Apply

/// Ipset programs that hang, kernels that let go late, and other people's sets of sets.
@Suite struct SetsInTheWayTests {
  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try Beside.host()
    agent = try host.recoveredAgent()
  }

  private func isIntact() throws -> Bool {
    let facts = try agent.report(.random(), managementSource: "").families
    return Family.allCases.allSatisfy { facts[$0].expected == facts[$0].observed }
  }

  private func begin(_ bundle: Modes.Bundle) throws -> TransactionID {
    let (bundle, transaction) = (try bundle.get(), TransactionID.random())
    _ = try agent.apply(
      bundle.files, transaction: transaction, manifest: bundle.manifest, terms: .standard, from: host.connection())
    return transaction
  }

  private func hang() {
    let boot = host.boot
    host.firewall.hang = { boot.sleep(for: $0) }
  }

  // MARK: - Going back

  @Test func `going back does not wait for an ipset program that hangs`() throws {
    try host.apply(agent, Beside.old)
    let before = HostPicture(host)
    let transaction = try begin(Beside.new)
    hang()
    let boot = host.boot
    let start = boot.now()
    var loaded: [Duration] = []
    host.firewall.beforeLoad = { _, _ in loaded.append(boot.now() - start) }
    #expect(try agent.cancel(transaction).result == .reverted)
    // Not a moment for the rules; and the sets, which nobody can look at, are looked at once.
    #expect(loaded == [.zero, .zero])
    #expect((HostPicture(host).ipv4, HostPicture(host).ipv6) == (before.ipv4, before.ipv6))
    #expect(boot.now() - start <= SetCalls.shortLimit * 2)
  }

  @Test func `an ipset program that hangs delays no report by more than one limit, however many sets there are`() throws
  {
    try host.apply(agent, Beside.old)
    hang()
    let start = host.boot.now()
    #expect(try !isIntact())
    #expect(host.boot.now() - start <= SetCalls.limit)
  }

  @Test func `a set that is gone when its rules are to come back is made again`() throws {
    try host.apply(agent, Beside.old)
    let before = HostPicture(host)
    let transaction = try begin(Beside.new)
    host.firewall.sets.all[try Beside.friends.get().name] = nil
    #expect(try agent.cancel(transaction).result == .reverted)
    #expect(HostPicture(host) == before)
  }

  @Test func `after a reboot sets are made before the old rules are loaded`() throws {
    try host.apply(agent, Beside.old)
    _ = try begin(Beside.new)
    host.cutPower()
    _ = try host.recoveredAgent()
    #expect(try host.ledger().lastFailure?.detail.contains("exist") == false)
    #expect(host.firewall.sets.all[try Beside.friends.get().name] != nil)
  }

  // MARK: - What is in use

  @Test(arguments: [1, 3]) func `sets that the kernel lets go of late go all the same`(late: Int) throws {
    try host.apply(agent, Beside.old)
    host.firewall.sets.late = late
    try host.apply(agent, Beside.withdrawn)
    #expect(host.firewall.sets.all.keys.filter { SetName.isOurs($0) } == [])
    #expect(try host.disk.read("sets-made", atMost: 1) == nil)
  }

  @Test func `a set of another type goes for ours, even late`() throws {
    try host.apply(agent, Beside.old)
    let before = HostPicture(host)
    host.firewall.sets.all[try Beside.friends.get().name]?.type = "hash:ip family inet"
    host.firewall.kernel.ipv4 = [:]
    host.firewall.sets.late = 2
    #expect(try host.apply(agent, Beside.old).result == .committed)
    #expect(HostPicture(host) == before)
  }

  private func list(_ name: String) {
    host.firewall.sets.all["everybody"] = FakeSets.Held(type: "list:set size 8", members: [name])
  }

  @Test func `a set of sets that holds ours is named where it keeps one from being replaced`() throws {
    try host.apply(agent, Beside.old)
    let name = try Beside.friends.get().name
    host.firewall.sets.all[name]?.type = "hash:ip family inet"
    host.firewall.kernel.ipv4 = [:]
    list(name)
    let before = HostPicture(host)
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Beside.old) }
    let words =
      "the ipset everybody, which is not ours, has our \(name) as a member; take it out with 'ipset del everybody"
    #expect(refusal?.code == .setsRefused && refusal?.detail.contains(words) == true, "\(String(describing: refusal))")
    #expect(HostPicture(host) == before)
    // One of the right type may be in it.
    host.firewall.sets.all[name]?.type = "hash:net family inet"
    #expect(try host.apply(agent, Beside.old).result == .committed)
  }

  @Test(arguments: [Beside.old, Beside.owned])
  func `a rule on a set of another type under the name of ours is named, before anything is touched`(
    bundle: Modes.Bundle
  ) throws {
    let name = try (bundle.get().manifest == Beside.old.get().manifest ? Beside.friends : Beside.others).get().name
    host.firewall.sets.all[name] = FakeSets.Held(type: "hash:ip family inet", members: ["192.0.2.1"])
    host.firewall.append("-A FORWARD -m set --match-set \(name) src -j DROP", to: "filter", .ipv4)
    let before = HostPicture(host)
    let loads = host.firewall.loads
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, bundle) }
    let words = "replace a set of another type: a rule in table filter of ipv4 uses the ipset \(name)"
    #expect(refusal?.code == .setsRefused && refusal?.detail.contains(words) == true, "\(String(describing: refusal))")
    #expect(HostPicture(host) == before && host.firewall.loads == loads)
    host.firewall.kernel.ipv4 = [:]
    #expect(try host.apply(agent, bundle).result == .committed)
  }

  @Test func `sets that cannot be made are told as what they are`() throws {
    host.faults.breaks = "ipset restore"
    let outcome = try host.apply(agent, Beside.old)
    #expect(outcome.result == .reverted && outcome.detail.contains("make the sets: "), "\(outcome)")
    #expect(!outcome.detail.contains("load the new"), "\(outcome)")
  }

  @Test func `a comment about one of our sets keeps nobody from leaving`() throws {
    try host.apply(agent, Beside.owned)
    let name = try Beside.others.get().name
    let rule = "-A INPUT -m comment --comment \"was --match-set \(name) src\" -j DROP"
    host.firewall.append(rule, to: "filter", .ipv4)
    #expect(try agent.returnToGeneration0())
    #expect(host.canonical.ipv4.contains(rule))
  }

  @Test func `removal names the set of sets that keeps ours, before it touches anything`() throws {
    try host.apply(agent, Beside.owned)
    let name = try Beside.others.get().name
    list(name)
    let before = HostPicture(host)
    let failure = #expect(throws: Failure.self) { try agent.returnToGeneration0() }
    #expect(failure?.hint?.contains("ipset del everybody \(name)") == true)
    #expect(HostPicture(host) == before)
    host.firewall.sets.all["everybody"] = nil
    #expect(try agent.returnToGeneration0())
  }

  @Test(arguments: Family.allCases)
  func `removal names the rule of others that uses our set, before it touches anything`(family: Family) throws {
    try host.apply(agent, Beside.owned)
    let name = try (family == .ipv4 ? Beside.others : Beside.friends6).get().name
    let untouched = host.firewall.kernel
    host.firewall.append("-A INPUT -m set --match-set \(name) src -j ACCEPT", to: "filter", family)
    let before = HostPicture(host)
    let failure = #expect(throws: Failure.self) { try agent.returnToGeneration0() }
    let words = failure.map { "\(ErrorChain($0).message)" }
    #expect(
      words?.contains("table filter of \(family) that is not ours uses our ipset \(name)") == true, "\(words ?? "")")
    #expect(failure?.hint?.contains("--rules keep") == true)
    #expect(HostPicture(host) == before)
    host.firewall.kernel = untouched
    #expect(try agent.returnToGeneration0())
  }

  @Test func `a rule in a table that removal gives back as it was found goes with it, one in another table stays`()
    throws
  {
    try host.apply(agent, Beside.new)
    let name = try Beside.others.get().name
    let rule = "-A PREROUTING -m set --match-set \(name) src -j DROP"
    host.firewall.append(rule, to: "mangle", .ipv4)
    let before = HostPicture(host)
    #expect(throws: Failure.self) { try agent.returnToGeneration0() }
    #expect(HostPicture(host) == before)
    host.firewall.kernel.ipv4["mangle"] = nil
    host.firewall.append(rule.replacing("PREROUTING", with: "INPUT"), to: "filter", .ipv4)
    #expect(try agent.returnToGeneration0())
  }

  @Test func `rules that were found and name a set of ours would come back, so removal does not begin`() throws {
    try host.apply(agent, Beside.owned)
    let name = try Beside.others.get().name
    host.firewall.append("-A INPUT -m set --match-set \(name) src -j DROP", to: "filter", .ipv4)
    try host.apply(agent, Result { try Beside.bundle(9, try Beside.others.get()) })
    let before = HostPicture(host)
    #expect(throws: Failure.self) { try agent.returnToGeneration0() }
    #expect(HostPicture(host) == before)
  }

  @Test func `rules of ours that replaced nobody knows what are not taken for those of others`() throws {
    try host.apply(agent, Beside.old)
    let damaged = try #require(try host.ledger().committed?.name)
    host.disk.tamper("bundles/\(damaged)/sysctl", Array("no such line\n".utf8))
    let next = try host.recoveredAgent()
    try host.apply(next, Beside.new)
    #expect(try next.returnToGeneration0())
    #expect(host.firewall.sets.all.keys.filter { SetName.isOurs($0) } == [])
  }

  // MARK: - What is printed of them

  @Test func `an address counts by its value, however the host's program spells it`() throws {
    let set = try Beside.set("::1.2.3.4", "2001:db8::/32")
    let spelled = ["::1.2.3.4": "::102:304", "2001:db8::/32": "2001:0db8:0::/32"]
    host.firewall.sets.spelling = { spelled[$0] ?? $0 }
    #expect(try host.apply(agent, Result { try Beside.bundle(7, nil, set) }).result == .committed)
    #expect(try isIntact())
    host.firewall.sets.all[set.name]?.members.insert("no-address")
    #expect(try !isIntact())
  }

  @Test(arguments: [(1, false), (2, true)]) func `a full set of observations is told of`(count: Int, full: Bool) throws
  {
    try host.apply(agent, Result { try Beside.bundle(7, nil, observing: [.ipv4, .ipv6]) })
    host.firewall.sets.all[SetName.observations(.ipv4)] = FakeSets.Held(
      type: "hash:ip,port family inet hashsize 1024 maxelem 2 counters",
      members: Set((1...count).map { "192.0.2.\($0),tcp:22 packets 5 bytes 300" }))
    #expect(try agent.observe().full == (full ? [.ipv4] : []))
  }
}
