import AgentTestSupport
import Apply
import Core
import Release
import Ruleset
import TestSupport
import Testing
import Wire

@Suite struct ApplyTests {
  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try FakeHost()
    agent = try host.recoveredAgent()
  }

  @Test func `a bundle is applied to both families, re-read and committed`() throws {
    let outcome = try host.apply(agent, Samples.old)
    #expect(outcome.result == .committed)
    #expect(outcome.serial == Serial(7))
    #expect(host.canonical.ipv4.contains("--dport 22"))
    #expect(host.canonical.ipv6.contains(":INPUT DROP"))
    let report = try agent.report(.random(), managementSource: "192.0.2.7")
    #expect(report.committed?.serial == Serial(7))
    for family in Family.allCases {
      #expect(report.families[family].expected == report.families[family].observed)
    }
    #expect(try host.disk.linkTarget("committed")?.hasPrefix("bundles/7-") == true)
  }

  @Test func `tables that the next bundle does not declare are emptied`() throws {
    try host.apply(agent, Samples.new)
    #expect(host.canonical.ipv4.contains("MASQUERADE"))
    #expect(try host.apply(agent, Samples.oldAgain).result == .committed)
    #expect(!host.canonical.ipv4.contains("*nat"))
    #expect(!host.canonical.ipv6.contains("extra"))
  }

  @Test(arguments: Backend.allCases) func `a built-in chain the bundle leaves out ends as ACCEPT on both backends`(
    backend: Backend
  ) throws {
    host.firewall.backend = backend
    try host.apply(agent, Samples.new)
    #expect(host.canonical.ipv4.contains(":FORWARD DROP"))
    try host.apply(agent, Samples.oldAgain)
    #expect(host.canonical.ipv4.contains(":FORWARD ACCEPT"))
  }

  @Test func `a repeated transaction gets the recorded answer and touches nothing`() throws {
    let transaction = TransactionID.random()
    let first = try host.apply(agent, Samples.old, transaction)
    let loads = host.firewall.loads
    #expect(try host.apply(agent, Samples.old, transaction) == first)
    #expect(host.firewall.loads == loads)
    let later = try host.recoveredAgent()
    #expect(try host.apply(later, Samples.old, transaction) == first)
    #expect(throws: Refusal.self) { try host.apply(later, Samples.new, transaction) }
  }

  @Test func `the same bundle again is unchanged, and mends what was tampered with`() throws {
    try host.apply(agent, Samples.old)
    #expect(try host.apply(agent, Samples.old).result == .unchanged)
    let before = host.canonical
    host.firewall.append("-A INPUT -p tcp -m tcp --dport 23 -j ACCEPT", to: "filter", .ipv6)
    #expect(try host.apply(agent, Samples.old).result == .committed)
    #expect(host.canonical == before)
  }

  @Test func `the same content under a later serial loads nothing and is recorded durably`() throws {
    try host.apply(agent, Samples.old)
    let loads = host.firewall.loads
    let outcome = try host.apply(agent, Samples.oldAgain)
    #expect(outcome.result == .unchanged)
    #expect(outcome.serial == Serial(9))
    #expect(host.firewall.loads == loads)
    host.disk.cutPower()
    // Durable before anyone recovers: stock programs read it when we are gone.
    #expect(try host.disk.linkTarget("committed")?.hasPrefix("bundles/9-") == true)
    let ledger = try host.ledger()
    #expect(ledger.committed?.accepted.serial == Serial(9))
    #expect(ledger.floor?.serial == Serial(9))
    #expect(try host.agent().restore() == .committed(Serial(9)))
    #expect(throws: Refusal.self) { try host.apply(try host.recoveredAgent(), Samples.new) }
  }

  @Test func `an older serial is refused, also after a release that was rolled back`() throws {
    host.firewall.poison = (.ipv4, "MASQUERADE")
    try host.apply(agent, Samples.old)
    #expect(try host.apply(agent, Samples.new).result == .reverted)
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Samples.old) }
    #expect(refusal?.code == .olderSerial)
  }

  @Test(arguments: Family.allCases) func `a family that does not load takes both back`(family: Family) throws {
    try host.apply(agent, Samples.old)
    let before = host.canonical
    host.firewall.poison = (family, family == .ipv4 ? "MASQUERADE" : "extra")
    let outcome = try host.apply(agent, Samples.new)
    #expect(outcome.result == .reverted)
    #expect(outcome.detail.contains("poisoned"))
    #expect(host.canonical == before)
    let report = try agent.report(.random(), managementSource: "")
    #expect(report.committed?.serial == Serial(7))
    #expect(report.lastFailure?.serial == Serial(8))
    #expect(report.degraded == nil)
  }

  @Test func `before the first commit the way back is what was found`() throws {
    host.firewall.append("-A INPUT -p tcp -m tcp --dport 8080 -j DROP", to: "filter", .ipv4)
    host.firewall.append("-A PREROUTING -j MARK --set-xmark 0x1/0xffffffff", to: "mangle", .ipv6)
    let found = host.canonical
    let second = try FakeHost()
    second.firewall.kernel = host.firewall.kernel
    let agent = try second.recoveredAgent()
    second.firewall.poison = (.ipv4, "MASQUERADE")
    #expect(try second.apply(agent, Samples.new).result == .reverted)
    #expect(second.canonical == found)
  }

  @Test func `a writer between load and re-read makes the apply go back`() throws {
    try host.apply(agent, Samples.old)
    let before = host.canonical
    var once = true
    host.firewall.beforeSave = { firewall, family in
      guard once, firewall.canonical(.ipv4).contains("443") else { return }
      once = false
      firewall.append("-A INPUT -j ACCEPT", to: "filter", .ipv4)
    }
    let outcome = try host.apply(agent, Samples.new)
    #expect(outcome.result == .reverted)
    #expect(outcome.detail.contains("chain INPUT of table filter has 3 rules, not 2"))
    #expect(host.canonical == before)
  }

  @Test func `what keeps us from going back has time to pass`() throws {
    try host.apply(agent, Samples.old)
    let before = host.canonical
    host.firewall.beforeSave = { [host] firewall, _ in
      if host.boot.sleeps.count < 2 { firewall.append("-A INPUT -j ACCEPT", to: "filter", .ipv4) }
    }
    let outcome = try host.apply(agent, Samples.new)
    #expect(outcome.result == .reverted)
    #expect(host.canonical == before)
    // The first try is made at once.
    #expect(host.boot.sleeps == [.milliseconds(100), .milliseconds(200)])
  }

  @Test func `when neither new nor old loads the safe policy does, and the report says so`() throws {
    try host.apply(agent, Samples.old)
    host.firewall.beforeSave = { firewall, _ in
      // Someone keeps opening the host, but leaves the safe policy alone.
      if !firewall.canonical(.ipv4).contains("192.0.2.7") {
        firewall.append("-A INPUT -j ACCEPT", to: "filter", .ipv4)
      }
    }
    let outcome = try host.apply(agent, Samples.new)
    #expect(outcome.result == .failed)
    #expect(host.canonical.ipv4.contains("-A INPUT -s 192.0.2.7 -p tcp -m tcp --dport 22 -j ACCEPT"))
    #expect(host.canonical.ipv4.contains(":FORWARD DROP"))
    #expect(!host.canonical.ipv4.contains("*nat"))
    #expect(host.canonical.ipv6.contains(":INPUT DROP"))
    #expect(try agent.report(.random(), managementSource: "").degraded?.isEmpty == false)
    host.firewall.beforeSave = nil
    #expect(try host.apply(try host.recoveredAgent(), Samples.oldAgain).result == .committed)
    #expect(try host.recoveredAgent().report(.random(), managementSource: "").degraded == nil)
  }

  @Test func `rules that do not parse name their line, and nothing is run`() throws {
    let bad = try SignedBundles.bundle(
      serial: 3, ipv4: "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport http://x -j ACCEPT\nCOMMIT\n",
      ipv6: Samples.old6)
    let refusal = #expect(throws: Refusal.self) {
      try host.apply(agent, .success(bad))
    }
    #expect(refusal?.code == .rulesDoNotParse)
    #expect(refusal?.location == RuleLocation(family: .ipv4, line: 3))
    #expect(host.firewall.loads == 0)
    #expect(throws: Refusal.self) { try agent.check(bad.files) }
  }

  @Test func `a program's line is the bundle's line`() throws {
    // The second rule of the bundle stands in its line 5; in the input that declares all chains in line 6.
    host.firewall.rehearsalProblem = FirewallProblem(
      .refused, program: "iptables-restore", family: .ipv4, line: 6, words: "no such thing")
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Samples.new) }
    #expect(refusal?.code == .rulesDoNotLoad)
    #expect(refusal?.location == RuleLocation(family: .ipv4, line: 5))
    #expect(try host.disk.list("bundles").isEmpty)
    #expect(try host.ledger().open == nil)
    #expect(try host.ledger().floor == nil)
  }

  @Test(arguments: ["nothing", "a rule less", "a chain more", "another policy", "a table more"])
  func `a rehearsal that yields something else is refused, whatever the exit code`(fault: String) throws {
    host.firewall.corruptRehearsal = { kernel in
      var kernel = kernel
      switch fault {
      case "nothing": kernel.ipv6 = [:]
      case "a rule less": kernel.ipv4["filter"]!.chains[0].rules.removeLast()
      case "a chain more": kernel.ipv4["filter"]!.chains.append(RuleChain(name: "x", policy: nil))
      case "another policy": kernel.ipv4["filter"]!.chains[0].policy = "ACCEPT"
      default:
        kernel.ipv4["raw"] = RuleTable(name: "raw", chains: [RuleChain(name: "OUTPUT", policy: "DROP")])
      }
      return kernel
    }
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Samples.new) }
    #expect(refusal?.code == .rehearsalDiffers)
    #expect(host.firewall.loads == 0)
  }

  @Test func `a bundle for another manifest or time is refused`() throws {
    let bundle = try Samples.old.get()
    #expect(throws: Refusal.self) {
      try host.apply(agent, .success((bundle.files, Digest(of: [1]))))
    }
    host.clock.time = UTCTime("2030-01-01T00:00:00Z")!
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Samples.old) }
    #expect(refusal?.code == .releaseExpired)
    #expect(host.firewall.loads == 0)
  }

  @Test func `a key taken off the list counts no more, and running rules stay`() throws {
    try host.apply(agent, Samples.old)
    host.trust.tamper("allowed_signers", Array("# nobody\n".utf8))
    #expect(throws: Refusal.self) { try host.apply(agent, Samples.new) }
    #expect(try host.agent().restore() == .committed(Serial(7)))
  }

  @Test func `upgraded programs that print other words are no drift`() throws {
    try host.apply(agent, Samples.old)
    host.firewall.version = "1.8.11"
    host.firewall.wording = { $0.replacing("-m tcp ", with: "") }
    let report = try agent.report(.random(), managementSource: "")
    #expect(report.iptablesVersion == "1.8.11")
    #expect(report.families.ipv4.expected == report.families.ipv4.observed)
    host.firewall.kernel = .init(ipv4: [:], ipv6: [:])
    host.firewall.wording = { $0.replacing("-p tcp", with: "-p 6") }
    #expect(try host.agent().restore() == .committed(Serial(7)))
  }

  @Test func `the committed files load with stock programs and hold what the kernel holds`() throws {
    try host.apply(agent, Samples.new)
    for family in Family.allCases {
      let text = try agent.text(TextRequest(family: family, side: .expected))
      #expect(text == Array(host.canonical[family].utf8))
      #expect(try agent.text(TextRequest(family: family, side: .observed)) == text)
    }
  }

  @Test func `generation 0 is captured once and never overwritten`() throws {
    let fresh = try FakeHost()
    fresh.firewall.append("-A INPUT -j DROP", to: "filter", .ipv4)
    let agent = try fresh.agent()
    #expect(try agent.captureGeneration0())
    let kept = try fresh.disk.read("generation-0/ipv4.rules", atMost: 1 << 20)
    fresh.firewall.append("-A INPUT -j ACCEPT", to: "filter", .ipv4)
    #expect(try !agent.captureGeneration0())
    #expect(try fresh.disk.read("generation-0/ipv4.rules", atMost: 1 << 20) == kept)
  }
}
