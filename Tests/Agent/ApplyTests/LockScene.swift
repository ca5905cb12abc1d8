import AgentTestSupport
import Core
import Release
import Ruleset
import Testing
import Wire

@testable import Apply

/// A host with lockdown profiles staged, and the people who may order.
final class LockScene {
  static let nonSYN =
    "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP"

  /// By name, in the order of a manifest.
  static let ranks: [(name: String, rank: UInt16)] = [
    ("isolate", 30), ("no-egress", 10), ("no-ingress", 20), ("storage", 30),
  ]
  /// The chain that a profile leaves open.
  static let open = ["no-egress": "INPUT", "no-ingress": "OUTPUT"]

  static func rules(_ name: String, _ family: Family) -> [UInt8] {
    let source = family == .ipv4 ? "192.0.2.7/32" : "2001:db8::7/128"
    let kept = name == "storage" ? ["-p tcp -m tcp --dport 3260 -j RETURN"] : []
    let input = ["-i lo -j RETURN", "-s \(source) -p tcp -m tcp --dport 22 -j RETURN"] + kept
    let output = ["-o lo -j RETURN", "-d \(source) -p tcp -m tcp --sport 22 -j RETURN"]
    let chains = [("INPUT", input), ("FORWARD", []), ("OUTPUT", output)].map { chain, rules in
      (chain, rules + [nonSYN] + (open[name] == chain ? [] : ["-j DROP"]))
    }
    let lines =
      chains.map { ":\($0.0) ACCEPT [0:0]" } + chains.flatMap { name, rules in rules.map { "-A \(name) \($0)" } }
    return Array("*mangle\n\(lines.joined(separator: "\n"))\nCOMMIT\n".utf8)
  }

  typealias Bundle = Result<Samples.Bundle, any Error>

  static func bundle(
    _ serial: UInt64, ipv4: String = Samples.old4, ipv6: String = Samples.old6, mode: Manifest.Mode = .exclusive,
    grants: [Grant] = []
  ) -> Bundle {
    Result {
      try SignedBundles.bundle(
        serial: serial, ipv4: ipv4, ipv6: ipv6, mode: mode, grants: grants, labels: ["prod", "web"],
        profiles: mode == .withdrawn
          ? []
          : ranks.map { name, rank in
            (name, rank, PerFamily { String(decoding: rules(name, $0), as: UTF8.self) })
          })
    }
  }

  static let first = bundle(7)
  static let second = bundle(8, ipv4: Samples.new4, ipv6: Samples.new6)
  static let owned = bundle(9, ipv4: Modes.owned4, ipv6: Modes.owned6, mode: .owned)
  static let mangle4 = """
    *filter
    :INPUT DROP [0:0]
    -A INPUT -i lo -j ACCEPT
    COMMIT
    *mangle
    :INPUT ACCEPT [0:0]
    -A INPUT -p tcp -j MARK --set-xmark 0x1/0xffffffff
    COMMIT

    """
  /// Declares the table that lockdowns are in.
  static let mangling = bundle(10, ipv4: mangle4, ipv6: mangle4)
  static let manglingOwned = bundle(11, ipv4: mangle4, ipv6: mangle4, mode: .owned)

  let host: FakeHost
  var agent: HostAgent

  init(_ backend: Backend = .nft, applying bundles: [Bundle]) throws {
    host = try FakeHost()
    host.firewall.backend = backend
    try Self.trust(host)
    agent = try host.recoveredAgent()
    for bundle in bundles { try apply(bundle) }
    host.faults.restart()
  }

  /// With the first bundle, rehearsed once for all tests, and an agent that has just started.
  init(_ backend: Backend = .nft) throws {
    let images = backend == .nft ? Self.nft : Self.legacy
    host = try FakeHost(try images.get())
    agent = try host.recoveredAgent()
    host.faults.restart()
  }

  private static let nft = Result { try LockScene(.nft, applying: [first]).host.image() }
  private static let legacy = Result { try LockScene(.legacy, applying: [first]).host.image() }

  static func trust(_ host: FakeHost) throws {
    host.trust.tamper("allowed_signers", try SignedBundles.allowedSigners + SignedOrders.allowedSigners)
  }

  @discardableResult
  func apply(_ bundle: Bundle) throws -> Outcome { try host.apply(agent, bundle) }

