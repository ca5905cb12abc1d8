import Core
import Lint
import Ruleset
import Testing

/// The view of one rule.
func view(_ rule: String) -> RuleView { RuleView(Rule(text: Array(rule.utf8), line: 1)) }

func rulesetView(_ text: String, _ family: Family = .ipv4) throws -> RulesetView {
  RulesetView(try Ruleset.parse(save: Array(text.utf8), file: "save"), family)
}

/// A filter table that drops by default.
func filter(_ rules: String, input: String = "DROP", forward: String = "DROP", output: String = "ACCEPT") -> String {
  let chains = Set(
    rules.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      return words.count > 1 && words[0] == "-A" ? String(words[1]) : nil
    }
  ).subtracting(["INPUT", "FORWARD", "OUTPUT"]).sorted()
  return "*filter\n:INPUT \(input)\n:FORWARD \(forward)\n:OUTPUT \(output)\n"
    + chains.map { ":\($0) -\n" }.joined() + rules + (rules.isEmpty || rules.hasSuffix("\n") ? "" : "\n") + "COMMIT\n"
}

/// The place of a rule's line in the text of its family.
func places(_ family: Family, _ line: Int) -> Core.SourceLocation? {
  Core.SourceLocation(file: family == .ipv4 ? "rules.v4" : "rules.v6", line: line, column: 1)
}

func subject(_ ipv4: String, _ ipv6: String = "") throws -> LintSubject {
  try LintSubject(
    PerFamily(ipv4: Array(ipv4.utf8), ipv6: Array(ipv6.utf8)),
    places: LintPlaces(whole: Core.SourceLocation(file: "policy.yaml", line: 1, column: 1), line: places))
}

/// `rule-id file:line` of every finding.
func findings(_ subject: LintSubject) -> [String] {
  Linter.run(subject).map {
    "\($0.rule.rawValue) \($0.diagnostic.location.file):\($0.diagnostic.location.line)"
  }
}

/// What both families need to be without findings.
let base4 = """
  -A INPUT -i lo -j ACCEPT
  -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT

  """
let base6 = base4 + "-A INPUT -p ipv6-icmp -j ACCEPT\n"

/// Findings of rules that stand behind the base in both families (line 7 of IPv4 is the first of them).
func findings(ipv4: String = "", ipv6: String = "", _ change: (inout LintSubject) -> Void = { _ in }) throws -> [String]
{
  var subject = try subject(filter(base4 + ipv4), filter(base6 + ipv6))
  change(&subject)
  return findings(subject)
}
