import Apply
import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Apply

/// What settings were before us is gone from the disk, on a host in memory.
@Suite struct LostSettingsTests {
  let host: FakeHost
  let agent: HostAgent
  private static let file = HostAgent.originalsFile

  private static let next = Result {
    try Beside.bundle(9, try Beside.others.get(), sysctl: Beside.forwarding, mode: .owned)
  }

  init() throws {
    host = try Beside.host()
    agent = try host.recoveredAgent()
    try host.apply(agent, Beside.owned)
    try host.disk.remove(Self.file)
  }

  private func requireRefusedRemoval(by agent: HostAgent) throws {
    let before = HostPicture(host)
    let failure = #expect(throws: Failure.self) { try agent.returnToGeneration0() }
    #expect(failure.map { "\(ErrorChain($0).message)" }?.contains("net.ipv4.ip_forward") == true)
    #expect(failure?.hint?.contains("leave an empty sysctl-found") == true)
    #expect(HostPicture(host) == before)
  }

  @Test func `a lost file is told as a damaged one is, and nothing with settings comes nor goes meanwhile`() throws {
    let observed = String(decoding: try agent.text(TextRequest(family: .ipv4, side: .observed)), as: UTF8.self)
    #expect(observed.contains("-A sysctl-found # cannot be read: sysctl-found is gone"), "\(observed)")
    let facts = try agent.report(.random(), managementSource: "").families.ipv4
    #expect(facts.expected != facts.observed)
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Self.next) }
    #expect(refusal?.detail.contains("sysctl-found is gone") == true)
    try requireRefusedRemoval(by: agent)
    // Nor does a start forget it.
    try requireRefusedRemoval(by: try host.recoveredAgent())
  }

  @Test func `a withdrawal names what it leaves, and removal still does after it`() throws {
    let outcome = try host.apply(agent, Beside.withdrawn)
    #expect(outcome.result == .committed && outcome.detail.contains("net.ipv4.ip_forward"), "\(outcome)")
    #expect(host.settings.values["net.ipv4.ip_forward"] == 1)
    try requireRefusedRemoval(by: agent)
    try requireRefusedRemoval(by: try host.recoveredAgent())
  }

  @Test func `a withdrawal that cannot write down what it leaves does not begin`() throws {
    host.faults.breaks = "create sysctl-found.new"
    let before = HostPicture(host)
    #expect(throws: Refusal.self) { try host.apply(agent, Beside.withdrawn) }
    #expect(HostPicture(host) == before)
  }

  @Test func `an empty file says that nothing was found, and what is there counts`() throws {
    host.settings.set("net.ipv4.ip_forward", 0)
    try host.disk.create(Self.file, [])
    let next = try host.recoveredAgent()
    #expect(try host.disk.read(Self.file, atMost: 1) == [])
    #expect(try host.apply(next, Self.next).result == .committed)
    #expect(host.settings.values["net.ipv4.ip_forward"] == 1)
    #expect(try next.returnToGeneration0())
    #expect(host.settings.values["net.ipv4.ip_forward"] == 0)
  }

  @Test func `a file from which all that the release asks for was taken out is empty, not gone`() throws {
    try host.disk.create(Self.file, Array("net.ipv4.tcp_syncookies = 1\n".utf8))
    let next = try host.recoveredAgent()
    #expect(try host.disk.read(Self.file, atMost: 1) == [])
    #expect(try next.returnToGeneration0())
  }

  @Test func `a file that no release needs is not missed`() throws {
    try host.disk.create(Self.file, [])
    #expect(try host.apply(agent, Beside.withdrawn).result == .committed)
    try host.disk.remove(Self.file)
    #expect(try agent.returnToGeneration0())
  }
}
