import AgentTestSupport
import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Apply

/// Lockdown profiles of a bundle, on a host in memory.
@Suite struct ProfileTests {
  private static let nonSYN =
    "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP"

  /// Shuts everything but these.
  private static func profile(_ rules: [String] = [], target: String = "DROP") -> String {
    let chains = ["INPUT", "FORWARD", "OUTPUT"]
    let lines =
      chains.map { ":\($0) ACCEPT [0:0]" } + rules.map { "-A INPUT \($0)" }
      + chains.flatMap { ["-A \($0) \(nonSYN)", "-A \($0) -j \(target)"] }
    return "*mangle\n\(lines.joined(separator: "\n"))\nCOMMIT\n"
  }

  private static func bundle(
    _ serial: UInt64, _ profiles: [String: PerFamily<String>] = [:]
  ) -> Result<Samples.Bundle, any Error> {
    Result {
      let rules = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
      return try SignedBundles.bundle(
        serial: serial, ipv4: rules, ipv6: rules,
        profiles: profiles.map { (name: $0.key, rank: 10, rules: $0.value) })
    }
  }

  private static let both = PerFamily(
    ipv4: profile(["-s 192.0.2.7/32 -p tcp -m tcp --dport 22 -j RETURN"]), ipv6: profile())

  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try FakeHost()
    agent = try host.recoveredAgent()
  }

  private func committed() throws -> BundleName { try #require(try host.ledger().committed?.name) }

  @Test func `profiles are kept with their bundle and touch nothing`() throws {
    try host.apply(agent, Self.bundle(1))
    let kernel = host.canonical
    #expect(try host.apply(agent, Self.bundle(2, ["isolate": Self.both])).result == .committed)
    let name = try committed()
    for family in Family.allCases {
      #expect(
        try host.disk.read("bundles/\(name)/lockdown.0.\(family).rules", atMost: 1 << 20)
          == Array(Self.both[family].utf8))
    }
    #expect(host.canonical == kernel)
    #expect(try agent.isIntact())
    host.cutPower()
    #expect(try host.agent().restore() == .committed(Serial(2)))
    let later = try host.recoveredAgent()
    #expect(try later.isIntact() && committed() == name)
    // A release without them takes them away.
    #expect(try host.apply(later, Self.bundle(3)).result == .committed)
    #expect(try !host.disk.list("bundles/\(committed())").contains { $0.hasPrefix("lockdown.") })
  }

  @Test func `a profile that is missing, altered or more on disk is drift, and apply stores it again`() throws {
    let bundle = Self.bundle(1, ["isolate": Self.both, "no-egress": Self.both])
    try host.apply(agent, bundle)
    let folder = "bundles/\(try committed())"
    host.disk.tamper("\(folder)/lockdown.1.ipv6.rules", Array("x\n".utf8))
    try host.disk.remove("\(folder)/lockdown.0.ipv4.rules")
    try host.disk.create("\(folder)/lockdown.2.ipv4.rules", Array("x\n".utf8))
    let digest = Digest(of: "x\n".utf8)
    #expect(
      try agent.differences(in: "disk", .ipv4) == [
        "-A bundle/lockdown.0.ipv4.rules # there is no such file", "-A bundle/lockdown.2.ipv4.rules \(digest)",
      ])
    #expect(try agent.differences(in: "disk", .ipv6) == ["-A bundle/lockdown.1.ipv6.rules \(digest)"])
    #expect(try host.apply(agent, bundle).result == .committed)
    #expect(try agent.isIntact())
  }

  @Test(arguments: [nil, "x\n"]) func `a profile that went bad keeps no host from its rules when it starts`(
    content: String?
  ) throws {
    try host.apply(agent, Self.bundle(1, ["isolate": Self.both, "no-egress": Self.both]))
    let (before, path) = (host.canonical, "bundles/\(try committed())/lockdown.0.ipv6.rules")
    if let content {
      host.disk.tamper(path, Array(content.utf8))
    } else {
      try host.disk.remove(path)
      try host.disk.sync("bundles/\(try committed())")
    }
    host.cutPower()
    #expect(try host.agent().restore() == .committed(Serial(1)))
    #expect(host.canonical == before)
    let later = try host.recoveredAgent()
    #expect(try later.differences(in: "disk", .ipv6).count == 1)
    #expect(try later.report(.random(), managementSource: "").lockdown?.profiles.first?.problem != nil)
  }

  static let refused: [(String, PerFamily<String>, String)] = [
    (
      "a rule that opens", PerFamily(ipv4: both.ipv4, ipv6: profile(target: "ACCEPT")),
      "lockdown.0.ipv6.rules (profile isolate): line 6: chain INPUT, rule 2: it must end in one of DROP"
    ),
    (
      "another table", PerFamily(ipv4: "*filter\n:INPUT DROP [0:0]\nCOMMIT\n", ipv6: both.ipv6),
      "lockdown.0.ipv4.rules (profile isolate): it may hold table mangle and no other"
    ),
    (
      "no rules at all", PerFamily(ipv4: "*mangle\nCOMMIT\n", ipv6: both.ipv6),
      "lockdown.0.ipv4.rules (profile isolate): chain INPUT is missing"
    ),
    (
      "no text of rules", PerFamily(ipv4: both.ipv4, ipv6: "drop everything\n"),
      "lockdown.0.ipv6.rules (profile isolate): line 1: "
    ),
    (
      "what returns everything", PerFamily(ipv4: profile(["-j RETURN"]), ipv6: both.ipv6),
      "above the rule against packets without SYN: it returns packets of every protocol"
    ),
  ]

  @Test(arguments: refused.indices) func `signed or not, a profile of another shape is refused`(index: Int) throws {
    let (what, rules, says) = Self.refused[index]
    try host.apply(agent, Self.bundle(1))
    let before = try host.ledger()
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Self.bundle(2, ["isolate": rules])) }
    #expect(refusal?.code == .rulesDoNotParse && refusal?.location == nil, "\(what)")
    #expect(refusal?.detail.contains(says) == true, "\(what): \(refusal?.detail ?? "")")
    #expect(try host.ledger() == before)
    let files = try Self.bundle(2, ["isolate": rules]).get().files
    #expect(throws: Refusal.self) { try agent.check(files) }
  }
}
