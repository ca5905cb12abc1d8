import Apply
import Core
import Release
import Ruleset
import Testing
import Wire

@Suite struct ModeTests {
  let host: FakeHost
  let agent: HostAgent
  let found: PerFamily<String>

  init() throws {
    host = try Modes.host()
    found = host.canonical
    agent = try host.recoveredAgent()
  }

  /// Every rule line that stands in a text and is not ours.
  static func foreign(_ text: String) -> [String] {
    text.split(separator: "\n").map(String.init).filter { $0.hasPrefix("-A") && !$0.contains("PCL") }
  }

  @Test(arguments: [Modes.owned2, Modes.exclusive2])
  func `removal without a readable bundle is refused: nobody knows what it changed`(bundle: Modes.Bundle) throws {
    let host = try Modes.host()
    let agent = try host.recoveredAgent()
    try host.apply(agent, bundle)
    let before = host.canonical
    let name = try #require(try host.ledger().committed?.name)
    host.disk.tamper("bundles/\(name)/\(BundleFile.rules(.ipv4).fileName)", Array("*filter\nCOMMIT\n".utf8))
    let next = try host.recoveredAgent()
    #expect(throws: Failure.self) { try next.returnToGeneration0() }
    #expect(host.canonical == before)
  }

  @Test func `owned rules stand beside other people's, and the report is of ours alone`() throws {
    #expect(try host.apply(agent, Modes.owned2).result == .committed)
    #expect(Self.foreign(host.canonical.ipv4) == Self.foreign(found.ipv4))
    #expect(host.canonical.ipv4.contains("-A PCL:web -p tcp -m tcp --dport 443 -j ACCEPT"))
    #expect(host.canonical.ipv4.contains(":INPUT DROP"))
    let before = try agent.report(.random(), managementSource: "")
    for family in Family.allCases {
      #expect(before.families[family].expected == before.families[family].observed)
    }
    #expect(before.owners == [.docker, .fail2ban])
    host.firewall.append("-A FORWARD -i docker0 -j ACCEPT", to: "filter", .ipv4)
    let after = try agent.report(.random(), managementSource: "")
    #expect(after.families.ipv4.observed == before.families.ipv4.observed)
    #expect(after.families.ipv4.save != before.families.ipv4.save)
    #expect(
      try agent.text(TextRequest(family: .ipv4, side: .observed))
        == agent.text(TextRequest(family: .ipv4, side: .expected)))
    #expect(try host.apply(agent, Modes.owned2).result == .unchanged)
  }

  @Test func `a withdrawn manifest leaves what was found`() throws {
    try host.apply(agent, Modes.owned2)
    #expect(try host.apply(agent, Modes.withdrawn3).result == .committed)
    #expect(host.canonical == found)
    #expect(try host.apply(agent, Modes.withdrawn4).result == .unchanged)
    let report = try agent.report(.random(), managementSource: "")
    #expect(report.families.ipv4.expected == report.families.ipv4.observed)
    host.cutPower()
    #expect(try host.agent().restore() == .committed(Serial(4)))
    #expect(host.canonical.ipv4.isEmpty)
  }

  @Test func `a withdrawn manifest of an exclusive host loads what was found`() throws {
    try host.apply(agent, Modes.exclusive2)
    #expect(!host.canonical.ipv4.contains("DOCKER-USER"))
    #expect(try host.apply(agent, Modes.withdrawn3).result == .committed)
    #expect(host.canonical == found)
  }

  @Test func `what was found is remembered through every mode and renewed release`() throws {
    try host.apply(agent, Modes.owned2)
    try host.apply(agent, Modes.exclusive3)
    #expect(try host.apply(agent, Modes.bundle(5, .exclusive, Modes.evict)).result == .unchanged)
    #expect(try host.apply(agent, Modes.bundle(6, .exclusive, Modes.evict)).result == .committed)
    #expect(try host.apply(try host.recoveredAgent(), Modes.bundle(7, .withdrawn)).result == .committed)
    #expect(host.canonical == found)
  }

  @Test func `removal in exclusive mode loads what was found`() throws {
    try host.apply(agent, Modes.owned2)
    try host.apply(agent, Modes.exclusive3)
    #expect(try host.recoveredAgent().returnToGeneration0())
    #expect(host.canonical == found)
  }

  @Test func `removal in owned mode leaves other people's rules as they are by then`() throws {
    try host.apply(agent, Modes.owned2)
    host.firewall.append("-A FORWARD -i docker0 -j ACCEPT", to: "filter", .ipv4)
    var expected = Modes.docker
    expected = expected.replacing(
      "-o docker0 -j ACCEPT\n", with: "-o docker0 -j ACCEPT\n-A FORWARD -i docker0 -j ACCEPT\n")
    let model = try FakeHost()
    try Modes.settle(expected, on: model)
    #expect(try agent.returnToGeneration0())
    #expect(host.canonical == model.canonical)
  }

  @Test func `from exclusive to owned only our own rules go`() throws {
    try host.apply(agent, Modes.exclusive2)
    host.firewall.append("-A OUTPUT -p udp -m udp --dport 9 -j DROP", to: "filter", .ipv4)
    #expect(try host.apply(agent, Modes.owned3).result == .committed)
    // The table nat was never ours.
    let nat = Self.foreign(found.ipv4).filter { $0.contains("ROUTING") }
    #expect(Self.foreign(host.canonical.ipv4) == ["-A OUTPUT -p udp -m udp --dport 9 -j DROP"] + nat)
  }

  @Test func `exclusive mode refuses to wipe other software's chains until it is told which`() throws {
    try host.apply(agent, Modes.owned2)
    let before = host.canonical
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Modes.exclusiveMild3) }
    #expect(refusal?.code == .foreignChains)
    #expect(refusal?.detail.contains("--evict docker,fail2ban") == true)
    #expect(host.canonical == before)
    #expect(try host.ledger().open == nil)
    #expect(try host.apply(agent, Modes.exclusive3).result == .committed)
    #expect(!host.canonical.ipv4.contains("DOCKER"))
  }

  @Test(arguments: [false, true]) func `an eviction that goes back goes back to everything it wiped`(
    isCrash: Bool
  ) throws {
    try host.apply(agent, Modes.owned2)
    let before = host.canonical
    let bundle = try Modes.exclusive3.get()
    let transaction = TransactionID.random()
    _ = try agent.apply(
      bundle.files, transaction: transaction, manifest: bundle.manifest, terms: .standard, from: host.connection())
    #expect(host.canonical != before)
    if isCrash { _ = try host.recoveredAgent() } else { _ = try agent.cancel(transaction) }
    #expect(host.canonical == before)
  }

  static let ban = "-A INPUT -s 203.0.113.9/32 -j DROP"
  static let accept = "-A INPUT -p tcp -m tcp --dport 8080 -j ACCEPT"

  @Test func `a foreign accept above a ban stops a first apply, until it is allowed or taken over`() throws {
    let other = try FakeHost()
    other.firewall.append(Self.accept, to: "filter", .ipv4)
    other.firewall.append(Self.ban, to: "filter", .ipv4)
    let found = other.canonical
    let agent = try other.recoveredAgent()
    let refusal = #expect(throws: Refusal.self) { try other.apply(agent, Modes.owned2) }
    #expect(refusal?.code == .foreignAccept)
    #expect(refusal?.detail.contains(Self.accept) == true)
    #expect(refusal?.detail.contains("foreign: allow") == true && refusal?.detail.contains("--take-over") == true)
    #expect(other.canonical == found)

    #expect(try other.apply(agent, Modes.taking3).result == .committed)
    #expect(other.canonical.ipv4.contains("-j PCL-INPUT\n\(Self.accept)"))
    // Reversible: by rolling back, by withdrawing and by removal, also for a process that only knows the disk.
    #expect(try other.apply(try other.recoveredAgent(), Modes.withdrawn4).result == .committed)
    #expect(other.canonical == found)
  }

  @Test func `what an apply took over is given back when it is not confirmed`() throws {
    let other = try FakeHost()
    other.firewall.append(Self.accept, to: "filter", .ipv4)
    other.firewall.append(Self.ban, to: "filter", .ipv4)
    let found = other.canonical
    for isCrash in [false, true] {
      let agent = try other.recoveredAgent()
      let bundle = try Modes.taking3.get()
      let transaction = TransactionID.random()
      _ = try agent.apply(
        bundle.files, transaction: transaction, manifest: bundle.manifest, terms: .standard, from: other.connection())
      #expect(other.canonical != found)
      if isCrash { _ = try other.recoveredAgent() } else { _ = try agent.cancel(transaction) }
      #expect(other.canonical == found)
    }
  }

  @Test func `somebody who changes the rules between the read and the load makes it read again`() throws {
    try host.apply(agent, Modes.exclusive2)
    var left = 2
    host.firewall.beforeLoad = { firewall, family in
      // What was to be deleted is gone already, and something else has come.
      guard left > 0, family == .ipv4 else { return }
      left -= 1
      firewall.kernel.ipv4["filter"]!.chains[0].rules.removeFirst()
      firewall.append("-A OUTPUT -d 198.51.100.\(left)/32 -j DROP", to: "filter", .ipv4)
    }
    #expect(try host.apply(agent, Modes.owned3).result == .committed)
    #expect(left == 0)
    // Two of his, two in the table nat that was never ours.
    #expect(Self.foreign(host.canonical.ipv4).count == 4)
    for number in 0..<2 { #expect(host.canonical.ipv4.contains("198.51.100.\(number)/32")) }
  }

  @Test func `somebody who never stops makes the apply go back after five tries`() throws {
    try host.apply(agent, Modes.exclusive2)
    let loads = host.firewall.loads
    var number = 0
    host.firewall.beforeLoad = { firewall, family in
      guard family == .ipv4, firewall.kernel.ipv4["filter"]![chain: "INPUT"]!.rules.count > 0, number < 5 else {
        return
      }
      number += 1
      // A rule of ours goes and comes back elsewhere each time: what was read never fits.
      firewall.append("-A OUTPUT -d 198.51.100.\(number)/32 -j DROP", to: "filter", .ipv4)
      firewall.refusals = 1
    }
    #expect(try host.apply(agent, Modes.owned3).result == .reverted)
    // One of IPv6 and five of IPv4, then the way back.
    #expect(host.firewall.loads == loads + 6 + 2)
  }

  @Test func `generation 0 holds policies and never anyone's rules`() throws {
    let text = try #require(try host.disk.read("generation-0/ipv4.rules", atMost: 1 << 20))
    let words = String(decoding: text, as: UTF8.self)
    #expect(words.contains(":FORWARD DROP"))
    #expect(!words.contains("-A") && !words.contains("DOCKER"))
  }
}
