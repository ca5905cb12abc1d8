import AgentTestSupport
import Apply
import Core
import Ruleset
import Testing
import Wire

@testable import Netfilter

/// Lockdowns in a scratch stack: really loaded, and knocked at from outside.
@Suite(.enabled(if: isRoot, "needs root, for network namespaces")) struct LayerRehearsalTests {
  private static let nonSYN =
    "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP"

  /// Management may come in at this port, whoever it is.
  private static func layer(port: UInt16, _ more: String...) throws -> LayerRehearsal {
    let chains = [
      ("INPUT", ["-i lo -j RETURN", "-p tcp -m tcp --dport \(port) -j RETURN"] + more), ("FORWARD", []),
      (
        "OUTPUT",
        ["-o lo -j RETURN", "-p tcp -m tcp --sport \(port) ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN"]
          + more.map { $0.replacing("--dport", with: "--sport") }
      ),
    ]
    let text =
      "*mangle\n" + chains.map { ":\($0.0) ACCEPT [0:0]\n" }.joined()
      + chains.flatMap { name, rules in (rules + [nonSYN, "-j DROP"]).map { "-A \(name) \($0)\n" } }.joined()
      + "COMMIT\n"
    return LayerRehearsal(
      texts: try PerFamily { try LockLayer(parsing: Array(text.utf8), $0).first },
      outsiders: ["198.51.100.66", "2001:db8:66::66"].map { .init(source: $0, ports: [80, 9]) })
  }

  private static let open = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"

  private func rehearse(
    _ host: RealHost, _ rules: String, _ layers: [LayerRehearsal], live: PerFamily<[UInt8]>? = nil
  ) throws -> Rehearsed {
    try host.firewall().rehearse(
      Rehearsal(live: live, texts: PerFamily(rules, rules), knock: KnockTests.near, layers: layers))
  }

  @Test(arguments: Backend.allCases) func `each is tried by itself: who may come in does, and strangers hear nothing`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      try KnockTests.wire()
      let layers = [
        try Self.layer(port: 22), try Self.layer(port: 2222),
        try Self.layer(port: 22, "-p tcp -m tcp --dport 80 -j RETURN"),
        LayerRehearsal(texts: PerFamily { _ in Array("*mangle\n-A INPUT -j NOSUCH\nCOMMIT\n".utf8) }),
        try Self.layer(port: 22),
      ]
      let rehearsed = try rehearse(host, Self.open, layers)
      #expect(rehearsed.knock == .passed)
      guard case .loaded(let first) = rehearsed.layers[0], case .loaded(let shut) = rehearsed.layers[1],
        case .loaded(let hole) = rehearsed.layers[2], case .refused(let words) = rehearsed.layers[3]
      else {
        Issue.record("\(rehearsed.layers)")
        return
      }
      #expect(first.knock == .passed && first.answered.isEmpty)
      #expect(
        shut.knock
          == .shut(
            zip(KnockTests.near, Family.allCases).map { path, family in
              ShutPath(
                family: family, source: path.source, port: 22, culprit: "-t mangle -A PCLLOCK-INPUT -j DROP")
            }))
      #expect(shut.answered.isEmpty && hole.knock == .passed && hole.answered == [80, 80])
      #expect(words.contains("NOSUCH"))
      // What one left behind, and what failed, is not there for the next.
      #expect(rehearsed.layers[4] == rehearsed.layers[0])
      // What is printed is the layer alone, and of no other than this one.
      for family in Family.allCases {
        let printed = try Ruleset.parse(save: first.printed[family], file: "printed")
        let text = layers[0].texts[family]
        try host.firewall().load(RestoreText(text, keepsOthers: true), into: family, within: .seconds(10))
        let kernel = try Ruleset.parse(save: host.firewall().save(family), file: "kernel")
        #expect(LockLayer.split(kernel).layer.digest == printed.digest, "\(family)")
      }
      // Nor is the layer that the host is under in the way.
      let live = try PerFamily { try host.firewall().save($0) }
      let again = try rehearse(host, "", [layers[2]], live: live)
      #expect(again.withoutLive == nil && again.layers == [rehearsed.layers[2]])
    }
  }

  @Test(arguments: Backend.allCases) func `a host that cannot load one is not kept from its rules`(
    backend: Backend
  ) throws {
    try onRealHost(backend) { host in
      try KnockTests.wire()
      let broken = LayerRehearsal(
        texts: PerFamily { _ in Array("*mangle\n-A INPUT -m nosuchmatch -j DROP\nCOMMIT\n".utf8) })
      let rehearsed = try rehearse(host, Self.open, [broken])
      guard case .refused? = rehearsed.layers.first, rehearsed.layers.count == 1 else {
        Issue.record("\(rehearsed.layers)")
        return
      }
      #expect(rehearsed.knock == .passed && !rehearsed.saved.ipv4.isEmpty)
      // Nobody asked for a knock: the layers are loaded all the same.
      let unknocked = try host.firewall().rehearse(
        Rehearsal(texts: PerFamily(Self.open, Self.open), layers: [try Self.layer(port: 22)]))
      guard case .loaded(let layer)? = unknocked.layers.first else {
        Issue.record("\(unknocked.layers)")
        return
      }
      #expect(layer.knock == nil && layer.answered.isEmpty && !layer.printed.ipv6.isEmpty)
    }
  }
}
