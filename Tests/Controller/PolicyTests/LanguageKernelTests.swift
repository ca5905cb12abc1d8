import Core
import Foundation
import Glibc
import Ruleset
import TestSupport
import Testing

@testable import Inventory
@testable import Policy

@Suite("Random policies in the kernel", .enabled(if: geteuid() == 0, "needs root, for network namespaces"))
struct LanguageKernelTests {
  private static let isMeasuring = ProcessInfo.processInfo.environment["PORTCULLIS_FIGURES"] != nil

  @Test("What a policy becomes is what the kernel prints afterwards, in both families and on both backends")
  func sameAsPrinted() throws {
    var random = PolicyRandom(random: .fresh())
    var policies: [(text: String, policy: CompiledPolicy)] = []
    var refused: [String] = []
    let count = Self.isMeasuring ? 1500 : 60
    while policies.count < count, refused.count < count {
      let text = random.policy()
      do {
        policies.append((text, try Self.compiled(text)))
      } catch let error as Diagnostics {
        refused.append("\(error.all[0])")
      }
    }
    // Nearly all are valid; the rest asks for what has no address of any family.
    #expect(refused.count * 5 < count, "\(refused.prefix(5))")
    #expect(
      refused.allSatisfy {
        $0.contains("would become no rule") || $0.contains("4096 allowed") || $0.contains("only TCP")
          || $0.contains("attached to nothing")
      }, "\(refused.prefix(5))")
    var rules = 0
    for backend in ["nft", "legacy"] {
      for family in Family.allCases { rules += try Self.expectSame(policies, family, backend) }
    }
    print("\(policies.count) policies, \(rules) rules loaded and printed alike; \(refused.count) refused")
  }

  private static func compiled(_ text: String) throws -> CompiledPolicy {
    let folder = try PolicyFolder()
    try folder.write("p.yaml", text)
    try folder.write("common.yaml", languageCommon)
    try folder.write("dns.lock", "db.example.net 203.0.113.50 2001:db8:50::1\n")
    return try folder.compiled(for: languageInventory, controllers: ["203.0.113.1", "2001:db8:ff::1"])
  }

  /// All in one namespace, one after another.
  private static func expectSame(
    _ policies: [(text: String, policy: CompiledPolicy)], _ family: Family, _ backend: String
  ) throws -> Int {
    let folder = try PolicyFolder()
    for (index, (_, policy)) in policies.enumerated() {
      try folder.write("\(index).rules", String(decoding: policy.rules[family], as: UTF8.self))
    }
    let clear = Ruleset.clearing(tables: ["filter", "nat", "mangle", "raw"])
    try folder.write("clear", String(decoding: clear, as: UTF8.self))
    let inet = family == .ipv4 ? "inet" : "inet6"
    let sets = Set(policies.flatMap { $0.policy.addressSets }.filter { $0.family == family }.map(\.name))
    try folder.write(
      "sets",
      sets.sorted().map { "create \($0) hash:net family \(inet)\n" }.joined()
        + "create \(ObservingRules.setName(family)) hash:ip,port family \(inet) counters\n")
    let program = "/usr/sbin/\(family == .ipv4 ? "iptables" : "ip6tables")-\(backend)"
    let script = """
      cd \(folder.path); /usr/sbin/ipset restore <sets || exit 1; i=0
      while [ $i -lt \(policies.count) ]; do
        \(program)-restore <clear; \(program)-restore <$i.rules 2>$i.errors; \(program)-save >$i.save; i=$((i+1))
      done
      """
    let ran = try ScratchNamespace().run(inside: "/bin/sh", ["-c", script])
    #expect(ran.status == 0, "\(ran.errors)")
    var rules = 0
    var failures = 0
    for (index, (text, policy)) in policies.enumerated() where failures < 3 {
      func read(_ name: String) throws -> String {
        try String(contentsOfFile: "\(folder.path)/\(index).\(name)", encoding: .utf8)
      }
      let errors = try read("errors")
      let loaded = try Ruleset.parse(save: Array(numbered(read("save")).utf8), file: "save")
      let wanted = try Ruleset.parse(policy: policy.rules[family], file: "bundle", family: family)
      let difference = RulesetDiff.unified(from: wanted, to: loaded, context: 0)
      #expect(
        errors.isEmpty,
        "\(family) \(backend): \(errors)\n\(text)\n\(String(decoding: policy.rules[family], as: UTF8.self))")
      #expect(loaded.canonical() == wanted.canonical(), "\(family) \(backend): \(difference.lines)\n\(text)")
      if !errors.isEmpty || loaded.canonical() != wanted.canonical() { failures += 1 }
      rules += loaded.ruleCount
    }
    return rules
  }

  /// Rules carry numbers, because a host may have no /etc/protocols; this one has.
  private static func numbered(_ save: String) -> String {
    save.replacing(#/ -p ([a-z0-9-]+)/#) { match in
      let number = getprotobyname(String(match.1)).flatMap { UInt8(exactly: $0.pointee.p_proto) }
      return " -p \(number.map(ProtocolNames.spelling) ?? String(match.1))"
    }
  }
}
