import AgentTestSupport
import Apply
import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Netfilter

/// Ipsets and kernel settings on the real kernel, by the host's own programs, both backends.
@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct RealSetsTests {
  private static func set(_ second: Int, _ count: Int) throws -> AddressSet {
    try AddressSet(
      family: .ipv4, prefixes: (0..<count).compactMap { AddressPrefix("10.\(second).\($0 / 200).\($0 % 200)") })
  }

  private static func rules(_ sets: [AddressSet], _ family: Family) -> String {
    let named = sets.filter { $0.family == family }
      .map { "-A INPUT -m set --match-set \($0.name) src -p tcp -m tcp --dport 22 -j ACCEPT\n" }
    return "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n\(named.joined())COMMIT\n"
  }

  private static func bundle(
    _ serial: UInt64, _ sets: [AddressSet], _ sysctl: [String: Int] = [:]
  ) throws -> (files: [BundleFile: [UInt8]], manifest: Digest) {
    let settings = try SysctlFile(Dictionary(uniqueKeysWithValues: sysctl.map { (SysctlKey($0)!, $1) }))
    return try SignedBundles.bundle(
      serial: serial, ipv4: rules(sets, .ipv4), ipv6: rules(sets, .ipv6), mode: .owned, sources: [],
      sets: sets.isEmpty ? nil : try SetsFile(sets).encode(), sysctl: settings.isEmpty ? nil : settings.encode())
  }

  private static func names(_ host: RealHost) throws -> [String] {
    try host.run("ipset", "list", "-name").split(separator: "\n").map(String.init).sorted()
  }

  private static func members(_ host: RealHost, _ name: String) throws -> Int {
    try host.run("ipset", "save", name).split(separator: "\n").count { $0.hasPrefix("add ") }
  }

  private static func setting(_ name: String) throws -> Int? { try LinuxSettings().read(SysctlKey(name)!) }

  @Test(arguments: Backend.allCases) func `sets and settings come, are mended, are exchanged, and go`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let agent = try host.agent()
      _ = try host.run("ipset", "create", "blocklist", "hash:ip")
      let six = try AddressSet(family: .ipv6, prefixes: [#require(AddressPrefix("2001:db8::/32"))])
      let first = try Self.set(1, 1000)
      let old = try Self.bundle(1, [first, six], ["net.ipv4.ip_forward": 1, "net.ipv4.conf.lo.rp_filter": 1])
      var outcome = try agent.applyAndConfirm(old.files, .random(), old.manifest)
      #expect(outcome.result == .committed, "\(outcome.detail)")
      #expect(try Self.members(host, first.name) == 1000 && Self.members(host, six.name) == 1)
      #expect(try Self.setting("net.ipv4.ip_forward") == 1 && Self.setting("net.ipv4.conf.lo.forwarding") == 1)
      var report = try agent.report(.random(), managementSource: "")
      #expect(report.families.ipv4.expected == report.families.ipv4.observed)
      #expect(report.families.ipv6.expected == report.families.ipv6.observed)

      // By hand, while rules name it.
      _ = try host.run("ipset", "del", first.name, "10.1.2.3")
      _ = try host.run("ipset", "add", first.name, "203.0.113.0/24")
      report = try agent.report(.random(), managementSource: "")
      #expect(report.families.ipv4.expected != report.families.ipv4.observed)
      let observed = String(
        decoding: try agent.text(TextRequest(family: .ipv4, side: .observed)), as: UTF8.self)
      #expect(observed.contains("-A \(first.name) 203.0.113.0/24\n"))
      outcome = try agent.applyAndConfirm(old.files, .random(), old.manifest)
      #expect(outcome.result == .committed, "\(outcome.detail)")
      #expect(try Self.members(host, first.name) == 1000)
      #expect(try agent.applyAndConfirm(old.files, .random(), old.manifest).result == .unchanged)

      let second = try Self.set(2, 100)
      let new = try Self.bundle(2, [second], ["net.ipv4.conf.lo.rp_filter": 2])
      outcome = try agent.applyAndConfirm(new.files, .random(), new.manifest)
      #expect(outcome.result == .committed, "\(outcome.detail)")
      #expect(try Self.names(host) == [second.name, "blocklist"].sorted())
      #expect(try Self.setting("net.ipv4.ip_forward") == 0 && Self.setting("net.ipv4.conf.lo.forwarding") == 0)
      #expect(try Self.setting("net.ipv4.conf.lo.rp_filter") == 2)

      // At boot nothing of it is there.
      for family in ["iptables", "ip6tables"] {
        _ = try host.run(family, "-F")
        _ = try host.run(family, "-X")
      }
      _ = try host.run("ipset", "destroy", second.name)
      #expect(try agent.restore() == .committed(Serial(2)))
      #expect(try Self.members(host, second.name) == 100)

      let none = try Self.bundle(3, [])
      #expect(try agent.applyAndConfirm(none.files, .random(), none.manifest).result == .committed)
      #expect(try Self.names(host) == ["blocklist"])
      #expect(try Self.setting("net.ipv4.conf.lo.rp_filter") == 0)
    }
  }

  @Test(arguments: Backend.allCases) func `a rollback at the console brings the old set and settings back`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let agent = try host.agent()
      let (first, second) = (try Self.set(1, 100), try Self.set(2, 100))
      for (serial, set, filter) in [(UInt64(1), first, 1), (2, second, 2)] {
        let bundle = try Self.bundle(serial, [set], ["net.ipv4.conf.lo.rp_filter": filter])
        #expect(try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest).result == .committed)
      }
      _ = try agent.obey(LocalOrder(deed: .rollback, reason: "test"))
      #expect(try Self.names(host) == [first.name])
      #expect(try host.run("iptables", "-S").contains(first.name))
      #expect(try Self.setting("net.ipv4.conf.lo.rp_filter") == 1)
    }
  }

  @Test func `a setting of another namespace's kernel refuses the release`() throws {
    try onRealHost(.nft) { host in
      let agent = try host.agent()
      let before = try host.run("iptables-save")
      // Only the first namespace may size the table for all.
      let bundle = try Self.bundle(1, [], ["net.netfilter.nf_conntrack_buckets": 65536])
      let refusal = #expect(throws: Refusal.self) {
        try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest)
      }
      #expect(refusal?.code == .settingRefused, "\(refusal?.detail ?? "")")
      #expect(try host.run("iptables-save").contains("PCL") == before.contains("PCL"))
    }
  }

  @Test(arguments: Backend.allCases) func `what would have been dropped is counted by source, port and packets`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let agent = try host.agent()
      func rules(_ family: Family) -> String {
        let name = SetName.observations(family)
        return """
          *filter
          :INPUT ACCEPT [0:0]
          -A INPUT -p udp -m udp --dport 4009 -j ACCEPT
          -A INPUT -m set ! --match-set \(name) src,dst -j SET --add-set \(name) src,dst
          -A INPUT -m limit --limit 5/min -j LOG --log-prefix "observe: "
          COMMIT

          """
      }
      let bundle = try SignedBundles.bundle(
        serial: 1, ipv4: rules(.ipv4), ipv6: rules(.ipv6), mode: .owned, sources: [],
        sets: try SetsFile([AddressSet](), observing: [.ipv4, .ipv6]).encode())
      let outcome = try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest)
      #expect(outcome.result == .committed, "\(outcome.detail)")
      _ = try SignedBundles.run(
        "/bin/bash",
        [
          "-c",
          """
          ip link set lo up
          for n in 1 2 3 4 5; do echo hello > /dev/udp/127.0.0.1/4000; echo hello > /dev/udp/127.0.0.1/4009; done
          echo hello > /dev/udp/::1/4001
          """,
        ])
      let entries = try agent.observe().entries
      func packets(_ family: Family, _ source: String, _ port: String) -> UInt64? {
        entries.first { ($0.family, $0.source, $0.proto, $0.port) == (family, source, "udp", port) }?.packets
      }
      #expect(packets(.ipv4, "127.0.0.1", "4000") == 5 && packets(.ipv6, "::1", "4001") == 1, "\(entries)")
      #expect(packets(.ipv4, "127.0.0.1", "4009") == nil)
      let report = try agent.report(.random(), managementSource: "")
      #expect(report.families.ipv4.expected == report.families.ipv4.observed)
    }
  }

  @Test(arguments: Backend.allCases) func `somebody's set of sets that holds ours keeps no release away`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      let agent = try host.agent()
      let (first, second) = (try Self.set(1, 100), try Self.set(2, 100))
      let old = try Self.bundle(1, [first])
      #expect(try agent.applyAndConfirm(old.files, .random(), old.manifest).result == .committed)
      _ = try host.run("ipset", "create", "everybody", "list:set")
      _ = try host.run("ipset", "add", "everybody", first.name)
      _ = try host.run("iptables", "-A", "FORWARD", "-m", "set", "--match-set", "everybody", "src", "-j", "DROP")
      let new = try Self.bundle(2, [first, second])
      let outcome = try agent.applyAndConfirm(new.files, .random(), new.manifest)
      #expect(outcome.result == .committed && !outcome.detail.contains("did not load"), "\(outcome)")
      let failure = #expect(throws: Failure.self) { try agent.returnToGeneration0() }
      #expect(failure?.hint?.contains("ipset del everybody \(first.name)") == true)
      #expect(try host.run("iptables", "-S").contains("PCL"))
      _ = try host.run("ipset", "del", "everybody", first.name)
      #expect(try agent.returnToGeneration0())
      #expect(try Self.names(host) == ["everybody"])
    }
  }

  @Test(arguments: Backend.allCases)
  func `rules that were found and name a set that is gone keep a removal from beginning`(backend: Backend) throws {
    try onRealHost(backend) { host in
      _ = try host.run("ipset", "create", "f2b", "hash:ip")
      _ = try host.run("iptables", "-A", "INPUT", "-m", "set", "--match-set", "f2b", "src", "-j", "DROP")
      _ = try host.run("ip6tables", "-A", "INPUT", "-s", "2001:db8::/32", "-j", "DROP")
      let agent = try host.agent()
      let bundle = try SignedBundles.bundle(
        serial: 1, ipv4: Self.rules([], .ipv4), ipv6: Self.rules([], .ipv6), mode: .exclusive, sources: [])
      let outcome = try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest)
      #expect(outcome.result == .committed, "\(outcome.detail)")
      _ = try host.run("ipset", "destroy", "f2b")
      func rules() throws -> PerFamily<String> {
        try PerFamily(ipv4: host.run("iptables", "-S"), ipv6: host.run("ip6tables", "-S"))
      }
      let before = try rules()
      #expect(before.ipv6.contains("-P INPUT DROP"))
      let failure = #expect(throws: Failure.self) { try agent.returnToGeneration0() }
      let words = failure.map { ErrorChain($0).message } ?? ""
      #expect(words.contains("nothing was changed") && words.contains("f2b"), "\(words)")
      #expect(try rules() == before)
      _ = try host.run("ipset", "create", "f2b", "hash:ip")
      #expect(try agent.returnToGeneration0())
      let after = try rules()
      #expect(after.ipv4.contains("--match-set f2b src") && after.ipv6.contains("2001:db8::/32"))
    }
  }

  @Test func `settings hold after one pass, and go back, whatever the kernel changes along with them`() throws {
    try onRealHost(.nft) { host in
      let agent = try host.agent()
      for name in ["br0", "br1"] { _ = try SignedBundles.run("/sbin/ip", ["link", "add", name, "type", "bridge"]) }
      let names = try LinuxSettings().interfaces()
      let leaves = ["forwarding", "rp_filter", "accept_redirects", "send_redirects", "secure_redirects"]
      func all() throws -> [String: Int] {
        try names.reduce(into: [:]) { values, name in
          for leaf in leaves where name != "all" || leaf != "forwarding" {
            values["net.ipv4.conf.\(name).\(leaf)"] = try Self.setting("net.ipv4.conf.\(name).\(leaf)")
          }
        }
      }
      try LinuxSettings().write(SysctlKey("net.ipv4.conf.br1.forwarding")!, 1)
      let before = try all()
      // A default reaches br0, whose own value is right already and was never written.
      let wanted = [
        "net.ipv4.ip_forward": 1, "net.ipv4.conf.br0.rp_filter": 0, "net.ipv4.conf.default.rp_filter": 2,
        "net.ipv4.conf.br0.send_redirects": 1, "net.ipv4.conf.default.send_redirects": 0,
      ]
      let bundle = try Self.bundle(1, [], wanted)
      let outcome = try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest)
      #expect(outcome.result == .committed, "\(outcome.detail)")
      for (key, value) in wanted { #expect(try Self.setting(key) == value, "\(key)") }
      var facts = try agent.report(.random(), managementSource: "").families.ipv4
      #expect(facts.expected == facts.observed)
      try LinuxSettings().write(SysctlKey("net.ipv4.conf.br1.forwarding")!, 0)
      facts = try agent.report(.random(), managementSource: "").families.ipv4
      #expect(facts.expected != facts.observed)
      let none = try Self.bundle(2, [])
      #expect(try agent.applyAndConfirm(none.files, .random(), none.manifest).result == .committed)
      #expect(try all() == before)
    }
  }
}
