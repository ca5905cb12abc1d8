import Apply
import Core
import Ruleset
import Testing
import Wire

@testable import Apply

/// A host must not forward before the rules that say what, whoever starts first after a power cut.
@Suite struct SettingsAtBootTests {
  let host: FakeHost
  private static let forward = "net.ipv4.ip_forward"

  init() throws { host = try Beside.host() }

  private var forwarding: Int? { host.settings.values[Self.forward] }

  private func cutPower(after bundle: Modes.Bundle) throws {
    #expect(try host.apply(try host.recoveredAgent(), bundle).result == .committed)
    host.cutPower()
  }

  @Test(arguments: [Beside.new, Beside.owned])
  func `a daemon that finds no rules tightens what it must, loosens nothing, and tries again`(
    bundle: Modes.Bundle
  ) throws {
    try cutPower(after: bundle)
    _ = try host.recoveredAgent()
    #expect(forwarding == 0 && host.settings.values["net.ipv4.conf.all.rp_filter"] == 1)
    #expect(try host.agent().restore() == .committed(Serial(8)))
    for expected in [1, 0] {
      host.settings.set(Self.forward, 0)
      _ = try host.recoveredAgent()
      #expect(forwarding == expected)
    }
  }

  @Test(arguments: Family.allCases) func `the rules of one family are not enough`(family: Family) throws {
    try cutPower(after: Beside.new)
    _ = try host.agent().restore()
    host.settings.reset()
    host.firewall.kernel[family] = [:]
    _ = try host.recoveredAgent()
    #expect(forwarding == 0)
  }

  @Test func `rules in the words of upgraded programs are the same rules`() throws {
    try cutPower(after: Beside.new)
    _ = try host.agent().restore()
    host.settings.reset()
    host.firewall.wording = { $0.replacing("-i lo", with: "-i  lo") }
    _ = try host.recoveredAgent()
    #expect(forwarding == 1)
  }

  @Test(arguments: [false, true]) func `where the safe policy stands in, it has to be loaded`(isLoaded: Bool) throws {
    try cutPower(after: Beside.new)
    if isLoaded {
      host.firewall.poison = (.ipv4, "--match-set")
      guard case .safePolicy = try host.agent().restore() else {
        Issue.record("rules that do not load were loaded")
        return
      }
      host.settings.reset()
    } else {
      host.faults.breaks = "load ipv4"
      #expect(throws: Failure.self) { try host.agent().restore() }
      host.faults.breaks = nil
    }
    #expect(try host.ledger().degraded != nil && !host.ledger().isHeldSafe)
    _ = try host.recoveredAgent()
    #expect(forwarding == (isLoaded ? 1 : 0))
  }

  private final class Seen {
    var forwarding: [Int?] = []
  }

  @Test func `root who orders the safe policy where no daemon runs does not forward before it is loaded`() throws {
    try cutPower(after: Beside.new)
    let (seen, settings) = (Seen(), host.settings)
    host.firewall.beforeLoad = { _, _ in seen.forwarding.append(settings.values[Self.forward]) }
    _ = try host.recoveredAgent().obey(LocalOrder(deed: .safe, reason: "a drill"))
    #expect(seen.forwarding == [0, 0] && forwarding == 1)
  }
}
