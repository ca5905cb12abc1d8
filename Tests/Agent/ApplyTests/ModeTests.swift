import Apply
import Core
import Release
import Ruleset
import Testing
import Wire

/// Bundles of every mode, and a host on which Docker and fail2ban keep rules of their own.
enum Modes {
  static let owned4 = """
    *filter
    :INPUT DROP [0:0]
    :FORWARD DROP [0:0]
    :web - [0:0]
    -A INPUT -i lo -j ACCEPT
    -A INPUT -j web
    -A web -p tcp -m tcp --dport 443 -j ACCEPT
    COMMIT

    """
  static let owned6 = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
  static let next4 = """
    *filter
    :INPUT DROP [0:0]
    -A INPUT -i lo -j ACCEPT
    -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
    COMMIT
    *nat
    :POSTROUTING ACCEPT [0:0]
    -A POSTROUTING -o eth0 -j MASQUERADE
    COMMIT

    """
  static let next6 = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p ipv6-icmp -j ACCEPT\nCOMMIT\n"

  typealias Bundle = Result<Samples.Bundle, any Error>

  static func bundle(_ serial: UInt64, _ mode: Manifest.Mode, _ grants: [Grant] = []) -> Bundle {
    Result {
      try SignedBundles.bundle(
        serial: serial, ipv4: serial % 2 == 0 ? owned4 : next4, ipv6: serial % 2 == 0 ? owned6 : next6, mode: mode,
        grants: grants)
    }
  }

  static let evict: [Grant] = [.evict(.docker), .evict(.fail2ban)]
  static let owned2 = bundle(2, .owned)
  static let owned3 = bundle(3, .owned)
  static let owned5 = bundle(5, .owned)
  static let taking3 = bundle(3, .owned, [.takeOver])
  static let exclusive2 = bundle(2, .exclusive, evict)
  static let exclusive3 = bundle(3, .exclusive, evict)
  static let exclusiveMild3 = bundle(3, .exclusive)
  static let withdrawn3 = bundle(3, .withdrawn)
  static let withdrawn4 = bundle(4, .withdrawn)

  static let docker = """
    *filter
    :INPUT ACCEPT [0:0]
    :FORWARD DROP [0:0]
    :OUTPUT ACCEPT [0:0]
    :DOCKER-USER - [0:0]
    :f2b-sshd - [0:0]
    -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
    -A FORWARD -j DOCKER-USER
    -A FORWARD -o docker0 -j ACCEPT
    -A DOCKER-USER -j RETURN
    -A f2b-sshd -s 203.0.113.9/32 -j REJECT --reject-with icmp-port-unreachable
    -A f2b-sshd -j RETURN
    COMMIT
    *nat
    :PREROUTING ACCEPT [0:0]
    :INPUT ACCEPT [0:0]
    :OUTPUT ACCEPT [0:0]
    :POSTROUTING ACCEPT [0:0]
    :DOCKER - [0:0]
    -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
    -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
    COMMIT

    """

  static func host(_ backend: Backend = .nft) throws -> FakeHost {
    let host = try FakeHost()
    host.firewall.backend = backend
    try settle(docker, on: host)
    return host
  }