  func profilePath(_ index: Int = 0, _ family: Family = .ipv4) throws -> String {
    let name = try #require(try host.ledger().committed?.name)
    return "bundles/\(name)/lockdown.\(index).\(family).rules"
  }

  /// Of the bundle that the lock in force is from.
  func lockedProfilePath() throws -> String {
    let lock = try #require(try host.ledger().lock)
    return BundleStore.profilePath(lock.index, .ipv4, of: lock.bundle)
  }

  // MARK: Orders

  @discardableResult
  func lock(
    _ epoch: UInt64, _ profile: String = "isolate", scope: LockScope? = nil, isDrill: Bool = false,
    liftsAfter: UInt32? = nil
  ) throws -> Obeyed {
    try agent.obey(
      try SignedOrders.lockdown(
        SignedOrders.terms(epoch, scope: scope), profile: profile, isDrill: isDrill, liftsAfter: liftsAfter),
      from: host.connection())
  }

  @discardableResult
  func unlock(_ epoch: UInt64, scope: LockScope? = nil) throws -> Obeyed {
    try agent.obey(try SignedOrders.unlock(SignedOrders.terms(epoch, scope: scope)), from: host.connection())
  }

  // MARK: What there is

  static func layer(_ profile: String, _ family: Family) throws -> LockLayer {
    try LockLayer(
      try Ruleset.parse(policy: rules(profile, family), file: profile, family: family), family)
  }

  func kernel(_ family: Family) -> Ruleset {
    Ruleset(tables: host.firewall.kernel[family].values.sorted { $0.name < $1.name })
  }

  /// The rules beneath.
  var beneath: PerFamily<String> {
    PerFamily { family in String(decoding: LockLayer.split(kernel(family)).beneath.canonical(), as: UTF8.self) }
  }

  /// Canonical, of what is hooked; empty where there is nothing.
  var layer: PerFamily<String> {
    PerFamily { family in String(decoding: LockLayer.split(kernel(family)).layer.canonical(), as: UTF8.self) }
  }

  func holds(_ profile: String) throws -> Bool {
    try Family.allCases.allSatisfy { family in
      let wanted = Ruleset(tables: [try Self.layer(profile, family).table(in: nil)])
      return LockLayer.split(kernel(family)).layer.digest == LockLayer.split(wanted).layer.digest
    }
  }

  /// Whichever profile it is, nothing of it is missing, and both families have the same.
  var isOpen: Bool { layer.ipv4.isEmpty && layer.ipv6.isEmpty }

  var holdsBuiltIn: Bool {
    Family.allCases.allSatisfy { family in
      let rules = BuiltInIsolate.ruleset(family, sources: ["192.0.2.7"], sshPorts: [22])
      guard let layer = try? LockLayer(rules, family) else { return false }
      return LockLayer.split(kernel(family)).layer.digest
        == LockLayer.split(Ruleset(tables: [layer.table(in: nil)])).layer.digest
    }
  }

  /// Somebody takes the layer out, and nothing else.
  func strip(_ family: Family) {
    guard var table = host.firewall.kernel[family]["mangle"] else { return }
    table.chains.removeAll { LockLayer.isOfLayer($0.name) }
    for index in table.chains.indices {
      table.chains[index].rules.removeAll { String(decoding: $0.bytes, as: UTF8.self).contains("-j PCLLOCK-") }
    }
    host.firewall.kernel[family]["mangle"] = table
  }

  /// Somebody puts another rule in the place of one.
  func replace(_ old: String, by new: String, _ family: Family) {
    guard var table = host.firewall.kernel[family]["mangle"] else { return }
    for chain in table.chains.indices {
      for rule in table.chains[chain].rules.indices
      where String(decoding: table.chains[chain].rules[rule].bytes, as: UTF8.self) == old {
        table.chains[chain].rules[rule] = Rule(text: Array(new.utf8))
      }
    }
    host.firewall.kernel[family]["mangle"] = table
  }

  func restart() throws { agent = try host.recoveredAgent() }

  /// The machine starts anew: rules first, then the daemon.
  func reboot() throws {
    host.cutPower()
    _ = try host.agent().restore()
    try restart()
  }

  /// Everything that may not change when nothing is done.
  var journal: [UInt8] { (try? host.disk.read("journal", atMost: 1 << 24)) ?? [] }
}
