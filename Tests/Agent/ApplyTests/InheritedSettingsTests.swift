import Apply
import Core
import Ruleset
import Testing

@testable import Apply

/// Interfaces that come while a setting of ours is in force for all that come, on a host in memory.
@Suite struct InheritedSettingsTests {
  let host: FakeHost
  let agent: HostAgent
  private static let byDefault = "net.ipv4.conf.default.forwarding"
  private static let came = "net.ipv4.conf.vlan7.forwarding"
  private static let own = "net.ipv4.conf.eth0.forwarding"

  init() throws {
    host = try Beside.host()
    agent = try host.recoveredAgent()
  }

  private func bundle(_ serial: UInt64, _ settings: [String: Int]) -> Modes.Bundle {
    Result { try Beside.bundle(serial, nil, sysctl: settings) }
  }

  private func value(_ key: String) -> Int? { host.settings.values[key] }

  @Test(arguments: ["net.ipv4.conf.default.forwarding", "net.ipv6.conf.default.forwarding"])
  func `an interface that took our default over gives it back`(key: String) throws {
    let came = key.replacing(".default.", with: ".vlan7.")
    try host.apply(agent, bundle(7, [key: 1]))
    host.settings.plug("vlan7")
    #expect(value(came) == 1)
    try host.apply(agent, Beside.withdrawn)
    #expect(value(key) == 0 && value(came) == 0)
    try host.apply(agent, bundle(10, [key: 1]))
    host.settings.plug("vlan8")
    #expect(try agent.returnToGeneration0())
    #expect(value(key) == 0 && value(key.replacing(".default.", with: ".vlan8.")) == 0)
  }

  @Test func `a release that asks for what was found ends what one before it brought`() throws {
    try host.apply(agent, bundle(7, [Self.byDefault: 1]))
    host.settings.plug("vlan7")
    try host.apply(agent, bundle(8, [Self.byDefault: 0]))
    #expect(value(Self.came) == 0)
    // But not what somebody else made of it.
    host.settings.set(Self.own, 1)
    host.settings.set(Self.byDefault, 1)
    try host.apply(agent, bundle(8, [Self.byDefault: 0]))
    #expect(value(Self.byDefault) == 0 && value(Self.own) == 1)
  }

  @Test func `an interface that had the value before us keeps it, and one that was changed since is left alone`() throws
  {
    host.settings.set(Self.own, 1)
    host.settings.set("net.ipv4.conf.default.rp_filter", 0)
    try host.apply(agent, bundle(7, ["net.ipv4.conf.default.rp_filter": 2, Self.byDefault: 1]))
    host.settings.plug("vlan7")
    host.settings.set("net.ipv4.conf.vlan7.rp_filter", 1)
    // A later release, and a start, do not forget it.
    try host.apply(
      agent, bundle(8, ["net.ipv4.conf.default.rp_filter": 2, Self.byDefault: 1, "net.ipv4.tcp_syncookies": 2]))
    let next = try host.recoveredAgent()
    #expect(try next.returnToGeneration0())
    #expect(value(Self.own) == 1 && value(Self.came) == 0 && value("net.ipv4.conf.vlan7.rp_filter") == 1)
  }

  @Test func `an interface that cannot give it back keeps the default from going, so that it is named`() throws {
    try host.apply(agent, bundle(7, [Self.byDefault: 1]))
    host.settings.plug("vlan7")
    host.settings.plug("vlan8")
    host.faults.breaks = "write \(Self.came)"
    let failure = #expect(throws: Failure.self) { try agent.returnToGeneration0() }
    #expect(failure.map { "\(ErrorChain($0).message)" }?.contains("\(Self.byDefault) is 1 and was 0") == true)
    #expect(value("net.ipv4.conf.vlan8.forwarding") == 0)
    host.faults.breaks = nil
    #expect(try agent.returnToGeneration0())
    #expect(value(Self.came) == 0 && value(Self.byDefault) == 0)
  }
}
