import Core
import Foundation
import Ruleset
import TestSupport
import Testing

@Suite(
  "Every match and target that the local iptables has",
  .enabled(if: Programs.areUsable, "needs root and both iptables backends"))
struct ExtensionTests {
  /// Rules that do not load here, and what the programs say of it: the kernel, or a thing that the rule names, is not
  /// there.
  private static let unavailable = [
    // Targets that kernels gave up years ago.
    "ipt_CLUSTERIP": "missing kernel module", "ipt_ULOG": "missing kernel module",
    // Built into few kernels.
    "xt_LED": "missing kernel module", "xt_ipvs": "missing kernel module", "xt_AUDIT": "missing kernel module",
    "xt_IDLETIMER": "missing kernel module", "xt_HMARK": "missing kernel module", "xt_osf": "missing kernel module",
    // A security module with such labels, an object of nfacct, an estimator that runs already.
    "xt_SECMARK": "No such file", "xt_CONNSECMARK": "No such file", "xt_nfacct": "No such file",
    "xt_rateest": "No such file",
  ]

  @Test("Each extension installed has a rule here")
  func complete() throws {
    let folders = try FileManager.default.contentsOfDirectory(atPath: "/usr/lib").map { "/usr/lib/\($0)/xtables" }
    let files = folders.flatMap { (try? FileManager.default.contentsOfDirectory(atPath: $0)) ?? [] }
    let installed = files.compactMap { $0.firstMatch(of: #/^lib((?:xt|ipt|ip6t)_.+)\.so$/#).map { String($0.1) } }
    try #require(installed.count > 50)
    let known = Set(ExtensionRules.all.map(\.library))
    #expect(Set(installed).subtracting(known).sorted() == [])
    print("\(installed.count) extensions, \(ExtensionRules.all.count) rules")
  }

  @Test("What iptables-save prints of each is read, stays itself, is the same on both backends, and may be policy")
  func each() throws {
    var missing: Set<String> = []
    var count = 0
    for family in Family.allCases {
      let cases = ExtensionRules.all.filter { $0.families.contains(family) }
      let nft = try Self.printed(cases, family, .nft)
      let legacy = try Self.printed(cases, family, .legacy)
      for (index, test) in cases.enumerated() {
        let (a, b) = (nft[index], legacy[index])
        guard !a.save.isEmpty, !b.save.isEmpty else {
          let reason = Self.unavailable[test.library]
          #expect(reason != nil && a.errors.contains(reason ?? ""), "\(family) \(test.rule): \(a.errors)\(b.errors)")
          missing.insert(test.library)
          continue
        }
        count += 1
        let ruleset = try Ruleset.parse(save: Array(a.save.utf8), file: "nft")
        let canonical = ruleset.canonical()
        #expect(ruleset.ruleCount == 1)
        #expect(try Ruleset.parse(save: canonical, file: "canonical").canonical() == canonical)
        let other = try Ruleset.parse(save: Array(b.save.utf8), file: "legacy")
        #expect(RulesetDiff.unified(from: ruleset, to: other).text == "")
        let written = mistakes { () throws(Diagnostics) in
          try Ruleset.parse(policy: canonical, file: "policy", family: family)
        }
        #expect(written == [], "\(family) \(test.library): \(String(decoding: canonical, as: UTF8.self))")
        if written.isEmpty {
          #expect(try Ruleset.parse(policy: canonical, file: "policy", family: family).canonical() == canonical)
        }
      }
    }
    print("\(count) rules loaded on both backends; not in this kernel: \(missing.sorted().joined(separator: ", "))")
    #expect(count > 250)
  }

  /// What each rule becomes, one after another in one namespace; empty where it does not load.
  private static func printed(
    _ cases: [ExtensionRules.Case], _ family: Family, _ backend: Programs.Backend
  ) throws -> [(save: String, errors: String)] {
    let whole = family == .ipv4 ? "0.0.0.0/0" : "::/0"
    var script = "ipset create SETS hash:net family \(family == .ipv4 ? "inet" : "inet6"); O=$(mktemp -d); "
    for (index, test) in cases.enumerated() {
      let rule = test.rule.replacing("0.0.0.0/0", with: whole).replacing("'", with: "'\\''")
      let text = "*\(test.table)\\n:MINE - [0:0]\\n-A %s\\nCOMMIT\\n"
      script +=
        "printf '\(text)' '\(rule)' >$O/in; $P-restore <$O/in >$O/err 2>&1 && $P-save -t \(test.table) >$O/save || : >$O/save; "
      script +=
        "echo '@\(index)'; cat $O/save; echo '@'; cat $O/err; echo; printf '*\(test.table)\\nCOMMIT\\n' | $P-restore; "
    }
    // A file, because an argument of this size is refused.
    let output = try Programs.run(". $IN", family, backend, input: Array((script + "rm -r $O\n").utf8))
    var found = cases.map { _ in (save: "", errors: "") }
    var index = -1
    var isErrors = false
    for line in String(decoding: output.text, as: UTF8.self).split(separator: "\n") {
      if line == "@" {
        isErrors = true
      } else if line.hasPrefix("@"), let next = Int(line.dropFirst()) {
        (index, isErrors) = (next, false)
      } else if isErrors {
        found[index].errors += line + "\n"
      } else {
        found[index].save += line + "\n"
      }
    }
    try #require(index == cases.count - 1, "\(output.errors)")
    return found
  }
}
