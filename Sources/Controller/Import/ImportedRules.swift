package import Core
internal import Lint
package import Ruleset

package struct ImportOptions: Sendable {
  /// What a half that nobody gave means for IPv6.
  package enum MissingIPv6: Sendable {
    /// As on a host where nothing was ever loaded.
    case unfiltered
    /// `ipv6: drop-all`
    case dropAll
  }

  /// Where the texts come from.
  package enum Source: Sendable {
    /// Its save programs have just said so.
    case host
    case files
  }

  /// The policy's name.
  package var name: String
  package var appliesTo: String
  package var description: String?
  /// The first line of the file, a comment.
  package var modeline: String?
  /// `owned` or `exclusive`; nil leaves it out.
  package var mode: String?
  /// Other software's chains too.
  package var keepsEverything = false
  /// Where the policy will stand, beside what others there have in common; nil for a folder that does not exist.
  package var directory: String?
  package var missingIPv6 = MissingIPv6.unfiltered
  package var source = Source.host
  /// What the texts are called in messages.
  package var files = PerFamily<String>(ipv4: "rules.v4", ipv6: "rules.v6")

  package init(name: String, appliesTo: String) {
    self.name = name
    self.appliesTo = appliesTo
  }
}

/// One host's rules, read and rid of what a policy of its own would not hold.
package struct ImportedRules: Sendable {
  /// What the policy has to compile to: canonical order, every built-in chain declared.
  package let rulesets: PerFamily<Ruleset>
  package let leftOut: [LeftOut]
  package let notes: [String]
  /// Other software forwards here.
  package let forwardsForeign: Bool
  package let closesIPv6: Bool

  /// - Parameter saved: what the save programs printed, or iptables-persistent's files. Nil for a family that nobody
  ///   asked; empty for one where nothing is loaded.
  package init(_ saved: PerFamily<[UInt8]?>, _ options: ImportOptions) throws(Diagnostics) {
    var notes: [String] = []
    var removal = ForeignRemoval()
    var rulesets = PerFamily<Ruleset>(ipv4: Ruleset(), ipv6: Ruleset())
    closesIPv6 = saved.ipv6 == nil && options.missingIPv6 == .dropAll
    for family in Family.allCases {
      guard let text = saved[family] else {
        let isClosed = family == .ipv6 && closesIPv6
        notes.append(
          "no \(family.words) rules were given: the policy \(isClosed ? "drops all of it" : "does not filter it")")
        continue
      }
      let file = options.files[family]
      var ruleset = try Ruleset.parse(save: Ruleset.joiningBrokenLines(of: text) ?? text, file: file)
      if ruleset.tables.isEmpty { notes.append(try Self.noTables(family, file: file, options.source)) }
      ruleset = try OwnedTranslation.run(ruleset, file: file)
      if !options.keepsEverything { ruleset = removal.run(ruleset, family) }
      var plain = PlainRules(family, file: file)
      ruleset = try plain.run(ruleset)
      notes += plain.notes
      ruleset = RuleSpelling.normal(ruleset, family).ordered().declaringAllBuiltInChains().ordered()
      try Self.check(ruleset, file: file, family)
      notes += Self.namedSets(in: ruleset, family)
      rulesets[family] = ruleset
    }
    self.rulesets = rulesets
    leftOut = removal.leftOut.values.sorted { $0.owner < $1.owner }
    forwardsForeign = removal.forwardsForeign
    for entry in leftOut where [.ufw, .firewalld].contains(entry.owner) {
      notes.append("\(entry.owner.rawValue) keeps this host's rules: turn it off when the policy takes its place")
    }
    if options.mode == "exclusive", !leftOut.isEmpty {
      let owners = leftOut.map(\.owner.rawValue).joined(separator: ", ")
      notes.append("mode exclusive takes whole tables: the rules of \(owners) would go")
    }
    self.notes = notes + removal.notes
  }

  /// Two hosts with the same are one policy.
  package var key: [UInt8] {
    rulesets.ipv4.canonical() + [0] + rulesets.ipv6.canonical() + [forwardsForeign ? 1 : 0, closesIPv6 ? 1 : 0]
  }

  /// A kernel may have no table; a file without any is what a save that failed leaves behind.
  private static func noTables(
    _ family: Family, file: String, _ source: ImportOptions.Source
  ) throws(Diagnostics) -> String {
    if source == .host { return "no \(family.words) table is loaded: the policy does not filter it" }
    throw Diagnostics(
      Diagnostic(
        SourceLocation(file: file, line: 1, column: 1),
        "the file declares no table, so it says no \(family.words) rules",
        hint: "the program that saved them may have failed: save again, or leave the file out"))
  }

  /// Everything that is imported must be fit to be written as raw rules. Mistakes are told at their lines in the save.
  private static func check(_ ruleset: Ruleset, file: String, _ family: Family) throws(Diagnostics) {
    guard !ruleset.tables.isEmpty else { return }
    var text: [UInt8] = []
    var origins: [Int] = []
    func add(_ line: [UInt8], _ origin: Int) {
      text += line + [UInt8(ascii: "\n")]
      origins.append(origin)
    }
    for table in ruleset.tables {
      add(Array("*\(table.name)".utf8), 1)
      for chain in table.chains {
        add(Array(":\(chain.name) \(chain.policy ?? "-")".utf8), chain.rules.first?.line ?? 1)
      }
      for rule in table.chains.flatMap(\.rules) { add(rule.text, rule.line) }
      add(Array("COMMIT".utf8), 1)
    }
    do throws(Diagnostics) {
      _ = try Ruleset.parse(policy: text, file: file, family: family)
    } catch {
      let moved = error.all.map { problem in
        var moved = problem
        let index = problem.location.line - 1
        moved.location.line = origins.indices.contains(index) ? max(1, origins[index]) : 1
        return moved
      }
      if let problems = Diagnostics(moved) { throw problems }
    }
  }

  private static func namedSets(in ruleset: Ruleset, _ family: Family) -> [String] {
    var names: Set<String> = []
    for rule in ruleset.tables.flatMap({ $0.chains.flatMap(\.rules) }) {
      for match in RuleView(rule).opaque where match.module == "set" {
        if let option = match.words.firstIndex(of: "--match-set"), option + 1 < match.words.count {
          names.insert(match.words[option + 1])
        }
      }
    }
    return names.sorted().map {
      "rules over \(family.words) name the ipset \(SafeText.escape($0)), which is not imported: they load only where it is"
    }
  }
}
