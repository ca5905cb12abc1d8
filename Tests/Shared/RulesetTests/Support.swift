import Core
import Foundation
import Glibc
import Ruleset
import TestSupport
import Testing

func policy(_ text: String, _ family: Family = .ipv4, allowing words: Set<String> = []) throws(Diagnostics) -> Ruleset {
  try Ruleset.parse(policy: Array(text.utf8), file: "rules", family: family, allowing: words)
}

func save(_ text: String) throws(Diagnostics) -> Ruleset { try Ruleset.parse(save: Array(text.utf8), file: "save") }

/// Every mistake as `line:column message`.
func mistakes(_ parse: () throws(Diagnostics) -> Ruleset) -> [String] {
  do throws(Diagnostics) {
    _ = try parse()
    return []
  } catch {
    return error.all.map { "\($0.location.line):\($0.location.column) \($0.message)" }
  }
}

func hints(_ parse: () throws(Diagnostics) -> Ruleset) -> [String] {
  do throws(Diagnostics) {
    _ = try parse()
    return []
  } catch {
    return error.all.compactMap(\.hint)
  }
}

func text(_ ruleset: Ruleset) -> String { String(decoding: ruleset.canonical(), as: UTF8.self) }

/// Wraps rules into a filter table with a few chains.
func filter(_ rules: String) -> String {
  "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:LOGDROP - [0:0]\n\(rules)\nCOMMIT\n"
}

extension Programs {
  /// What the kernel says after loading `text`.
  static func loaded(_ text: [UInt8], _ family: Family, _ backend: Backend) throws -> Ruleset {
    let output = try run("$P-restore <$IN && $P-save", family, backend, input: text)
    try #require(output.status == 0, "\(family) \(backend): \(output.errors)")
    return try Ruleset.parse(save: output.text, file: "\(backend)")
  }
}
