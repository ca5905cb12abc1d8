import Core
import Ruleset
import TestSupport
import Testing

/// What the host's own programs make of changes to our chains among other people's.
@Suite(
  "Owned chains in the real programs",
  .enabled(if: Programs.areUsable, "needs root, unshare, and the iptables programs of both backends"))
struct OwnedRealProgramTests {
  /// The kernel that holds `state`, after `texts` were loaded beside it.
  private func load(_ text: [UInt8], onto state: [UInt8], _ family: Family, _ backend: Programs.Backend) throws
    -> Ruleset
  {
    let script = """
      sed '/^#SPLIT$/,$d' "$IN" | $P-restore && sed '0,/^#SPLIT$/d' "$IN" | $P-restore --noflush && $P-save
      """
    let output = try Programs.run(script, family, backend, input: state + Array("#SPLIT\n".utf8) + text)
    try #require(
      output.status == 0 && output.errors.isEmpty,
      "\(family) \(backend): \(output.errors)\n\(shown(text))\nonto\n\(shown(state))")
    return try Ruleset.parse(save: output.text, file: "\(backend)")
  }

  private func shown(_ text: [UInt8]) -> String { String(decoding: text, as: UTF8.self) }

  /// Without our chains and hooks, and without policies.
  private func foreign(_ ruleset: Ruleset) -> String {
    var foreign = ruleset
    for table in foreign.tables.indices {
      foreign.tables[table].chains.removeAll { OwnedNames.isOurs($0.name) }
      for chain in foreign.tables[table].chains.indices {
        let isBuiltIn = foreign.tables[table].chains[chain].policy != nil
        foreign.tables[table].chains[chain].policy = isBuiltIn ? "ACCEPT" : nil
        foreign.tables[table].chains[chain].rules.removeAll { rule in
          OwnedNames.isOurs(shown(rule.text).split(separator: " ").last.map(String.init) ?? "")
        }
      }
    }
    return text(foreign)
  }

  private func sorted(_ text: String) -> [Substring] { text.split(separator: "\n").sorted() }

  @Test(
    "Beside random rules of other people, random policies come, change, are repaired and go without a trace",
    arguments: Family.allCases)
  func random(family: Family) throws {
    var source = OwnedRandom(random: .fresh(), family: family)
    for _ in 0..<10 {
      let before = source.foreign()
      let wanted = [try source.wanted(), try source.wanted()]
      let takesOver = source.random.below(2) == 0
      let accept = "-I INPUT 1 -p udp -m udp --dport \(source.random.below(999) + 1) -j ACCEPT\n"
      var digests: [[Digest]] = []
      for backend in Programs.Backend.allCases {
        digests.append(
          try lifetime(before, wanted, takesOver: takesOver, accept: accept, family, backend))
      }
      #expect(digests[0] == digests[1], "\(shown(before))")
    }
  }

  /// - Returns: digests that both backends must agree on.
  private func lifetime(
    _ before: [UInt8], _ wanted: [OwnedRules], takesOver: Bool, accept: String, _ family: Family,
    _ backend: Programs.Backend
  ) throws -> [Digest] {
    let found = try load([], onto: before, family, backend)
    var held = found
    var taken: [TakenRule] = []
    var digests: [Digest] = []
    for (step, rules) in wanted.enumerated() {
      let change = OwnedChange(.init(wanted: rules, saved: held, takesOver: takesOver && step == 0))
      let after = try load(change.text, onto: held.canonical(), family, backend)
      if change.taken.isEmpty {
        #expect(foreign(after) == foreign(held), "\(shown(change.text))")
      } else {
        #expect(sorted(foreign(after)) == sorted(foreign(held)), "\(shown(change.text))")
      }
      taken += change.taken
      // On a kernel with nothing else it looks the same.
      let view = OwnedView(rules, allowed: [])
      let alone = try load(
        OwnedChange(.init(wanted: rules, saved: Ruleset())).text, onto: [], family, backend)
      #expect(RulesetDiff.unified(from: view.own(alone), to: view.own(after)).text == "")
      #expect(view.own(alone).digest == view.own(after).digest)
      if change.findings.isEmpty { #expect(view.observed(after).digest == view.own(after).digest) }
      // Again: no hook is touched.
      let again = OwnedChange(.init(wanted: rules, saved: after))
      if change.findings.isEmpty { #expect(again.foreignLines == [], "\(shown(after.canonical()))") }
      let second = try load(again.text, onto: after.canonical(), family, backend)
      #expect(view.own(second).digest == view.own(after).digest)
      digests += [view.own(after).digest, view.observed(after).digest]
      held = second
    }
    try repair(held, wanted[1], accept: accept, family, backend)
    let policies = found.tables.reduce(into: [String: [String: String]]()) { policies, table in
      for chain in table.chains { policies[table.name, default: [:]][chain.name] = chain.policy }
    }
    var all = policies
    // A table that was not there had the kernel's own policies.
    for rules in wanted {
      for (table, chains) in rules.policies {
        for chain in chains.keys where all[table]?[chain] == nil { all[table, default: [:]][chain] = "ACCEPT" }
      }
    }
    let removal = OwnedChange(.init(wanted: .none, saved: held, givingBack: taken, policies: all))
    let gone = try load(removal.text, onto: held.canonical(), family, backend)
    #expect(RulesetDiff.unified(from: found, to: gone).text == "", "\(shown(removal.text))")
    #expect(OwnedView(.none, allowed: []).own(gone).canonical().isEmpty)
    return digests
  }

  /// Somebody accepts above our hook; we put the hook back above it.
  private func repair(
    _ held: Ruleset, _ rules: OwnedRules, accept: String, _ family: Family, _ backend: Programs.Backend
  ) throws {
    let opened = try load(Array("*filter\n\(accept)COMMIT\n".utf8), onto: held.canonical(), family, backend)
    let view = OwnedView(rules, allowed: [])
    guard view.observed(opened).digest != view.observed(held).digest else { return }
    let repaired = try load(
      OwnedChange(.init(wanted: rules, saved: opened)).text, onto: opened.canonical(), family, backend)
    #expect(view.observed(repaired).digest == view.own(held).digest)
    #expect(foreign(repaired) == foreign(opened))
  }

  @Test(
    "Every character that a policy's chains may have is taken by every program",
    arguments: Family.allCases, Programs.Backend.allCases)
  func names(family: Family, backend: Programs.Backend) throws {
    let names = [
      "a_-.:+@/=b", "ABCDEFGHIJKLMNOPQRSTUVWX", "a-name-of-just-28-bytes-long", "another~".replacing("~", with: "="),
    ]
    var text = "*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT ACCEPT\n"
    for name in names { text += ":\(name) -\n" }
    for name in names { text += "-A INPUT -p tcp -j \(name)\n-A INPUT -g \(name)\n-A \(name) -j DROP\n" }
    let rules = OwnedRules(try policy(text + "COMMIT\n", family), forwardsForeign: false)
    let change = OwnedChange(.init(wanted: rules, saved: Ruleset()))
    let loaded = try load(change.text, onto: [], family, backend)
    #expect(OwnedChange(.init(wanted: rules, saved: loaded)).lines == [])
    let removal = OwnedChange(
      .init(wanted: .none, saved: loaded, policies: ["filter": ["INPUT": "ACCEPT", "FORWARD": "ACCEPT"]]))
    #expect(try load(removal.text, onto: loaded.canonical(), family, backend).canonical().isEmpty)
  }

  @Test(
    "A leftover accept below our hook opens nothing, however a packet leaves the policy's chain",
    arguments: ["DROP", "DROP -p udp -j RETURN", "DROP -p udp -g web", "ACCEPT"], Programs.Backend.allCases)
  func leftover(input: String, backend: Programs.Backend) throws {
    for family in Family.allCases {
      let words = input.split(separator: " ", maxSplits: 1)
      let rule = words.count > 1 ? "-A INPUT \(words[1])\n" : ""
      let text = "*filter\n:INPUT \(words[0])\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:web -\n\(rule)COMMIT\n"
      let before = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p udp -j ACCEPT\nCOMMIT\n"
      let change = OwnedChange(
        .init(
          wanted: OwnedRules(try policy(text, family), forwardsForeign: false), saved: try save(before)))
      let address = family == .ipv4 ? "127.0.0.1" : "::1"
      let script = """
        sed '/^#SPLIT$/,$d' "$IN" | $P-restore && sed '0,/^#SPLIT$/d' "$IN" | $P-restore --noflush &&
        ip link set lo up && { bash -c 'echo x >/dev/udp/\(address)/9'; $P-save -c; }
        """
      let output = try Programs.run(
        script, family, backend, input: Array((before + "#SPLIT\n").utf8) + change.text)
      #expect(output.status == 0, "\(output.errors)")
      let counted = shown(output.text).split(separator: "\n").first { $0.hasSuffix("-A INPUT -p udp -j ACCEPT") }
      let isOpen = try !#require(counted).hasPrefix("[0:0]")
      #expect(isOpen == (input == "ACCEPT"), "\(family) \(shown(output.text))")
    }
  }
}
