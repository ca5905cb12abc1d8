import AgentTestSupport
import Apply
import Core
import Glibc
import Release
import Testing
import Wire

@testable import Netfilter

/// What filters packets where iptables' programs do not look, or look past it, on real kernels.
@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct HiddenFilterTests {
  struct Deed: Sendable, CustomTestStringConvertible {
    let name: String
    let backend: Backend
    var deniesForeign = false
    var before: @Sendable (RealHost) throws -> Void = { _ in }
    let deed: @Sendable (RealHost) throws -> Void
    var table = "others"
    var testDescription: String { name }
  }

  private static func nft(_ script: String) throws { try TamperTests.nft(script) }

  private static func other(_ host: RealHost, _ words: String) throws {
    let other = host.backend == .nft ? Backend.legacy : .nft
    try SignedBundles.call("/usr/sbin/xtables-\(other.name)-multi", words)
  }

  static let deeds: [Deed] = [
    Deed(name: "a default that drops, in nft's mangle", backend: .legacy) { _ in
      try nft("table ip mangle { chain FORWARD { type filter hook forward priority mangle; policy drop; }; }")
    },
    Deed(name: "a chain out of its place, in nft's filter", backend: .legacy) { _ in
      try nft("table ip filter { chain INPUT { type filter hook input priority -10; tcp dport 80 drop; }; }")
    },
    Deed(name: "a rule that is not printed, in nft's filter", backend: .legacy) { _ in
      try nft("table ip filter { chain INPUT { type filter hook input priority 0; meta skuid 7 drop; }; }")
    },
    Deed(
      name: "other ports, in nft's filter", backend: .legacy,
      before: { _ in
        try nft("table ip filter { chain INPUT { type filter hook input priority 0; tcp dport { 81, 82 } drop; }; }")
      },
      deed: { _ in
        try nft(
          "flush chain ip filter INPUT; add rule ip filter INPUT tcp dport { 81, 83 } drop")
      }),
    Deed(name: "a default that drops, in the other backend", backend: .nft) {
      try other($0, "iptables -P FORWARD DROP")
    },
    Deed(name: "a default that drops, in the other backend's IPv6", backend: .nft) {
      try other($0, "ip6tables -P OUTPUT DROP")
    },
    Deed(name: "a default that drops, in a table beside ours", backend: .nft, deniesForeign: true) {
      try $0.iptables("-t mangle -P FORWARD DROP")
    },
    Deed(name: "a default that drops, in legacy's table beside ours", backend: .legacy, deniesForeign: true) {
      try $0.iptables("-t raw -P OUTPUT DROP")
    },
    Deed(
      name: "ports of others that are not printed", backend: .nft, deniesForeign: true,
      before: { host in
        try host.iptables("-t mangle -P FORWARD ACCEPT")
        try nft("add rule ip mangle FORWARD tcp dport { 1000, 2000 } drop")
      },
      deed: { _ in
        try nft("flush chain ip mangle FORWARD; add rule ip mangle FORWARD tcp dport { 1000, 2001 } drop")
      }),
    Deed(
      name: "legacy tables that no program prints", backend: .nft,
      before: { host in
        for family in ["iptables", "ip6tables"] { unlink("\(host.programs)/\(family)-legacy-save") }
      },
      deed: { try other($0, "iptables -A INPUT -s 203.0.113.9 -j DROP") }),
    Deed(
      name: "a filter of others that is gone", backend: .nft,
      before: { _ in
        try nft("table inet mine { chain in { type filter hook input priority -10; tcp dport 81 drop; }; }")
      },
      deed: { _ in try nft("delete table inet mine") }),
    Deed(
      name: "a filter of others that is switched off", backend: .legacy,
      before: { _ in
        try nft("table inet mine { chain in { type filter hook input priority -10; tcp dport 81 drop; }; }")
      },
      deed: { _ in try nft("add table inet mine { flags dormant; }") }),
    Deed(
      name: "a verdict for another port", backend: .nft,
      before: { _ in
        try nft(
          """
          table inet mine {
            map ports { type inet_service : verdict; elements = { 81 : drop } }
            chain in { type filter hook input priority -10; tcp dport vmap @ports; }
          }
          """)
      },
      deed: { _ in try nft("add element inet mine ports { 82 : drop }") }),
  ]

  @Test(arguments: deeds.indices) func `it is drift, and none when it is undone`(index: Int) throws {
    let deed = Self.deeds[index]
    try onRealHost(deed.backend) { host in
      try deed.before(host)
      let agent = try host.enrolledAgent()
      let bundle = try Self.bundle(deniesForeign: deed.deniesForeign)
      #expect(try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest).result == .committed)
      #expect(try agent.drift() == [], "\(deed.name)")
      try deed.deed(host)
      #expect(try agent.drift() == [deed.table], "\(deed.name)")
    }
  }

  /// The kernel obeys the first verdict, iptables-save prints the last.
  @Test func `a rule that accepts and is printed as one that drops is drift`() throws {
    try onRealHost(.nft) { host in
      let agent = try host.enrolledAgent()
      let bundle = try Self.bundle()
      #expect(try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest).result == .committed)
      try RawRules.insert(verdicts: [RawRules.accept, RawRules.drop], into: "INPUT")
      let printed = try host.run("iptables-save")
      #expect(printed.contains("-A INPUT -j DROP") && !printed.contains("-A INPUT -j ACCEPT"))
      #expect(try agent.drift() == ["kernel"])
    }
  }

  @Test(arguments: [
    ([RawRules.accept, RawRules.drop], true), ([RawRules.drop, RawRules.accept], false),
    // NFT_CONTINUE, after which the same rule goes on, and NFT_BREAK, after which it does not.
    ([UInt32.max, RawRules.accept], true), ([UInt32.max - 1, RawRules.accept], false),
  ]) func `of several verdicts the first counts`(verdicts: [UInt32], mayPass: Bool) throws {
    try inNamespace {
      try Self.nft("table ip filter { chain INPUT { type filter hook input priority 0; }; }")
      try RawRules.insert(verdicts: verdicts, into: "INPUT")
      let chain = try #require(try NftablesReader().read()?.tables[0].chains.first)
      #expect(chain.notable.count == 1 && chain.notable[0].isNative)
      #expect(chain.notable[0].mayPass == mayPass)
    }
  }

  @Test func `rules that nft prints the same are the same, whatever the kernel calls their sets`() throws {
    try onRealHost(.nft) { host in
      try Self.nft(
        "table inet mine { chain in { type filter hook input priority -10; tcp dport { 9022, 9080 } drop; }; }")
      let agent = try host.enrolledAgent()
      let bundle = try Self.bundle()
      #expect(try agent.applyAndConfirm(bundle.files, .random(), bundle.manifest).result == .committed)
      // While the old set is there, so that the new one gets another name.
      try Self.nft("add rule inet mine in tcp dport { 9080, 9022 } drop")
      let listed = try SignedBundles.run("/usr/sbin/nft", ["-a", "list", "chain", "inet", "mine", "in"])
      let rule = String(decoding: listed, as: UTF8.self).split(separator: "\n").first { $0.contains("dport") }
      let handle = try #require(rule?.split(separator: " ").last)
      try Self.nft("delete rule inet mine in handle \(handle)")
      #expect(try agent.drift() == [])
      try Self.nft("add rule inet mine in tcp dport { 9022, 9081 } drop")
      #expect(try agent.drift() == ["others"])
    }
  }

  static func bundle(deniesForeign: Bool = false) throws -> (files: [BundleFile: [UInt8]], manifest: Digest) {
    let head = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n"
    return try SignedBundles.bundle(
      serial: 1, ipv4: "\(head)COMMIT\n", ipv6: "\(head)COMMIT\n", mode: .owned, deniesForeign: deniesForeign)
  }
}
