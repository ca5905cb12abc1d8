import AgentTestSupport
import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Apply

/// Ipsets and kernel settings of a bundle, on a host in memory.
@Suite struct BesideTests {
  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try Beside.host()
    agent = try host.recoveredAgent()
  }

  private var ours: [String] { host.firewall.sets.all.keys.filter { SetName.isOurs($0) }.sorted() }

  private func text(_ family: Family, _ side: TextRequest.Side) throws -> String {
    String(decoding: try agent.text(TextRequest(family: family, side: side)), as: UTF8.self)
  }

  private func isIntact(_ family: Family) throws -> Bool {
    let facts = try agent.report(.random(), managementSource: "").families[family]
    return facts.expected == facts.observed
  }

  @Test func `sets come with their rules, go with them, and nobody else's is touched`() throws {
    try host.apply(agent, Beside.old)
    #expect(ours == [try Beside.friends.get().name, try Beside.friends6.get().name].sorted())
    #expect(host.firewall.sets.all[try Beside.friends.get().name]?.members == ["192.0.2.0/24", "198.51.100.7"])
    #expect(try isIntact(.ipv4) && isIntact(.ipv6))
    try host.apply(agent, Beside.new)
    #expect(ours == [try Beside.others.get().name, try Beside.friends6.get().name].sorted())
    #expect(try host.apply(agent, Beside.withdrawn).result == .committed)
    #expect(host.firewall.sets.all.mapValues(\.members) == Beside.foreign.mapValues { [$0] })
    #expect(try host.disk.read("sets-made", atMost: 1) == nil)
  }

  @Test func `a change that is not confirmed gives its sets and settings back`() throws {
    try host.apply(agent, Beside.old)
    let before = HostPicture(host)
    let bundle = try Beside.new.get()
    let transaction = TransactionID.random()
    _ = try agent.apply(
      bundle.files, transaction: transaction, manifest: bundle.manifest, terms: .standard, from: host.connection())
    // Meanwhile the old rules could be loaded at any moment.
    #expect(ours.count == 3)
    #expect(host.settings.values["net.ipv4.ip_forward"] == 1 && host.settings.values["net.ipv4.tcp_syncookies"] == 1)
    _ = try agent.cancel(transaction)
    #expect(HostPicture(host) == before)
  }

  @Test func `a set changed by hand is drift that names the members, and apply mends it`() throws {
    try host.apply(agent, Beside.old)
    let name = try Beside.friends.get().name
    let before = HostPicture(host)
    host.firewall.sets.all[name]?.members = ["192.0.2.0/24", "203.0.113.5"]
    #expect(try !isIntact(.ipv4) && isIntact(.ipv6))
    #expect(try text(.ipv4, .expected).contains("*ipset\n:\(name) - [0:0]\n-A \(name) 198.51.100.7\nCOMMIT\n"))
    let observed = try text(.ipv4, .observed)
    #expect(observed.contains("*ipset\n:\(name) - [0:0]\n-A \(name) # holds sha256:"))
    #expect(observed.contains("\n-A \(name) 203.0.113.5\nCOMMIT\n"))
    let report = try agent.report(.random(), managementSource: "")
    #expect(report.families.ipv4.chains.contains { $0.table == "ipset" && $0.chain == name })
    // What drift shows is read as rules are.
    for side in [TextRequest.Side.expected, .observed] {
      _ = try Ruleset.parse(save: Array(try text(.ipv4, side).utf8), file: "text")
    }
    #expect(try host.apply(agent, Beside.old).result == .committed)
    #expect(HostPicture(host) == before)
    #expect(try host.apply(agent, Beside.old).result == .unchanged)
  }

  /// Of IPv4, in a report.
  private func observed(_ members: Set<String>, type: String? = nil) throws -> Digest {
    let name = try Beside.friends.get().name
    if let type { host.firewall.sets.all[name]?.type = type }
    host.firewall.sets.all[name]?.members = members
    return try agent.report(.random(), managementSource: "").families.ipv4.observed
  }

  @Test func `each further loss is another difference, which no waiver of the first covers`() throws {
    try host.apply(agent, Beside.old)
    let one = try observed(["192.0.2.0/24"])
    #expect(try observed(["198.51.100.7"]) != one && observed([]) != one)
    #expect(try observed(["192.0.2.0/24"]) == one)
  }

  @Test func `nor does a further member pass, however many there are, nor one of a set that has other options`() throws
  {
    try host.apply(agent, Beside.old)
    let many = Set((0..<2000).map { "10.0.\($0 / 250).\($0 % 250)" })
    let crowded = try observed(many)
    #expect(try observed(many.union(["10.9.9.9"])) != crowded)
    #expect(try observed(many) == crowded)
    let timed = "hash:net family inet timeout 60"
    let first = try observed(["192.0.2.0/24 timeout 59", "198.51.100.7 timeout 3"], type: timed)
    #expect(try observed(["198.51.100.7 timeout 2", "192.0.2.0/24 timeout 58"], type: timed) == first)
    #expect(try observed(["192.0.2.0/24 timeout 59"], type: timed) != first)
  }

  @Test func `a set with other options is mended under the rules that name it`() throws {
    try host.apply(agent, Beside.old)
    let name = try Beside.friends.get().name
    let before = HostPicture(host)
    // As a swap with a set whose members time out leaves it.
    host.firewall.sets.all[name]?.type = "hash:net family inet timeout 60"
    #expect(try !isIntact(.ipv4))
    #expect(try text(.ipv4, .observed).contains("-A \(name) # the set has other options"))
    #expect(try host.apply(agent, Beside.old).result == .committed)
    #expect(HostPicture(host) == before)
  }

  @Test func `interfaces learn to keep their routers before the host begins to forward, and the plain file says so`()
    throws
  {
    let keys = [
      "net.ipv6.conf.all.forwarding": 1, "net.ipv6.conf.eth0.100.accept_ra": 2, "net.ipv6.conf.eth1.accept_ra": 0,
    ]
    let file = try SysctlFile(Dictionary(uniqueKeysWithValues: keys.map { (SysctlKey($0)!, $1) }))
    #expect(
      String(decoding: file.plainText, as: UTF8.self) == """
        net/ipv6/conf/eth0.100/accept_ra = 2
        net/ipv6/conf/all/forwarding = 1
        net/ipv6/conf/eth1/accept_ra = 0

        """)
    #expect(SettingsPlan(file, originals: .empty).values.map(\.value) == [2, 1, 0])
    // Going back, in the other order.
    let found = SysctlFile(found: file.values.mapValues { $0 == 2 ? 1 : $0 == 1 ? 0 : 2 })
    #expect(
      SettingsPlan(.empty, originals: found).values.map(\.key.description).last?.hasSuffix("eth0.100.accept_ra") == true
    )
  }

  @Test func `what a host of thousands of interfaces had is read back`() throws {
    let values = (0..<5000).map { (SysctlKey("net.ipv4.conf.vlan\($0).forwarding")!, 1) }
    let found = SysctlFile(found: Dictionary(uniqueKeysWithValues: values))
    #expect(found.encode().count > BundleFile.sysctl.maximumSize)
    #expect(try SysctlFile.parse(found: found.encode()) == found)
    #expect(throws: StrictTextProblem.self) { try SysctlFile.parse(found.encode()) }
  }

  @Test func `while it cannot be read what settings were before, no release changes them, and the file stays`() throws {
    try host.apply(agent, Beside.old)
    let damaged = Array("no such line\n".utf8)
    try host.disk.replace("sysctl-found", in: ".", with: damaged)
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Beside.new) }
    #expect(refusal?.detail.contains("sysctl-found") == true, "\(String(describing: refusal))")
    #expect(try host.disk.read("sysctl-found", atMost: 1 << 20) == damaged)
  }

  @Test(arguments: ["hash:ip family inet", "hash:net family inet6"])
  func `a set of another type is drift, and apply mends it where rules let go of it`(type: String) throws {
    try host.apply(agent, Beside.old)
    let name = try Beside.friends.get().name
    let before = HostPicture(host)
    host.firewall.sets.all[name]?.type = type
    #expect(try !isIntact(.ipv4))
    #expect(try text(.ipv4, .observed).contains("-A \(name) # the set is of another type"))
    // No rule names it, as none can when somebody made it anew.
    host.firewall.kernel.ipv4 = [:]
    #expect(try host.apply(agent, Beside.old).result == .committed)
    #expect(HostPicture(host) == before)
    #expect(host.firewall.sets.all[name]?.type.hasPrefix("hash:net family inet ") == true)
  }

  @Test func `a set that is gone is drift with the rules that named it`() throws {
    try host.apply(agent, Beside.old)
    let name = try Beside.friends.get().name
    host.firewall.kernel.ipv4 = [:]
    host.firewall.sets.all[name] = nil
    #expect(try text(.ipv4, .observed).contains("-A \(name) # there is no such set"))
    #expect(try text(.ipv4, .expected).contains("-A \(name) 192.0.2.0/24\n-A \(name) 198.51.100.7\n"))
    #expect(try host.apply(agent, Beside.old).result == .committed)
    #expect(try isIntact(.ipv4))
  }

  @Test func `a host without the ipset program refuses sets, and needs none for other releases`() throws {
    host.firewall.hasSetProgram = false
    let before = HostPicture(host)
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Beside.old) }
    #expect(refusal?.code == .setsRefused && refusal?.detail.contains("install the package ipset") == true)
    #expect(HostPicture(host) == before)
    #expect(try host.apply(agent, Beside.none).result == .committed)
    _ = try agent.report(.random(), managementSource: "")
  }

  @Test func `rules may not name a set of ours that their bundle does not bring`() throws {
    let foreign = try Beside.others.get()
    let bundle = Result { try SignedBundles.bundle(serial: 8, ipv4: Beside.rules(foreign), ipv6: Beside.rules(nil)) }
    try host.apply(agent, Beside.old)
    // Not even when one is there by chance.
    host.firewall.sets.all[foreign.name] = FakeSets.Held(type: "hash:net family inet", members: ["0.0.0.0/1"])
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, bundle) }
    #expect(refusal?.code == .malformed && refusal?.detail.contains(foreign.name) == true)
  }

  @Test func `a sets file that is not what its names say is refused, signed or not`() throws {
    let name = try Beside.friends.get().name
    let text = String(decoding: try Beside.friends.get().text(), as: UTF8.self)
    for wrong in [text.replacing("198.51.100.7", with: "198.51.100.8"), text + "add \(name) 203.0.113.1\n"] {
      let bundle = Result {
        try SignedBundles.bundle(
          serial: 8, ipv4: Beside.rules(try Beside.friends.get()), ipv6: Beside.rules(nil), sets: Array(wrong.utf8))
      }
      #expect(#expect(throws: Refusal.self) { try host.apply(agent, bundle) }?.code == .malformed)
    }
  }

  @Test func `settings go back to what was found, with what the kernel set along with them`() throws {
    try host.apply(agent, Beside.plain)
    let before = host.settings.values
    try host.apply(agent, Beside.new)
    #expect(host.settings.values["net.ipv4.conf.eth0.forwarding"] == 1)
    #expect(host.settings.values["net.ipv4.conf.all.rp_filter"] == 1)
    #expect(
      try agent.report(.random(), managementSource: "").settings == [
        SettingReport(key: "net.ipv4.ip_forward", desired: "1", observed: "1"),
        SettingReport(key: "net.ipv4.conf.all.rp_filter", desired: "1", observed: "1"),
      ])
    try host.apply(agent, Beside.withdrawn)
    #expect(host.settings.values == before)
    // From now on they are the host's own again.
    #expect(try host.disk.read("sysctl-found", atMost: 1 << 20) == nil)
    host.settings.set("net.ipv4.conf.all.rp_filter", 0)
    try host.apply(agent, Result { try Beside.bundle(10, nil) })
    #expect(host.settings.values["net.ipv4.conf.all.rp_filter"] == 0)
  }

  @Test func `a setting changed by hand is drift, and apply mends it`() throws {
    try host.apply(agent, Beside.new)
    host.settings.set("net.ipv4.ip_forward", 0)
    #expect(try !isIntact(.ipv4) && isIntact(.ipv6))
    #expect(try text(.ipv4, .expected).contains("*sysctl\n:net.ipv4.ip_forward - [0:0]\n-A net.ipv4.ip_forward 1\n"))
    #expect(try text(.ipv4, .observed).contains("-A net.ipv4.ip_forward 0\n"))
    #expect(try agent.report(.random(), managementSource: "").settings[0].observed == "0")
    #expect(try host.apply(agent, Beside.new).result == .committed)
    #expect(host.settings.values["net.ipv4.ip_forward"] == 1)
    #expect(try isIntact(.ipv4))
  }

  @Test func `a setting that the host has not, or does not let us write, refuses the release`() throws {
    let before = HostPicture(host)
    host.settings.readOnly = ["net.ipv4.conf.all.rp_filter"]
    var refusal = #expect(throws: Refusal.self) { try host.apply(agent, Beside.new) }
    #expect(refusal?.code == .settingRefused && refusal?.detail.contains("rp_filter") == true)
    let missing = Result { try Beside.bundle(8, nil, sysctl: ["net.ipv4.conf.wg0.forwarding": 1]) }
    refusal = #expect(throws: Refusal.self) { try host.apply(agent, missing) }
    #expect(refusal?.code == .settingRefused && refusal?.detail.contains("wg0") == true)
    _ = try host.recoveredAgent()
    #expect(HostPicture(host) == before)
  }

  @Test func `a setting that cannot be put back keeps no host from its rules, and shows until it is`() throws {
    try host.apply(agent, Beside.old)
    let before = HostPicture(host)
    let bundle = try Beside.new.get()
    let transaction = TransactionID.random()
    _ = try agent.apply(
      bundle.files, transaction: transaction, manifest: bundle.manifest, terms: .standard, from: host.connection())
    host.faults.breaks = "write net.ipv4.ip_forward"
    #expect(try agent.cancel(transaction).result == .reverted)
    let now = HostPicture(host)
    #expect((now.ipv4, now.ipv6) == (before.ipv4, before.ipv6) && now.sets == before.sets)
    #expect(try !isIntact(.ipv4))
    #expect(
      try agent.report(.random(), managementSource: "").settings.contains(
        SettingReport(key: "net.ipv4.ip_forward", desired: "0", observed: "1")))
    host.faults.breaks = nil
    #expect(try host.apply(agent, Beside.new).result == .committed)
    try host.apply(agent, Beside.withdrawn)
    #expect(host.settings.values == FakeSettings.atBoot)
  }

  @Test func `an ipset program that is gone keeps no host from going back`() throws {
    try host.apply(agent, Beside.old)
    let before = HostPicture(host)
    let bundle = try Beside.new.get()
    let transaction = TransactionID.random()
    _ = try agent.apply(
      bundle.files, transaction: transaction, manifest: bundle.manifest, terms: .standard, from: host.connection())
    host.firewall.hasSetProgram = false
    #expect(try agent.cancel(transaction).result == .reverted)
    #expect((HostPicture(host).ipv4, HostPicture(host).ipv6) == (before.ipv4, before.ipv6))
    // It cannot tell whether its sets are what they should be.
    #expect(try !isIntact(.ipv4))
    host.firewall.hasSetProgram = true
    _ = try host.recoveredAgent()
    #expect(HostPicture(host) == before)
    #expect(try isIntact(.ipv4))
  }

  @Test func `a boot brings sets before rules, and settings again`() throws {
    try host.apply(agent, Beside.new)
    let before = HostPicture(host)
    host.cutPower()
    #expect(try host.agent().restore() == .committed(Serial(8)))
    for name in Beside.foreign.keys { host.firewall.sets.all[name] = nil }
    let now = HostPicture(host)
    #expect((now.ipv4, now.settings) == (before.ipv4, before.settings))
    #expect(now.sets == before.sets.filter { SetName.isOurs($0.key) })
  }

  @Test func `an interface that is not there yet does not keep a boot from its rules`() throws {
    host.settings.set("net.ipv4.conf.wg0.forwarding", 0)
    try host.apply(agent, Result { try Beside.bundle(8, nil, sysctl: ["net.ipv4.conf.wg0.forwarding": 1]) })
    host.cutPower()
    #expect(try host.agent().restore() == .committed(Serial(8)))
    #expect(
      try agent.report(.random(), managementSource: "").settings == [
        SettingReport(key: "net.ipv4.conf.wg0.forwarding", desired: "1", observed: nil)
      ])
  }

  @Test func `plain files hold sets and settings for stock programs, and go with them`() throws {
    try host.apply(agent, Beside.new)
    let sets = try #require(try host.disk.read("rules/ipsets", atMost: 1 << 20))
    let lines = sets.split(separator: 10).filter { $0.first != UInt8(ascii: "#") }
    #expect(lines.joined(separator: [10]) + [10] == (try Beside.new.get().files[.sets])!)
    #expect(String(decoding: sets, as: UTF8.self).contains("# load with: ipset -exist restore < "))
    #expect(try host.disk.read("rules/sysctl", atMost: 1 << 20) != nil)
    try host.apply(agent, Result { try Beside.bundle(9, nil) })
    #expect(try host.disk.read("rules/ipsets", atMost: 1 << 20) == nil)
    #expect(try host.disk.read("rules/sysctl", atMost: 1 << 20) == nil)
  }

  @Test func `removal takes our sets and settings back`() throws {
    let before = HostPicture(host)
    try host.apply(agent, Beside.owned)
    #expect(try agent.returnToGeneration0())
    #expect(HostPicture(host) == before)
  }

  @Test func `the observation set is made, kept over applies with what it counted, and read`() throws {
    try host.apply(agent, Result { try Beside.bundle(7, nil, observing: [.ipv4, .ipv6]) })
    let name = SetName.observations(.ipv4)
    host.firewall.sets.all[name]?.members = [
      "192.0.2.1,tcp:22 packets 5 bytes 300", "192.0.2.2,icmp:echo-request packets 9 bytes 90", "nonsense",
      "::1,tcp:1 packets 1 bytes 1",
    ]
    try host.apply(agent, Result { try Beside.bundle(8, nil, observing: [.ipv4]) })
    #expect(ours == [name])
    #expect(try isIntact(.ipv4))
    #expect(
      try agent.observe()
        == Observations(
          observing: [.ipv4],
          entries: [
            .init(family: .ipv4, source: "192.0.2.2", proto: "icmp", port: "echo-request", packets: 9, bytes: 90),
            .init(family: .ipv4, source: "192.0.2.1", proto: "tcp", port: "22", packets: 5, bytes: 300),
          ]))
    try host.apply(agent, Result { try Beside.bundle(9, nil) })
    #expect(ours.isEmpty)
    #expect(try agent.observe() == Observations(observing: [], entries: []))
  }
}
