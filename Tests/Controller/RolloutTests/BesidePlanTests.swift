import Core
import Ruleset
import TestSupport
import Testing
import Wire

@testable import Rollout

/// What a plan says of kernel settings and ipsets.
struct BesidePlanTests {
  private static func settings(_ text: String) -> BesideTexts {
    BesideTexts(sets: nil, sysctl: RulesText(Array(text.utf8)))
  }
  private static func addresses(_ numbers: some Sequence<Int>) throws -> BesideTexts {
    let set = try AddressSet(family: .ipv4, prefixes: numbers.compactMap { AddressPrefix("192.0.2.\($0)") })
    return BesideTexts(sets: RulesText(try SetsFile([set]).encode()), sysctl: nil)
  }

  private static let forward = settings("net.ipv4.ip_forward = 1\n")
  private static let strict = settings("net.ipv4.conf.all.rp_filter = 0\nnet.ipv4.ip_forward = 1\n")

  private func desired(_ beside: BesideTexts, _ text: RulesText = web) -> DesiredBundle {
    let parts = [beside.sets, beside.sysctl].flatMap { $0?.bytes ?? [] }
    return DesiredBundle(content: Digest(of: text.bytes + parts), mode: "exclusive", rules: both(text), beside: beside)
  }

  private func facts(_ beside: BesideTexts, _ text: RulesText = web) -> HostKnowledge {
    .reported(HostFacts(committed: committed(desired(beside, text)), running: both(text), beside: beside))
  }

  private func plan(_ inputs: [(DesiredBundle, HostKnowledge)]) throws -> RolloutPlan {
    try RolloutPlanner(fleet: fleet, serialBase: Serial(7)).plan(
      inputs.enumerated().map {
        PlanInput(host: HostID("h\($0.offset)")!, desired: $0.element.0, knowledge: $0.element.1)
      })
  }

  /// Lines of IPv4 and of IPv6 that are no context.
  private func lines(_ difference: PlannedHost.Difference) throws -> [[String]] {
    guard case .rules(let diff) = difference else { return [] }
    return [diff.ipv4, diff.ipv6].map { $0.lines.filter { $0.kind != .context }.map(\.marked) }
  }

  private static func lockdown(_ rank: UInt16) -> BesideTexts {
    let text = RulesText(Array("*mangle\n-A INPUT -j DROP\nCOMMIT\n".utf8))
    let profile = ProfileTexts(name: ProfileName("quiet")!, rank: LockRank(rank)!, rules: both(text))
    return BesideTexts(sets: nil, sysctl: forward.sysctl, profiles: [profile])
  }

  @Test func `lockdown profiles that come, change and go are told apart from rules and settings`() throws {
    func reason(_ from: BesideTexts, _ to: BesideTexts, _ text: RulesText = web) throws -> String {
      var desired = desired(to, text)
      desired.content = Digest(of: "other".utf8)
      return try plan([(desired, facts(from))]).hosts[0].reason
    }
    #expect(try reason(Self.forward, Self.lockdown(30)) == "lockdown profiles change, the rules do not")
    #expect(try reason(Self.lockdown(30), Self.lockdown(20)) == "lockdown profiles change, the rules do not")
    #expect(
      try reason(Self.lockdown(30), Self.strict) == "kernel settings and lockdown profiles change, the rules do not")
    #expect(
      try reason(Self.lockdown(30), .empty, RulesText(Array("*filter\nCOMMIT\n".utf8)))
        == "the rules, kernel settings and lockdown profiles change")
    #expect(
      try reason(Self.lockdown(30), Self.lockdown(30))
        == "the manifest changes (mode, labels or management sources), the rules do not")
  }

  @Test func `settings that a first release makes are shown, on a host that runs the rules already as well`() throws {
    var facts = HostFacts(committed: nil, running: both(web))
    facts.hasThemAlready = true
    let host = try plan([(desired(Self.forward), .reported(facts))]).hosts[0]
    #expect(try lines(host.difference) == [["*sysctl", "+net.ipv4.ip_forward = 1"], []])
    #expect(host.reason.hasPrefix("no rule changes: ") && host.reason.hasSuffix("; kernel settings are made"))
    let silent = try plan([(desired(Self.forward), .silent)]).hosts[0]
    #expect(try lines(silent.difference)[0].prefix(3) == ["*sysctl", "+net.ipv4.ip_forward = 1", "+*filter"])
  }

  @Test(
    arguments: [
      (forward, strict, [["*sysctl", "+net.ipv4.conf.all.rp_filter = 0"], []]),
      (strict, forward, [["*sysctl", "-net.ipv4.conf.all.rp_filter = 0"], []]),
      (
        forward, settings("net.ipv4.ip_forward = 0\nnet.ipv6.conf.all.forwarding = 1\n"),
        [
          ["*sysctl", "-net.ipv4.ip_forward = 1", "+net.ipv4.ip_forward = 0"],
          ["*sysctl", "+net.ipv6.conf.all.forwarding = 1"],
        ]
      ),
    ] as [(BesideTexts, BesideTexts, [[String]])])
  func `settings that change are shown, and rules that do not are not`(
    from: BesideTexts, to: BesideTexts, shown: [[String]]
  ) throws {
    let host = try plan([(desired(to), facts(from))]).hosts[0]
    #expect(try lines(host.difference) == shown)
    #expect(host.action == .change && host.reason == "kernel settings change, the rules do not")
  }

  @Test func `a withdrawn host gives its settings up`() throws {
    let withdrawn = DesiredBundle(content: older, mode: "withdrawn", rules: nil)
    let host = try plan([(withdrawn, facts(Self.forward))]).hosts[0]
    #expect(host.action == .withdraw)
    #expect(try lines(host.difference)[0].prefix(3) == ["*sysctl", "-net.ipv4.ip_forward = 1", "-*filter"])
  }

  @Test func `hosts fold when settings and members change alike, and only then`() throws {
    let sets = try [[1, 2, 3], [1, 2, 4], [1, 2, 5]].map { try Self.addresses($0) }
    let plan = try plan([
      (desired(Self.strict), facts(Self.forward)), (desired(Self.strict), facts(Self.forward)),
      (desired(Self.forward), facts(Self.strict)),
      (desired(sets[1]), facts(sets[0])), (desired(sets[1]), facts(sets[0])), (desired(sets[2]), facts(sets[0])),
    ])
    #expect(plan.groups.map { $0.hosts.map(\.description) } == [["h0", "h1"], ["h3", "h4"], ["h2"], ["h5"]])
  }

  @Test func `members that come and go are shown after the rules that name the set`() throws {
    let host = try plan([(desired(Self.addresses(2...71)), facts(Self.addresses(1...70), ssh))]).hosts[0]
    let shown = try lines(host.difference)[0]
    #expect(host.reason == "the rules change")
    #expect(shown.first == "*filter" && shown.suffix(2) == ["-192.0.2.1", "+192.0.2.71"], "\(shown)")
    guard case .rules(let diff) = host.difference else { return }
    #expect(diff.ipv4.added == 2 && diff.ipv4.removed == 1 && diff.ipv6.added == 1)
  }

  @Test func `texts that cannot be read are a plan with a reason, not an end`() throws {
    let host = try plan([(desired(Self.forward), facts(Self.settings("kernel.panic = 1\n")))]).hosts[0]
    guard case .notComparable(let why) = host.difference else {
      Issue.record("\(host.difference)")
      return
    }
    #expect(why.contains("sysctl line 1: kernel.panic"))
  }
}
