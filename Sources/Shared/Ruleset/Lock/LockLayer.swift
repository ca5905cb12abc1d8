package import Core

/// A lockdown of one family as it stands in the kernel: three chains of table mangle, called first from INPUT, FORWARD
/// and OUTPUT, that only let packets go on (`RETURN`) or drop them.
///
/// Mangle is asked before filter, so that whatever the release or others do there, a packet must pass both; and who
/// flushes filter, or puts a jump first there, lifts nothing. Each text is one transaction of the kernel, for a restore
/// program with `--noflush`: nothing beneath is touched, and the chains are never open in between.
package struct LockLayer: Hashable, Sendable {
  package static let table = "mangle"
  /// In the order of their declaration.
  package static let hooked = ["INPUT", "FORWARD", "OUTPUT"]
  static let prefix = "PCLLOCK-"
  private static let names = Set(hooked.map { prefix + $0 })

  package static func isOfLayer(_ chain: String) -> Bool { names.contains(chain) }

  package struct Refused: Error, Hashable, Sendable, CustomStringConvertible {
    package let reason: String
    /// Of the profile's file; 0 when it is not that of one line.
    package let line: Int

    init(_ reason: String, line: Int = 0) {
      self.reason = reason
      self.line = line
    }

    package var description: String { line > 0 ? "line \(line): \(reason)" : reason }
  }

  package let family: Family
  /// `PCLLOCK-INPUT` and so on, in the order of `hooked`.
  let chains: [RuleChain]

  /// - Parameter profile: as it was written, its rules in the built-in chains.
  package init(_ profile: Ruleset, _ family: Family) throws(Refused) {
    try LockShape.check(profile)
    self.family = family
    let table = profile[table: Self.table]
    chains = Self.hooked.map { name in
      let rules = (table?[chain: name]?.rules ?? []).map { rule in
        Rule(text: Array("-A \(Self.prefix)\(name)".utf8) + rule.afterChain, line: rule.line)
      }
      return RuleChain(name: Self.prefix + name, policy: nil, rules: rules)
    }
  }

  /// The text of a profile: whoever wrote or signed it, it is read by the strict grammar of rules before its shape is
  /// looked at.
  package init(parsing text: [UInt8], _ family: Family) throws(Refused) {
    let profile: Ruleset
    do throws(Diagnostics) {
      profile = try Ruleset.parse(policy: text, file: "lockdown", family: family)
    } catch {
      throw Refused(error.all[0].message, line: error.all[0].location.line)
    }
    try self.init(profile, family)
  }

  // MARK: Texts

  /// Fills the chains anew and leaves the hooks as they are.
  package var refill: [UInt8] { text() }

  /// The same, and hooks them, on a kernel that holds nothing of the layer.
  package var first: [UInt8] { text(hooks: true) }

  /// From a fresh read: the chains anew, doubled or misplaced hooks out, the right ones first. Nil when chains and
  /// hooks are shaped as they should be; whether the rules are the same to the letter is for digests to tell, and for
  /// `refill` to mend.
  package func mend(_ saved: Ruleset) -> [UInt8]? {
    guard difference(Self.split(saved).layer) != nil else { return nil }
    return text(deleting: Self.calls(in: saved).filter(\.canBeFedBack), hooks: true)
  }

  /// From a fresh read: takes the layer out. Nil when there is nothing of it.
  ///
  /// A rule that calls one of its chains and cannot be given to a restore program keeps that chain alive, but empty.
  package static func removal(_ saved: Ruleset) -> [UInt8]? {
    let present = (saved[table: table]?.chains ?? []).map(\.name).filter(isOfLayer)
    guard !present.isEmpty else { return nil }
    let calls = calls(in: saved)
    let needed = Set(calls.filter { !$0.canBeFedBack }.compactMap { RuleShape($0).called })
    var lines = calls.filter(\.canBeFedBack).map(deletion)
    lines += present.map { Array("-F \($0)".utf8) }
    lines += present.filter { !needed.contains($0) }.map { Array("-X \($0)".utf8) }
    return transaction(lines)
  }

  private func text(deleting calls: [Rule] = [], hooks: Bool = false) -> [UInt8] {
    var lines = chains.map { Array($0.declaration.utf8) }
    lines += calls.map(Self.deletion)
    for chain in chains { lines += chain.rules.map(\.text) }
    if hooks { lines += Self.hooked.map(Self.insertion) }
    return Self.transaction(lines)
  }

  static func transaction(_ lines: [[UInt8]]) -> [UInt8] {
    let whole = [Array("*\(table)".utf8)] + lines + [Array("COMMIT".utf8)]
    return whole.reduce(into: []) { text, line in
      text += line
      text.append(newline)
    }
  }

  /// By its words, not its number: should somebody have been quicker it fails, rather than delete another rule.
  static func deletion(_ rule: Rule) -> [UInt8] { Array("-D".utf8) + rule.bytes.dropFirst(2) }

  static func insertion(_ builtIn: String) -> [UInt8] { Array("-I \(builtIn) 1 -j \(prefix)\(builtIn)".utf8) }

  static func hook(of builtIn: String) -> Rule { Rule(text: Array("-A \(builtIn) -j \(prefix)\(builtIn)".utf8)) }

  /// The layer within a table that is loaded whole, so that loading it never leaves the layer out.
  ///
  /// - Parameter beneath: what the release declares of mangle; nil when it empties it.
  package func table(in beneath: RuleTable?) -> RuleTable {
    let whole = Ruleset(tables: [beneath ?? RuleTable(name: Self.table)]).declaringAllBuiltInChains()
    var table = Self.split(whole).beneath.tables[0]
    for index in table.chains.indices where Self.hooked.contains(table.chains[index].name) {
      table.chains[index].rules.insert(Self.hook(of: table.chains[index].name), at: 0)
    }
    table.chains += chains
    return table
  }
}
