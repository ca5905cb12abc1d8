import Core
import Foundation
import Lint
import Testing

@Suite("Findings as SARIF") struct SarifTests {
  private func document(_ sarif: Sarif) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(sarif.text.utf8)) as? [String: Any])
  }

  private func results(_ sarif: Sarif) throws -> [[String: Any]] {
    let run = try #require((try document(sarif)["runs"] as? [[String: Any]])?.first)
    return try #require(run["results"] as? [[String: Any]])
  }

  private func finding(_ line: Int, _ message: String = "a message") -> LintFinding {
    LintFinding(
      .logWithoutLimit, at: Core.SourceLocation(file: "/repo/policies/my web.yaml", line: line, column: 3), message,
      hint: "a hint", related: Core.SourceLocation(file: "/repo/policies/b.yaml", line: 2, column: 1),
      subject: "INPUT log")
  }

  @Test("A document has its version, its rules and its results") func document() throws {
    var sarif = Sarif(relativeTo: "/repo")
    sarif.add([finding(7)])
    sarif.add([
      LintFinding(
        invalidFile: Diagnostic(
          Core.SourceLocation(file: "./x.yaml", line: 0, column: 0), "no \"such\" key\u{1b}\n\\"))
    ])
    let document = try document(sarif)
    #expect(document["version"] as? String == "2.1.0")
    let run = try #require((document["runs"] as? [[String: Any]])?.first)
    let driver = try #require((run["tool"] as? [String: Any])?["driver"] as? [String: Any])
    let rules = try #require(driver["rules"] as? [[String: Any]]).compactMap { $0["id"] as? String }
    #expect(rules == LintRule.allCases.map(\.rawValue))
    let results = try results(sarif)
    #expect(results.map { $0["ruleId"] as? String } == ["log-without-limit", "invalid-file"])
    #expect(results.map { $0["level"] as? String } == ["warning", "error"])
    let place = try #require(
      (results[0]["locations"] as? [[String: Any]])?.first?["physicalLocation"] as? [String: Any])
    #expect((place["artifactLocation"] as? [String: String])?["uri"] == "policies/my%20web.yaml")
    #expect((place["region"] as? [String: Int]) == ["startLine": 7, "startColumn": 3])
    let second = try #require(
      (results[1]["locations"] as? [[String: Any]])?.first?["physicalLocation"] as? [String: Any])
    #expect((second["region"] as? [String: Int]) == ["startLine": 1, "startColumn": 1])
    #expect(results[0]["relatedLocations"] != nil && results[1]["relatedLocations"] == nil)
    #expect(
      (results[1]["message"] as? [String: String])?["text"]
        == "no \"such\" key\\u{1b}\\u{a}\\. Nothing is sent before it is mended.")
  }

  @Test("Fingerprints stay when lines move, and differ between results") func fingerprints() throws {
    func prints(_ lines: [Int]) throws -> [String] {
      var sarif = Sarif(relativeTo: "/repo/")
      sarif.add(lines.map { finding($0, "at \($0)") })
      return try results(sarif).compactMap { ($0["partialFingerprints"] as? [String: String])?["portcullis/v1"] }
    }
    let here = try prints([7, 9])
    let there = try prints([17, 90])
    #expect(here == there && Set(here).count == 2)
  }

  @Test("A finding is one JSON value") func json() throws {
    let encoded = try JSONEncoder().encode(finding(7))
    let value = try #require(try JSONSerialization.jsonObject(with: encoded) as? [String: Any])
    #expect(Set(value.keys) == ["rule", "severity", "file", "line", "column", "message", "hint", "why", "related"])
    #expect(value["rule"] as? String == "log-without-limit" && value["line"] as? Int == 7)
  }
}
