import Apply
import Core
import Ruleset
import Testing
import Wire

@testable import Apply

/// When kernel settings are written, and what becomes of those that others change, on a host in memory.
@Suite struct SettingsTests {
  let host: FakeHost
  let agent: HostAgent
  private static let forward = "net.ipv4.ip_forward"
  private static let own = "net.ipv4.conf.eth0.forwarding"

  init() throws {
    host = try Beside.host()
    agent = try host.recoveredAgent()
  }

  private var writes: [String] { host.faults.log.filter { $0.hasPrefix("write net.") } }

  private func isIntact(_ agent: HostAgent? = nil) throws -> Bool {
    let facts = try (agent ?? self.agent).report(.random(), managementSource: "").families.ipv4
    return facts.expected == facts.observed
  }

  private func begin(_ bundle: Modes.Bundle, _ transaction: TransactionID = .random()) throws -> TransactionID {
    let bundle = try bundle.get()
    _ = try agent.apply(
      bundle.files, transaction: transaction, manifest: bundle.manifest, terms: .standard, from: host.connection())
    return transaction
  }

  private static func bundle(_ serial: UInt64, _ settings: [String: Int], _ set: AddressSet? = nil) -> Modes.Bundle {
    Result { try Beside.bundle(serial, set, sysctl: settings) }
  }

  // MARK: - What the kernel sets along

