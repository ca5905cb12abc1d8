import AgentTestSupport
import Apply
import Core
import Glibc
import Release
import Ruleset
import Testing
import Wire

@testable import Netfilter

/// Everything that somebody can do to what a host filters, on real kernels: each is drift, at its place, and is none any
/// more when it is undone.
@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct TamperTests {
  struct Tamper: Sendable, CustomTestStringConvertible {
    let name: String
    var backends = Backend.allCases
    var modes: [Manifest.Mode] = [.owned, .exclusive]
    /// Where it shows: table and chain.
    let table: String
    let deed: @Sendable (RealHost, _ chain: String) throws -> Void
    var testDescription: String { name }
  }

  static let all: [Tamper] = [
    Tamper(name: "a rule added", table: "filter") { try $0.iptables("-A \($1) -p tcp --dport 8081 -j ACCEPT") },
    Tamper(name: "a rule added to the other family", table: "filter") { host, chain in
      try SignedBundles.call("\(host.programs)/ip6tables", "-A \(chain) -p tcp --dport 8081 -j ACCEPT")
    },
    Tamper(name: "a rule removed", table: "filter") { try $0.iptables("-D \($1) 1") },
    Tamper(name: "two rules in another order", table: "filter") { host, chain in
      try host.iptables("-D \(chain) -p tcp --dport 22 -j ACCEPT")
      try host.iptables("-I \(chain) 1 -p tcp --dport 22 -j ACCEPT")
    },
    Tamper(name: "a rule edited under its comment", table: "filter") {
      try $0.iptables("-R \($1) 3 -p tcp --dport 81 -m comment --comment site -j ACCEPT")
    },
    Tamper(name: "a policy changed", table: "filter") { host, _ in try host.iptables("-P INPUT ACCEPT") },
    Tamper(name: "a hook deleted", modes: [.owned], table: "filter") { try $0.iptables("-D INPUT -j \($1)") },
    Tamper(name: "a hook moved below an accept", modes: [.owned], table: "filter") { host, chain in
      try host.iptables("-A INPUT -s 203.0.113.9 -j ACCEPT")
      try host.iptables("-A INPUT -j \(chain)")
      try host.iptables("-D INPUT -j \(chain)")
    },
    Tamper(name: "a built-in chain hung elsewhere", backends: [.nft], modes: [.owned], table: "kernel") { _, chain in
      try nft(
        """
        flush chain ip filter INPUT; delete chain ip filter INPUT
        add chain ip filter INPUT { type filter hook input priority 50; policy drop; }
        add rule ip filter INPUT counter jump \(chain)
        """)
    },
    Tamper(name: "an accept above the hook", modes: [.owned], table: "filter") { host, _ in
      try host.iptables("-I INPUT 1 -s 203.0.113.9 -j ACCEPT")
    },
    Tamper(name: "an accept in somebody's chain above the hook", modes: [.owned], table: "filter") { host, _ in
      try host.iptables("-N theirs")
      try host.iptables("-A theirs -s 203.0.113.9 -j ACCEPT")
      try host.iptables("-I INPUT 1 -p tcp -j theirs")
    },
    Tamper(name: "an accept of known software above the hook", modes: [.owned], table: "filter") { host, _ in
      try host.iptables("-N f2b-sshd")
      try host.iptables("-A f2b-sshd -s 203.0.113.9 -j ACCEPT")
      try host.iptables("-I INPUT 1 -j f2b-sshd")
    },
    Tamper(name: "a chain flushed", table: "filter") { try $0.iptables("-F \($1)") },
    Tamper(name: "a member more in an ipset", table: "ipset") { host, _ in
      _ = try host.run("ipset", "add", try TamperTests.friends.get().name, "203.0.113.5")
    },
    Tamper(name: "a kernel setting", table: "sysctl") { _, _ in
      try LinuxSettings().write(SysctlKey("net.ipv4.conf.all.rp_filter")!, 0)
    },
    Tamper(name: "rules of the other backend", table: "others") { host, _ in
      let other = host.backend == .nft ? Backend.legacy : .nft
      try SignedBundles.call("/usr/sbin/xtables-\(other.name)-multi", "iptables -A INPUT -s 203.0.113.9 -j DROP")
    },
    Tamper(name: "an nft table that drops", table: "others") { host, _ in
      try nft("add table inet guard; add chain inet guard in { type filter hook input priority -10; policy drop; }")
    },
    Tamper(name: "a chain that hides in a table of iptables' own", backends: [.nft], table: "others") { _, _ in
      try nft("add chain ip filter early { type filter hook input priority -10; policy drop; }")
    },
    Tamper(name: "a rule that looks up a set and is printed without", backends: [.nft], table: "kernel") {
      host, chain in
      try nft("add set ip filter s { type ipv4_addr; }")
      try nft(
        "replace rule ip filter \(chain) handle \(host.handle(of: "22", chain)) ip saddr @s tcp dport 22 accept"
      )
    },
    Tamper(name: "a rule of two ports that is printed with one", backends: [.nft], table: "kernel") { host, chain in
      try nft(
        "replace rule ip filter \(chain) handle \(host.handle(of: "22", chain)) tcp dport 23 tcp dport 22 accept"
      )
    },
    Tamper(name: "a rule that is not printed at all", backends: [.nft], table: "kernel") { _, chain in
      try nft("insert rule ip filter \(chain) meta skuid 0 accept")
    },
    Tamper(name: "a hook with a condition that is not printed", backends: [.nft], modes: [.owned], table: "kernel") {
      host, chain in
      try nft("add set ip filter s { type ipv4_addr; }")
      let handle = try host.handle(of: "jump \(chain)", "INPUT")
      try nft("replace rule ip filter INPUT handle \(handle) ip saddr @s jump \(chain)")
    },
    Tamper(name: "an accept above the hook that is not printed", backends: [.nft], modes: [.owned], table: "kernel") {
      _, _ in
      try nft("insert rule ip filter INPUT meta skuid 0 accept")
    },
    Tamper(name: "a map of verdicts above the hook", backends: [.nft], modes: [.owned], table: "kernel") { _, _ in
      try nft("add map ip filter m { type inet_service : verdict; elements = { 8081 : accept } }")
      try nft("insert rule ip filter INPUT tcp dport vmap @m")
    },
    Tamper(name: "a table switched off", backends: [.nft], table: "kernel") { _, _ in
      try nft("add table ip filter { flags dormant; }")
    },
    Tamper(name: "a plain file edited", table: "disk") { host, _ in
      try LinuxDisk("\(host.root)/state").append("rules/ipv4.rules", Array("#\n".utf8))
    },
    Tamper(name: "a file of the stored bundle edited", table: "disk") { host, _ in
      let state = try LinuxDisk("\(host.root)/state")
      let bundle = try #require(try state.list("bundles").first)
      try LinuxDisk("\(host.root)/state/bundles/\(bundle)").append("ipv4.rules", Array("#\n".utf8))
    },
    Tamper(name: "another signer trusted", table: "disk") { host, _ in
      try LinuxDisk("\(host.root)/etc/portcullis").append("allowed_signers", Array("#\n".utf8))
    },
    Tamper(name: "another agent", table: "disk") { host, _ in try host.edit(RealHost.agent) },
    Tamper(name: "another key that may log in", table: "disk") { host, _ in try host.edit(RealHost.authorizedKeys) },
    Tamper(name: "a unit edited", table: "disk") { host, _ in try host.edit(RealHost.unit) },
    Tamper(name: "a unit that is not started any more", table: "disk") { host, _ in
      _ = try SignedBundles.run("/usr/bin/ln", ["-sf", "/dev/null", "\(host.root)/\(RealHost.unit)"])
    },
    Tamper(name: "a drop-in", table: "disk") { host, _ in
      let directory = "\(host.root)/\(RealHost.unit).d"
      try LinuxDisk.makePath(directory)
      try LinuxDisk(directory).create("override.conf", Array("[Service]\nExecStart=\n".utf8))
    },
  ]

  @Test(arguments: all.indices) func `it is drift, at its place`(index: Int) throws {
    let tamper = Self.all[index]
    for (backend, mode) in tamper.backends.flatMap({ backend in tamper.modes.map { (backend, $0) } }) {
      try onRealHost(backend) { host in
        let agent = try host.enrolledAgent()
        let bundle = try Self.bundle(mode)
        let outcome = try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest)
        #expect(outcome.result == .committed, "\(outcome.detail)")
        #expect(try agent.drift() == [], "\(tamper.name) \(backend) \(mode)")
        try tamper.deed(host, mode == .owned ? "PCL-INPUT" : "INPUT")
        let drift = try agent.drift()
        #expect(drift.contains(tamper.table), "\(tamper.name) \(backend) \(mode): \(drift)")
      }
    }
  }

  /// They are about other people's things, files of enrolment, or a state that no restore changes.
  private static let stays = [
    "rules of the other backend", "an nft table that drops", "a chain that hides in a table of iptables' own",
    "another signer trusted", "another agent", "another key that may log in", "a unit edited",
    "a unit that is not started any more", "a drop-in", "a table switched off",
    "an accept above the hook that is not printed",
    "a map of verdicts above the hook",
    // Nobody can then read what is there, or put it back, so nothing is changed.
    "a rule that is not printed at all", "a built-in chain hung elsewhere",
  ]

  @Test(arguments: all.indices.filter { !stays.contains(all[$0].name) }) func `the same release takes it back`(
    index: Int
  )
    throws
  {
    let tamper = Self.all[index]
    for (backend, mode) in tamper.backends.flatMap({ backend in tamper.modes.map { (backend, $0) } }) {
      try onRealHost(backend) { host in
        let agent = try host.enrolledAgent()
        let bundle = try Self.bundle(mode)
        _ = try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest)
        try tamper.deed(host, mode == .owned ? "PCL-INPUT" : "INPUT")
        let again = try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest)
        #expect(again.result == .committed, "\(tamper.name) \(backend) \(mode): \(again.detail)")
        #expect(try agent.drift() == [], "\(tamper.name) \(backend) \(mode)")
      }
    }
  }

  // MARK: - Parts

  static let friends = Result {
    try AddressSet(family: .ipv4, prefixes: ["192.0.2.0/24", "198.51.100.7"].compactMap { AddressPrefix($0) })
  }

  static func bundle(_ mode: Manifest.Mode) throws -> (files: [BundleFile: [UInt8]], manifest: Digest) {
    let set = try friends.get()
    let head = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n"
    let ipv4 = """
      \(head)-A INPUT -m set --match-set \(set.name) src -j ACCEPT
      -A INPUT -p tcp -m tcp --dport 80 -m comment --comment site -j ACCEPT
      -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
      COMMIT

      """
    return try SignedBundles.bundle(
      serial: 1, ipv4: ipv4, ipv6: "\(head)COMMIT\n", mode: mode, sets: try SetsFile([set], observing: []).encode(),
      sysctl: try SysctlFile([SysctlKey("net.ipv4.conf.all.rp_filter")!: 1]).encode())
  }

  static func nft(_ script: String) throws {
    _ = try SignedBundles.run("/usr/sbin/nft", ["-f", "-"], input: Array((script + "\n").utf8))
  }

}