  static func settle(_ text: String, on host: FakeHost) throws {
    for table in try Ruleset.parse(save: Array(text.utf8), file: "foreign").tables {
      host.firewall.kernel.ipv4[table.name] = table
    }
  }
}

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
    #expect(!host.canonical.ipv4.contains("DOCKER"))
    #expect(try host.apply(agent, Modes.withdrawn3).result == .committed)
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
    #expect(Self.foreign(host.canonical.ipv4) == ["-A OUTPUT -p udp -m udp --dport 9 -j DROP"])
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
    #expect(Self.foreign(host.canonical.ipv4).count == 2)
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

  @Test func `the safe policy leaves other people's chains alone in owned mode`() throws {
    try host.apply(agent, Modes.owned2)
    _ = try agent.obey(LocalOrder(deed: .safe, reason: "a drill"))
    #expect(Self.foreign(host.canonical.ipv4) == Self.foreign(found.ipv4))
    #expect(host.canonical.ipv4.contains("-s 192.0.2.7 -p tcp -m tcp --dport 22 -j ACCEPT"))
    let report = try agent.report(.random(), managementSource: "")
    #expect(report.degraded)
    #expect(report.localAct?.deed == .safe)
    // It stays so over a restart and a reboot, until the next release.
    let safe = host.canonical
    _ = try host.recoveredAgent()
    #expect(host.canonical == safe)
    host.cutPower()
    guard case .safePolicy = try host.agent().restore() else {
      Issue.record("root's order was forgotten at boot")
      return
    }
    #expect(host.canonical.ipv4.contains("-s 192.0.2.7 -p tcp -m tcp --dport 22 -j ACCEPT"))
    let next = try host.recoveredAgent()
    #expect(try host.apply(next, Modes.owned3).result == .committed)
    #expect(try next.report(.random(), managementSource: "").localAct == nil)
    #expect(try !next.report(.random(), managementSource: "").degraded)
  }

  @Test func `root goes back to the bundle before, and the report says so until the next commit`() throws {
    #expect(throws: Refusal.self) { try agent.obey(LocalOrder(deed: .rollback, reason: "none yet")) }
    try host.apply(agent, Modes.owned2)
    let old = host.canonical
    try host.apply(agent, Modes.owned3)
    #expect(host.canonical != old)
    _ = try agent.obey(LocalOrder(deed: .rollback, reason: "the web is down"))
    #expect(host.canonical == old)
    let report = try agent.report(.random(), managementSource: "")
    #expect(report.committed?.serial == Serial(2))
    #expect(report.localAct?.reason == "the web is down")
    #expect(try host.ledger().floor?.serial == Serial(3))
    #expect(try host.recoveredAgent().report(.random(), managementSource: "").localAct?.deed == .rollback)
    let next = try host.recoveredAgent()
    #expect(try host.apply(next, Modes.owned3).result == .committed)
    #expect(try next.report(.random(), managementSource: "").localAct == nil)
  }

  @Test func `a local order takes a waiting change back first`() throws {
    try host.apply(agent, Modes.owned2)
    try host.apply(agent, Modes.owned3)
    let bundle = try Modes.owned5.get()
    let transaction = TransactionID.random()
    _ = try ConfirmTests.begin(agent, Modes.withdrawn4, transaction, from: host.connection())
    _ = try agent.obey(LocalOrder(deed: .rollback, reason: "now"))
    #expect(try host.ledger().outcome(of: transaction)?.result == .reverted)
    #expect(try host.ledger().committed?.accepted.serial == Serial(2))
    #expect(bundle.manifest != (try Modes.owned2.get()).manifest)
  }
}

@Suite struct KnockTests {
  let host: FakeHost
  let agent: HostAgent

  init() throws {
    host = try Modes.host()
    agent = try host.recoveredAgent()
  }

  static let shut = KnockResult.shut([
    ShutPath(family: .ipv4, source: "192.0.2.7", port: 22, culprit: "-A INPUT -s 192.0.2.0/24 -j DROP")
  ])

  @Test func `every way in is tried beside the host's own rules`() throws {
    try host.apply(agent, Modes.owned2)
    let rehearsal = try #require(host.firewall.rehearsals.first { !$0.knock.isEmpty })
    #expect(rehearsal.live.map { String(decoding: $0.ipv4, as: UTF8.self) }?.contains("DOCKER-USER") == true)
    #expect(rehearsal.knock == [KnockPath(source: "192.0.2.7", destination: "192.0.2.1", ports: [22])])
  }

  @Test(arguments: [Modes.owned2, Modes.exclusive2])
  func `a shut way in refuses, and names family, source, port and rule`(
    bundle: Modes.Bundle
  ) throws {
    host.firewall.knock = { _ in Self.shut }
    let before = host.canonical
    let refusal = #expect(throws: Refusal.self) { try host.apply(agent, bundle) }
    #expect(refusal?.code == .lockout)
    for word in ["ipv4", "192.0.2.7", "port 22", "-A INPUT -s 192.0.2.0/24 -j DROP"] {
      #expect(refusal?.detail.contains(word) == true)
    }
    #expect(host.canonical == before)
    #expect(host.firewall.loads == 0)
  }

  @Test func `a shut way in goes on when it is ordered, and says so`() throws {
    host.firewall.knock = { _ in Self.shut }
    let outcome = try host.apply(agent, Modes.bundle(2, .owned, [.overrideLockout]))
    #expect(outcome.result == .committed)
    #expect(outcome.detail.contains("192.0.2.0/24"))
  }

  @Test func `a knock that cannot tell warns`() throws {
    host.firewall.knock = { _ in .undecided("a rule uses NFQUEUE") }
    let change = try ConfirmTests.begin(agent, Modes.owned2, .random(), from: host.connection())
    #expect(change.warnings.contains { $0.contains("NFQUEUE") })
  }

  @Test func `live rules that do not load beside ours warn, and the apply goes on`() throws {
    host.firewall.withoutLive = "no such match"  // Then our text, made for them, does not load either.
    let outcome = try host.apply(agent, Modes.owned2)
    #expect(outcome.result == .committed)
    #expect(outcome.detail.contains("which did not load"))
  }
}
