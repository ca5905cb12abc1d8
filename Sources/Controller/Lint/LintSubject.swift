package import Core
internal import Ruleset

/// What is known of a host that its rules do not say. Nil is for what nobody knows: nothing is concluded from it.
package struct LintFacts: Hashable, Sendable {
  /// Whether the kernel will forward, as the policy sets it.
  package var forwards = PerFamily<Bool?>(ipv4: nil, ipv6: nil)
  /// Whether the host has an address from a DHCP server.
  package var hasLeases = PerFamily<Bool?>(ipv4: nil, ipv6: nil)
  /// In owned mode, where the chain CONTAINERS is made of `containers:` alone.
  package var isOwned = false
  /// `ipv6: drop-all`.
  package var closesIPv6 = false
  /// What the policies say for IPv6 alone, and `ipv6: drop-all` leaves out.
  package var leftOut: [SourceLocation] = []
  /// Where `ipv6: drop-all` is said.
  package var closing: SourceLocation?
  /// Where rules come from that accept answers by themselves: no item says so.
  package var impliedAnswers: Set<SourceLocation> = []
  /// `forward: foreign`: forwarding is somebody else's, who sees to it.
  package var forwardsForeign = false

  package init() {}
}

/// Where the lines of compiled rules come from.
package struct LintPlaces: Sendable {
  /// Of a line of a family's text, counted from 1.
  package let line: @Sendable (Family, Int) -> SourceLocation?
  /// For what is missing, and has no line.
  package let whole: SourceLocation

  package init(whole: SourceLocation, line: @escaping @Sendable (Family, Int) -> SourceLocation?) {
    self.whole = whole
    self.line = line
  }
}

/// One host's rules as compiled, before the agent gives its own names to their chains, and where they come from.
package struct LintSubject: Sendable {
  package let rules: PerFamily<RulesetView>
  package let places: LintPlaces
  /// Numeric addresses or prefixes. Those that are none are passed over.
  package var controllers: [String] = []
  package var sshPorts: [UInt16] = [22]
  package var facts = LintFacts()
  /// What the rules' sets hold.
  package var sets = KnownSets.none
  /// When the packets come: what has ended by then lets nothing in any more. Nil for nobody knows.
  package var now: UTCTime?
  /// The lines that declare chains: `table chain`.
  private let declarations: PerFamily<[String: Int]>

  /// - Parameter texts: restore text of both families. Rules without text count as no filter at all.
  package init(_ texts: PerFamily<[UInt8]>, places: LintPlaces) throws(Diagnostics) {
    self.places = places
    let parsed = try texts.map { (family, text) throws(Diagnostics) in
      try Ruleset.parse(save: text, file: family == .ipv4 ? "ipv4.rules" : "ipv6.rules")
    }
    rules = parsed.map { RulesetView($1, $0) }
    declarations = texts.map { Self.declarations($1) }
  }

  private static func declarations(_ text: [UInt8]) -> [String: Int] {
    var lines: [String: Int] = [:]
    var table = ""
    for (index, line) in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      if line.first == UInt8(ascii: "*") {
        table = String(decoding: line.dropFirst(), as: UTF8.self)
        lines[table] = index + 1
      } else if line.first == UInt8(ascii: ":") {
        let name = String(decoding: line.dropFirst().prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
        lines[table + " " + name] = index + 1
      }
    }
    return lines
  }

  func place(_ family: Family, _ rule: RuleView) -> SourceLocation? { places.line(family, rule.line) }

  /// Where a chain is declared, or whatever comes nearest.
  func place(_ family: Family, table: String, chain: String) -> SourceLocation {
    let line = declarations[family][table + " " + chain] ?? declarations[family][table]
    return line.flatMap { places.line(family, $0) } ?? places.whole
  }
}

package enum Linter {
  /// Every mistake once, in reading order. Whatever is not certain is left out.
  package static func run(_ subject: LintSubject) -> [LintFinding] {
    let findings =
      ShadowLints.run(subject) + ReachLints(subject).run() + ServiceLints(subject).run()
      + TranslationLints(subject).run() + closedOut(subject)
    return Set(findings).sorted()
  }

  private static func closedOut(_ subject: LintSubject) -> [LintFinding] {
    subject.facts.leftOut.map { place in
      let closing = subject.facts.closing.map { " at \($0)" } ?? ""
      return LintFinding(
        .closedFamily, at: place, "this is for IPv6 alone, and `ipv6: drop-all`\(closing) leaves nothing of it",
        hint: "delete it, or leave drop-all out", related: subject.facts.closing, subject: "IPv6")
    }
  }
}