extension SignedBundles {
  @discardableResult static func call(_ path: String, _ words: String) throws -> String {
    String(decoding: try run(path, words.split(separator: " ").map(String.init)), as: UTF8.self)
  }
}

extension RealHost {
  func iptables(_ words: String) throws { try SignedBundles.call("\(programs)/iptables", words) }

  /// Of the first rule that nft prints with these words.
  func handle(of words: String, _ chain: String) throws -> String {
    let printed = try SignedBundles.run("/usr/sbin/nft", ["-a", "list", "chain", "ip", "filter", chain])
    let lines = String(decoding: printed, as: UTF8.self).split(separator: "\n")
    let line = lines.first { $0.contains(words) && $0.contains("# handle") && !$0.contains("chain ") }
    guard let handle = line?.split(separator: " ").last else { throw Reason("no rule '\(words)' in \(chain)") }
    return String(handle)
  }

  static let agent = "usr/local/lib/portcullis/portcullis-agent"
  static let authorizedKeys = "var/lib/portcullis/login/.ssh/authorized_keys"
  static let unit = "etc/systemd/system/portcullis-agent.service"

  /// As after an enrolment.
  func enrolledAgent() throws -> HostAgent {
    for path in [Self.agent, Self.authorizedKeys, Self.unit] {
      let (directory, name) = self.place(of: path)
      try LinuxDisk.makePath(directory)
      try LinuxDisk(directory).create(name, Array("what enrolment wrote\n".utf8))
    }
    let paths = ["etc/portcullis/host", "etc/portcullis/allowed_signers", Self.agent, Self.authorizedKeys, Self.unit]
    let files = try paths.map { path in
      let (directory, name) = self.place(of: path)
      return (path: path, content: try LinuxDisk(directory).read(name, atMost: 1 << 20) ?? [])
    }
    try LinuxDisk("\(root)/state").create(EnrolledFiles.fileName, EnrolledFiles(files).encode())
    return try agent()
  }

  func edit(_ path: String) throws {
    let (directory, name) = place(of: path)
    try LinuxDisk(directory).append(name, Array("#\n".utf8))
  }

  private func place(of path: String) -> (directory: String, name: String) {
    let parts = path.split(separator: "/").map(String.init)
    return ("\(root)/\(parts.dropLast().joined(separator: "/"))", parts.last ?? "")
  }
}

extension HostAgent {
  /// The tables in which the host differs from what it committed, as the texts say; checks that the digests say so too.
  func drift() throws -> [String] {
    let report = try report(.random(), managementSource: "")
    var tables: Set<String> = []
    for family in Family.allCases {
      let sides = try [TextRequest.Side.expected, .observed].map { side in
        try Ruleset.parse(save: try text(TextRequest(family: family, side: side)), file: "text")
      }
      let facts = report.families[family]
      guard facts.observed == sides[1].digest,
        (facts.expected == facts.observed) == (sides[0].digest == sides[1].digest)
      else { throw Reason("the texts of \(family) are not those of its digests") }
      let names = Set(sides.flatMap { $0.ordered().tableNames })
      tables.formUnion(names.filter { sides[0].ordered()[table: $0] != sides[1].ordered()[table: $0] })
    }
    return tables.sorted()
  }
}
