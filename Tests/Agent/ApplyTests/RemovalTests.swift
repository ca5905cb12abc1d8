import AgentTestSupport
import Apply
import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Apply

/// Leaving a host as it was found is done whole or not at all, and says which.
@Suite struct RemovalTests {
  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try Beside.host()
    agent = try host.recoveredAgent()
  }

  /// The words of a removal that did not work, with its hint.
  private func refused() -> (words: String, hint: String) {
    let failure = #expect(throws: Failure.self) { try agent.returnToGeneration0() }
    return (failure.map { ErrorChain($0).message } ?? "", failure?.hint ?? "")
  }

  private static let ban = "-A INPUT -m set --match-set f2b src -j DROP"
  private static let banIPv6 = "-A INPUT -s 2001:db8::/32 -j DROP"

  private func banned() throws {
    host.firewall.sets.all["f2b"] = FakeSets.Held(type: "hash:ip family inet")
    host.firewall.append(Self.ban, to: "filter", .ipv4)
    host.firewall.append(Self.banIPv6, to: "filter", .ipv6)
  }

  @Test(arguments: [["192.0.2.7"], []])
  func `rules that were found and load no more keep it from beginning`(sources: [String]) throws {
    try banned()
    try host.apply(
      agent, Result { try SignedBundles.bundle(serial: 7, ipv4: Samples.old4, ipv6: Samples.old6, sources: sources) })
    host.firewall.sets.all["f2b"] = nil
    let before = HostPicture(host)
    let loads = host.firewall.loads
    let (words, hint) = refused()
    #expect(words.contains("nothing was changed") && words.contains("Set f2b doesn't exist"), "\(words)")
    #expect(hint.contains("--rules keep"), "\(hint)")
    #expect(HostPicture(host) == before && host.firewall.loads == loads)
    host.firewall.sets.all["f2b"] = FakeSets.Held(type: "hash:ip family inet")
    #expect(try agent.returnToGeneration0())
    #expect(host.canonical.ipv4.contains(Self.ban) && host.canonical.ipv6.contains(Self.banIPv6))
  }

  @Test func `where nothing can be rehearsed, such rules bring both families back as they were`() throws {
    try banned()
    try host.apply(agent, Samples.new)
    host.firewall.sets.all["f2b"] = nil
    host.firewall.rehearsalProblem = FirewallProblem(
      .noNamespace, program: "unshare", family: nil, words: "Operation not permitted")
    let before = HostPicture(host)
    let (words, hint) = refused()
    #expect(words.contains("release 8 is loaded again") && words.contains("Set f2b doesn't exist"), "\(words)")
    #expect(hint.contains("--rules keep"), "\(hint)")
    #expect(HostPicture(host) == before)
  }

  /// The next load of IPv4 is refused, after that of IPv6 was not.
  private func refuseOneLoad() {
    var isFirst = true
    host.firewall.beforeLoad = { firewall, family in
      guard isFirst, family == .ipv4 else { return }
      isFirst = false
      firewall.refusals = 1
    }
  }

  @Test(arguments: [Beside.new, Beside.owned], [false, true])
  func `one that fails between the families brings rules, sets and settings back`(
    bundle: Modes.Bundle, isSafe: Bool
  ) throws {
    try host.apply(agent, bundle)
    if isSafe { _ = try agent.obey(LocalOrder(deed: .safe, reason: "test")) }
    let before = HostPicture(host)
    refuseOneLoad()
    let (words, hint) = refused()
    #expect(words.contains("it does not fit"), "\(words)")
    #expect(words.contains(isSafe ? "the safe policy is loaded again" : "release 8 is loaded again"), "\(words)")
    #expect(hint.contains("--rules keep"), "\(hint)")
    #expect(HostPicture(host) == before)
    #expect(try host.ledger().open == nil && (host.ledger().degraded != nil) == isSafe)
    host.firewall.beforeLoad = nil
    #expect(try agent.returnToGeneration0())
    #expect(!host.canonical.ipv4.contains("PCL") && host.settings.values == FakeSettings.atBoot)
  }

  @Test func `one that fails at the end brings back what it took away before`() throws {
    try host.apply(agent, Beside.owned)
    let before = HostPicture(host)
    host.faults.breaks = "ipset restore"
    var left = 1
    host.firewall.beforeLoad = { [host] _, _ in
      // The rules of both families are gone, and come back.
      left += 1
      if left > 3 { host.faults.breaks = nil }
    }
    let (words, _) = refused()
    #expect(words.contains("release 8 is loaded again"), "\(words)")
    #expect(HostPicture(host) == before)
  }

  @Test func `when the release cannot come back either, the safe policy stands in for it, and that is said`() throws {
    try host.apply(agent, Modes.exclusive2)
    host.firewall.poison = (.ipv4, "--dport 443")
    refuseOneLoad()
    let (words, _) = refused()
    #expect(words.contains("the safe policy is loaded, for release 2 did not come back"), "\(words)")
    #expect(host.canonical.ipv4.contains("-s 192.0.2.7 -p tcp -m tcp --dport 22 -j ACCEPT"))
    #expect(try host.ledger().degraded?.contains("release 2") == true)
    host.firewall.poison = nil
    host.firewall.beforeLoad = nil
    #expect(try agent.returnToGeneration0())
  }

  // MARK: - Ipsets

  @Test func `ipsets that nobody can list are not none`() throws {
    try host.apply(agent, Beside.owned)
    let before = HostPicture(host)
    for isGone in [true, false] {
      host.firewall.hasSetProgram = !isGone
      host.faults.breaks = isGone ? nil : "ipset list"
      let (words, hint) = refused()
      #expect(words.contains("nothing was changed") && words.contains("ipset"), "\(words)")
      #expect(hint.contains("--rules keep"), "\(hint)")
      #expect(HostPicture(host) == before)
    }
    host.firewall.hasSetProgram = true
    host.faults.breaks = nil
    #expect(try agent.returnToGeneration0())
    #expect(host.firewall.sets.all.keys.filter { SetName.isOurs($0) } == [])
  }

  @Test func `a host that never had ipsets of ours needs no program for them`() throws {
    try host.apply(agent, Beside.plain)
    host.firewall.hasSetProgram = false
    #expect(try agent.returnToGeneration0())
  }
}