  @Test func `what the kernel set along with a switch is drift once it is not so, and apply mends it`() throws {
    try host.apply(agent, Beside.new)
    #expect(try isIntact())
    host.settings.set(Self.own, 0)
    #expect(try !isIntact())
    #expect(
      try agent.report(.random(), managementSource: "").settings.last
        == SettingReport(key: Self.own, desired: "1", observed: "0"))
    #expect(try host.apply(agent, Beside.new).result == .committed)
    #expect(try host.settings.values[Self.own] == 1 && isIntact())
    // An interface that is gone is none of it.
    host.settings.set(Self.own, nil)
    #expect(try isIntact())
  }

  @Test func `a change writes no setting that is right`() throws {
    try host.apply(agent, Beside.new)
    host.faults.restart()
    try host.apply(agent, Self.bundle(9, Beside.forwarding, try Beside.friends.get()))
    #expect(writes.isEmpty)
  }

  @Test func `under a switch that was on before us every interface is its owner's`() throws {
    for key in [Self.forward, Self.own, "net.ipv4.conf.default.forwarding"] { host.settings.set(key, 1) }
    try host.apply(agent, Self.bundle(7, [Self.forward: 1]))
    host.settings.set(Self.own, 0)
    host.settings.set("net.ipv4.conf.all.accept_redirects", 1)
    #expect(try isIntact())
    let before = host.settings.values
    try host.apply(agent, Self.bundle(8, [Self.forward: 1], try Beside.friends.get()))
    #expect(host.settings.values == before)
    // They are what a release that turns the switch goes back to.
    try host.apply(agent, Self.bundle(9, [Self.forward: 0]))
    #expect(host.settings.values[Self.own] == 0 && host.settings.values["net.ipv4.conf.default.forwarding"] == 0)
    try host.apply(agent, Self.bundle(10, [Self.forward: 1]))
    #expect(host.settings.values == before)
  }

  @Test func `interfaces follow a switch that somebody turned meanwhile`() throws {
    for key in [Self.forward, Self.own] { host.settings.set(key, 1) }
    try host.apply(agent, Self.bundle(7, [Self.forward: 1]))
    for key in [Self.forward, Self.own] { host.settings.set(key, 0) }
    try host.apply(agent, Self.bundle(7, [Self.forward: 1]))
    #expect(host.settings.values[Self.forward] == 1 && host.settings.values[Self.own] == 1)
  }

  @Test func `what is for all interfaces is written before what is for one`() throws {
    // The default reaches every interface whose own was never written, and that of br0 is right already.
    host.settings.set("net.ipv4.conf.default.rp_filter", 0)
    host.settings.set("net.ipv4.conf.br0.rp_filter", 1)
    let wanted = ["net.ipv4.conf.br0.rp_filter": 1, "net.ipv4.conf.default.rp_filter": 2]
    #expect(try host.apply(agent, Self.bundle(7, wanted)).result == .committed)
    #expect(wanted.allSatisfy { host.settings.values[$0] == $1 })
  }

  // MARK: - Their place between the rules

  private final class Seen {
    var forwarding: [Int?] = []
  }

  private func watchingLoads(_ change: () throws -> Void) rethrows -> [Int?] {
    let seen = Seen()
    let settings = host.settings
    host.firewall.beforeLoad = { _, _ in seen.forwarding.append(settings.values[Self.forward]) }
    defer { host.firewall.beforeLoad = nil }
    try change()
    return seen.forwarding
  }

  @Test func `a host does not forward while its rules change, neither on the way there nor back`() throws {
    let came = try watchingLoads { try host.apply(agent, Beside.new) }
    #expect(!came.isEmpty && came.allSatisfy { $0 == 0 })
    var transaction = TransactionID.random()
    let went = try watchingLoads { transaction = try begin(Beside.withdrawn) }
    #expect(!went.isEmpty && went.allSatisfy { $0 == 0 })
    let back = try watchingLoads { _ = try agent.cancel(transaction) }
    #expect(!back.isEmpty && back.allSatisfy { $0 == 0 })
    #expect(host.settings.values[Self.forward] == 1)
    let removed = try watchingLoads { _ = try agent.returnToGeneration0() }
    #expect(!removed.isEmpty && removed.allSatisfy { $0 == 0 })
  }

  // MARK: - Boot

  @Test func `an interface that comes after the rules gets its settings once the daemon starts, and only then`() throws
  {
    let key = "net.ipv4.conf.vlan7.rp_filter"
    host.settings.set(key, 0)
    try host.apply(agent, Self.bundle(7, [key: 1]))
    host.cutPower()
    #expect(try host.agent().restore() == .committed(Serial(7)))
    host.settings.set(key, 0)
    var started = try host.recoveredAgent()
    #expect(try host.settings.values[key] == 1 && isIntact(started))
    // What somebody changes later is drift, whoever starts the daemon again.
    host.settings.set(key, 0)
    started = try host.recoveredAgent()
    #expect(try host.settings.values[key] == 0 && !isIntact(started))
  }

  @Test
  func `a setting that cannot be written keeps neither the daemon from starting nor the others from their values`()
    throws
  {
    try host.apply(agent, Self.bundle(7, [Self.forward: 1, "net.ipv4.tcp_syncookies": 2]))
    host.cutPower()
    #expect(try host.agent().restore() == .committed(Serial(7)))
    host.settings.reset()
    host.faults.breaks = "write net.ipv4.ip_forward"
    _ = try host.recoveredAgent()
    #expect(host.settings.values[Self.forward] == 0 && host.settings.values["net.ipv4.tcp_syncookies"] == 2)
  }

  // MARK: - What was found

  private func found() throws -> [UInt8]? { try host.disk.read("sysctl-found", atMost: 1 << 20) }

  private func damageFound() throws {
    let text = String(decoding: try #require(try found()), as: UTF8.self)
    host.disk.tamper("sysctl-found", Array(text.replacing("net.ipv4.conf.default", with: "\u{0}\u{1}").utf8))
  }

  @Test func `of what was found, all that can be read goes back, and the rest is told`() throws {
    try host.apply(agent, Beside.old)
    _ = try begin(Beside.new)
    try damageFound()
    let next = try host.recoveredAgent()
    #expect(try host.ledger().lastFailure?.result == .reverted)
    var expected = FakeSettings.atBoot
    expected["net.ipv4.tcp_syncookies"] = 2
    #expect(host.settings.values == expected)
    let observed = String(decoding: try next.text(TextRequest(family: .ipv4, side: .observed)), as: UTF8.self)
    #expect(observed.contains("*sysctl\n:sysctl-found - [0:0]\n-A sysctl-found # cannot be read: sysctl-found: "))
    #expect(try !isIntact(next))
    // A release without settings has nothing to lose, and says so too.
    let outcome = try host.apply(next, Beside.withdrawn)
    #expect(outcome.result == .committed && outcome.detail.contains("sysctl-found"), "\(outcome)")
    #expect(host.settings.values == FakeSettings.atBoot)
    #expect(try found()?.isEmpty == false)
  }

  @Test func `root at the console goes back as far as it is known where to`() throws {
    try host.apply(agent, Beside.old)
    try host.apply(agent, Beside.new)
    try damageFound()
    let said = try agent.obey(LocalOrder(deed: .rollback, reason: "test"))
    #expect(said.contains("release 7 is loaded") && said.contains("sysctl-found"), "\(said)")
    #expect(host.settings.values["net.ipv4.tcp_syncookies"] == 2 && host.settings.values[Self.forward] == 0)
  }

  @Test func `what could not be read back is not written, and nothing is changed`() throws {
    for index in 0..<24_000 {
      let number = String(index)
      let name = "interface" + String(repeating: "0", count: 6 - number.utf8.count) + number
      host.settings.set("net.ipv4.conf.\(name).forwarding", 0)
    }
    let before = host.settings.values
    let loads = host.firewall.loads
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Self.bundle(7, [Self.forward: 1])) }
    #expect(refusal?.code == .settingRefused, "\(String(describing: refusal))")
    #expect(refusal?.detail.contains("more than the 1048576 that can be kept") == true)
    #expect(try found() == nil)
    #expect(host.settings.values == before && host.firewall.loads == loads)
  }

  @Test func `a release that is refused leaves no notes`() throws {
    host.faults.breaks = "arm"
    let first = Result { try Beside.bundle(6, try Beside.friends.get(), sysctl: Beside.forwarding) }
    #expect(throws: Refusal.self) { try host.apply(agent, first) }
    #expect(try found() == nil)
    #expect(try host.disk.read("sets-made", atMost: 1) == nil)
    host.faults.breaks = nil
    try host.apply(agent, Beside.old)
    let before = try found()
    host.faults.breaks = "arm"
    #expect(throws: Refusal.self) { try host.apply(agent, Beside.new) }
    #expect(try found() == before)
  }

  @Test func `settings stay when the committed release, which tells what they should be, cannot be read`() throws {
    try host.apply(agent, Beside.owned)
    let committed = try #require(try host.ledger().committed)
    // Whole tables in place of owned chains: a copy of these is kept to go back to.
    _ = try begin(Self.bundle(9, Beside.forwarding))
    host.disk.tamper("bundles/\(committed.name)/sysctl", Array("no such line\n".utf8))
    _ = try host.recoveredAgent()
    #expect(host.settings.values[Self.forward] == 1)
    #expect(host.settings.values["net.ipv4.conf.all.rp_filter"] == 1)
  }

  // MARK: - Removal

  @Test func `removal names the settings that it cannot put back, before it touches anything`() throws {
    try host.apply(agent, Beside.owned)
    let before = HostPicture(host)
    host.settings.readOnly = [Self.forward]
    var failure = #expect(throws: Failure.self) { try agent.returnToGeneration0() }
    #expect(failure.map { "\(ErrorChain($0).message)" }?.contains("net.ipv4.ip_forward is 1 and was 0") == true)
    #expect(failure?.hint?.contains("--rules keep") == true)
    #expect(HostPicture(host) == before)
    host.settings.readOnly = []
    // Or else when it is done, as nobody knew before.
    host.faults.breaks = "write net.ipv4.conf.all.rp_filter"
    failure = #expect(throws: Failure.self) { try agent.returnToGeneration0() }
    #expect(failure.map { "\(ErrorChain($0).message)" }?.contains("all.rp_filter is 1 and was 2") == true)
    host.faults.breaks = nil
    #expect(try agent.returnToGeneration0())
    #expect(host.settings.values == FakeSettings.atBoot)
  }

  @Test func `removal goes nowhere while it is not known what settings were`() throws {
    try host.apply(agent, Beside.owned)
    let before = HostPicture(host)
    try damageFound()
    let failure = #expect(throws: Failure.self) { try agent.returnToGeneration0() }
    #expect(failure?.hint?.contains("sysctl-found") == true)
    #expect(HostPicture(host) == before)
  }
}
