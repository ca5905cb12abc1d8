import AgentTestSupport
import Apply
import Core
import Glibc
import Release
import Ruleset
import Testing
import Wire

@testable import Netfilter

/// A lockdown on the real kernel, by the host's own programs, both backends.
@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct RealLockdownTests {
  private static let nonSYN =
    "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP"

  private static func profile(_ family: Family) -> [UInt8] {
    let manager = family == .ipv4 ? "192.0.2.7/32" : "2001:db8::7/128"
    let chains = [
      ("INPUT", ["-i lo -j RETURN", "-s \(manager) -p tcp -m tcp --dport 22 -j RETURN"]), ("FORWARD", []),
      (
        "OUTPUT",
        ["-o lo -j RETURN", "-d \(manager) -p tcp -m tcp --sport 22 ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN"]
      ),
    ]
    let rules = chains.flatMap { name, rules in (rules + [nonSYN, "-j DROP"]).map { "-A \(name) \($0)\n" } }
    let text = chains.map { ":\($0.0) ACCEPT [0:0]\n" }.joined() + rules.joined()
    return Array("*mangle\n\(text)COMMIT\n".utf8)
  }

  private static let mangling = """
    *filter
    :INPUT DROP [0:0]
    -A INPUT -i lo -j ACCEPT
    -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
    COMMIT
    *mangle
    :OUTPUT ACCEPT [0:0]
    -A OUTPUT -p tcp -m tcp --sport 22 -j MARK --set-xmark 0x1/0xffffffff
    COMMIT

    """
  private static let plain = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"

  private static func apply(
    _ serial: UInt64, _ rules: String, _ mode: Manifest.Mode, on host: RealHost, _ agent: HostAgent
  ) throws {
    let texts = PerFamily { String(decoding: profile($0), as: UTF8.self) }
    let bundle = try SignedBundles.bundle(
      serial: serial, ipv4: rules, ipv6: rules, mode: mode, sources: [], labels: ["web"],
      profiles: [("isolate", 30, texts)])
    let outcome = try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest)
    #expect(outcome.result == .committed, "\(outcome.detail)")
  }

  private static func hooked(_ host: RealHost) throws -> [Bool] {
    try ["iptables-save", "ip6tables-save"].map { program in
      let lines = try host.run(program, "-t", "mangle").split(separator: "\n")
      return ["INPUT", "FORWARD", "OUTPUT"].allSatisfy { chain in
        lines.first { $0.hasPrefix("-A \(chain) ") } == "-A \(chain) -j PCLLOCK-\(chain)"
      }
    }
  }

  private static func isIntact(_ agent: HostAgent, _ place: Comment) throws {
    let report = try agent.report(.random(), managementSource: "")
    for family in Family.allCases {
      #expect(report.families[family].observed == report.families[family].expected, "\(family), \(place)")
    }
    let differences = report.lockdown?.lock?.differences
    #expect(differences?.ipv4 == nil && differences?.ipv6 == nil, "\(String(describing: differences)), \(place)")
  }

  private static func page(_ name: String) throws -> String {
    // Four folders up from this file.
    let checkout = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
    let bytes = try #require(try LinuxDisk("/\(checkout)/docs").read(name, atMost: 1 << 20))
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func trusting(_ host: RealHost) throws -> HostAgent {
    let trust = try LinuxDisk("\(host.root)/etc/portcullis")
    try trust.remove("allowed_signers")
    try trust.create("allowed_signers", try SignedBundles.allowedSigners + SignedOrders.allowedSigners)
    return try host.agent()
  }

  /// What the save programs print of mangle then is nothing at all, and a success.
  @Test func `a native rule in table mangle hides the lock from the programs, and keeps nobody from lifting it`() throws
  {
    try onRealHost(.nft) { host in
      let agent = try Self.trusting(host)
      let manager = ManagementConnection.console(opened: LinuxBootClock().now())
      func nft(_ words: String...) throws -> String {
        String(decoding: try SignedBundles.run("/usr/sbin/nft", words), as: UTF8.self)
      }
      func calls() throws -> [Int] {
        let listed = try nft("list", "table", "ip", "mangle").split(separator: "\n")
        return LockLayer.hooked.map { chain in listed.count { $0.hasSuffix("jump PCLLOCK-\(chain)") } }
      }
      let native = ["add", "rule", "ip", "mangle", "INPUT", "fib", "daddr", "type", "local", "counter"]
      try Self.apply(1, Self.plain, .owned, on: host, agent)
      let order = try SignedOrders.lockdown(SignedOrders.terms(7))
      #expect(try agent.obey(order, from: manager).result == .locked)
      _ = try SignedBundles.run("/usr/sbin/nft", native)
      #expect(try host.run("iptables-save", "-t", "mangle").hasPrefix("# Table `mangle' is incompatible"))
      #expect(try agent.obey(order, from: manager).result == .locking)
      #expect(try calls() == [1, 1, 1])
      let report = try agent.report(.random(), managementSource: "")
      #expect(report.lockdown?.lock?.differences.ipv4?.contains("only nft can show") == true)
      #expect(try agent.obey(try SignedOrders.unlock(SignedOrders.terms(8)), from: manager).result == .lifted)
      #expect(try !nft("list", "ruleset").contains("PCLLOCK"))
      #expect(try nft("list", "table", "ip", "mangle").contains("fib daddr type local"))

      // The other way about: the rule is there before the order.
      let second = try agent.obey(try SignedOrders.lockdown(SignedOrders.terms(9)), from: manager)
      #expect(second.result == .locking && second.warnings.contains { $0.contains("only nft can show") })
      #expect(try calls() == [1, 1, 1])
      #expect(try agent.obey(LocalOrder(deed: .lift, reason: "x")).contains("is lifted"))
      #expect(try !nft("list", "ruleset").contains("PCLLOCK"))
    }
  }

  @Test(arguments: Backend.allCases)
  func `a lockdown is taken out by hand as docs/recovery.md says, and nothing else`(backend: Backend) throws {
    let page = try Self.page("recovery.md")
    let begin = try #require(page.firstRange(of: "```sh host lift-by-hand\n")).upperBound
    let lines = page[begin..<(try #require(page[begin...].firstRange(of: "```")).lowerBound)]
    try onRealHost(backend) { host in
      let agent = try Self.trusting(host)
      try Self.apply(1, Self.mangling, .exclusive, on: host, agent)
      func saved() throws -> [String] {
        try ["iptables-save", "ip6tables-save"].flatMap {
          try host.run($0).split(separator: "\n").filter { !$0.hasPrefix("#") && !$0.hasPrefix(":") }.map(String.init)
        }
      }
      let before = try saved()
      let manager = ManagementConnection.console(opened: LinuxBootClock().now())
      #expect(try agent.obey(try SignedOrders.lockdown(SignedOrders.terms(7)), from: manager).result == .locked)
      #expect(try saved() != before)
      _ = try SignedBundles.run("/bin/sh", ["-c", "PATH=\(host.programs):$PATH\n\(lines)"])
      #expect(try saved() == before)
    }
  }

  @Test(arguments: Backend.allCases, [Manifest.Mode.exclusive, .owned])
  func `a host is locked, changed beneath, tampered with, started again, and opened`(
    backend: Backend, mode: Manifest.Mode
  ) throws {
    try onRealHost(backend) { host in
      var agent = try Self.trusting(host)
      let manager = ManagementConnection.console(opened: LinuxBootClock().now())
      try Self.apply(1, Self.plain, mode, on: host, agent)
      let table = try ConntrackTable()
      // Which end is the host is told by its addresses.
      _ = try SignedBundles.run(
        "/bin/sh", ["-c", "ip address add 192.0.2.1/32 dev lo && ip -6 address add 2001:db8::1/128 dev lo"])
      try table.fill([
        ConntrackTable.entry("192.0.2.7", 40000, "192.0.2.1", 22),
        ConntrackTable.entry("198.51.100.7", 40000, "192.0.2.1", 22),
        ConntrackTable.entry("2001:db8::8", 40007, "2001:db8::1", 22),
        ConntrackTable.entry("198.51.100.7", 40008, "192.0.2.1", 53, protocolNumber: 17),
      ])
      let before = try host.run("iptables-save", "-t", "filter").split(separator: "\n").filter { $0.hasPrefix("-") }
      let order = try SignedOrders.lockdown(SignedOrders.terms(7), liftsAfter: 3600)
      let locked = try agent.obey(order, from: manager)
      #expect(locked.result == .locked && locked.flowsCut == 2, "\(locked)")
      #expect(locked.warnings.isEmpty && locked.lock?.phase == .locked, "\(locked.warnings)")
      #expect(try table.left() == ["192.0.2.7 40000"])
      #expect(try Self.hooked(host) == [true, true])
      #expect(
        try host.run("iptables-save", "-t", "filter").split(separator: "\n").filter { $0.hasPrefix("-") } == before)
      try Self.isIntact(agent, "locked")
      agent.lockTick()
      try Self.isIntact(agent, "its plain files written")

      try Self.apply(2, Self.mangling, mode, on: host, agent)
      #expect(try Self.hooked(host) == [true, true])
      try Self.isIntact(agent, "changed beneath")

      // Docker starts again, say, and somebody flushes.
      _ = try host.run("iptables", "-t", "mangle", "-I", "INPUT", "1", "-p", "udp", "-j", "ACCEPT")
      _ = try host.run("ip6tables", "-t", "mangle", "-F", "PCLLOCK-OUTPUT")
      let tampered = try agent.report(.random(), managementSource: "").lockdown?.lock?.differences
      #expect(tampered?.ipv4?.contains("first") == true && tampered?.ipv6?.contains("rules") == true)
      #expect(try agent.obey(order, from: manager).result == .repeated)
      #expect(try Self.hooked(host) == [true, true])
      _ = try host.run("iptables", "-t", "mangle", "-D", "INPUT", "-p", "udp", "-j", "ACCEPT")
      try Self.isIntact(agent, "mended")

      _ = try host.run("ip6tables", "-t", "mangle", "-D", "INPUT", "-j", "PCLLOCK-INPUT")
      agent = try host.agent()
      #expect(try Self.hooked(host) == [true, true])
      try Self.isIntact(agent, "started again")

      let lifted = try agent.obey(try SignedOrders.unlock(SignedOrders.terms(8)), from: manager)
      #expect(lifted.result == .lifted && lifted.lock == nil, "\(lifted)")
      for program in ["iptables-save", "ip6tables-save"] {
        #expect(try !host.run(program).contains("PCLLOCK"))
      }
      agent.lockTick()
      try Self.isIntact(agent, "opened")
    }
  }

  /// PORTCULLIS_JUDGE_TIMES=1 judges; other work on the machine, and a build for debugging, make it more.
  @Test(arguments: Backend.allCases)
  func `a host whose programs became the other backend's while it was locked is opened whole`(backend: Backend) throws {
    try onRealHost(backend) { host in
      let agent = try Self.trusting(host)
      let manager = ManagementConnection.console(opened: LinuxBootClock().now())
      try Self.apply(1, Self.plain, .owned, on: host, agent)
      _ = try agent.obey(try SignedOrders.lockdown(SignedOrders.terms(7)), from: manager)
      try host.switchBackend()
      _ = try agent.look(for: [])
      agent.lockTick()
      #expect(try Self.hooked(host) == [true, true])
      let both = ["", "-\(backend.name)"].flatMap { ["iptables\($0)-save", "ip6tables\($0)-save"] }
      for program in both { #expect(try host.run(program, "-t", "mangle").contains("PCLLOCK"), "\(program)") }
      #expect(try agent.obey(try SignedOrders.unlock(SignedOrders.terms(8)), from: manager).result == .lifted)
      for program in both { #expect(try !host.run(program, "-t", "mangle").contains("PCLLOCK"), "\(program)") }
    }
  }

  @Test(arguments: Backend.allCases) func `an order takes little more than the programs that it runs`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let agent = try Self.trusting(host)
      try Self.apply(1, Self.plain, .owned, on: host, agent)
      let many = (0..<10_000).map {
        "-A OTHERS -s 10.\($0 / 250).\($0 % 250).1/32 -p tcp -m tcp --dport 80 -j ACCEPT\n"
      }
      let text = Array(("*filter\n:OTHERS - [0:0]\n" + many.joined() + "COMMIT\n").utf8)
      let firewall = host.firewall()
      for family in Family.allCases {
        let own = family == .ipv4 ? text : Array("*filter\n:OTHERS - [0:0]\nCOMMIT\n".utf8)
        try firewall.load(RestoreText(own, keepsOthers: true), into: family, within: .seconds(60))
      }
      let layers = try PerFamily { try LockLayer(parsing: Self.profile($0), $0) }
      var (best, bare) = (Duration.seconds(60), Duration.seconds(60))
      for round in 0..<3 {
        let start = ContinuousClock.now
        for family in [Family.ipv6, .ipv4] {
          try firewall.load(RestoreText(layers[family].first, keepsOthers: true), into: family, within: .seconds(10))
        }
        _ = try firewall.cutFlows(sparing: [], within: .seconds(5))
        let saved = try PerFamily { try firewall.save($0, table: LockLayer.table) }
        bare = min(bare, start.duration(to: .now))
        for family in Family.allCases {
          let removal = try #require(LockLayer.removal(Ruleset.parse(save: saved[family], file: "saved")))
          try firewall.load(RestoreText(removal, keepsOthers: true), into: family, within: .seconds(10))
        }
        let order = try SignedOrders.lockdown(SignedOrders.terms(UInt64(2 * round + 1)))
        let begun = ContinuousClock.now
        let obeyed = try agent.obey(order, from: .console(opened: LinuxBootClock().now()))
        best = min(best, begun.duration(to: .now))
        #expect(obeyed.result == .locked, "\(obeyed)")
        _ = try agent.obey(
          try SignedOrders.unlock(SignedOrders.terms(UInt64(2 * round + 2))),
          from: .console(opened: LinuxBootClock().now()))
      }
      print("an order over its programs, \(backend.name), 10,000 rules beneath: \(best / bare) (\(best) over \(bare))")
      if getenv("PORTCULLIS_JUDGE_TIMES") != nil { #expect(best / bare <= 1.5) }
    }
  }
}
