import Core
import Ruleset
import Testing

/// A filter table as a save program prints it.
func saved(
  _ rules: [String], chains: [String] = [], input: String = "ACCEPT", forward: String = "ACCEPT"
) throws -> Ruleset {
  var text = "*filter\n:INPUT \(input) [0:0]\n:FORWARD \(forward) [0:0]\n:OUTPUT ACCEPT [0:0]\n"
  for chain in chains { text += ":\(chain) - [0:0]\n" }
  for rule in rules { text += "-A \(rule)\n" }
  return try save(text + "COMMIT\n")
}

/// A policy that lets only SSH in.
func sshOnly(forwardsForeign: Bool = false) throws -> OwnedRules {
  let text =
    "*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT ACCEPT\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"
  return OwnedRules(try policy(text), forwardsForeign: forwardsForeign)
}

extension OwnedChange {
  var lines: [String] { String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init) }

  /// The lines that touch chains that are not ours.
  var foreignLines: [String] {
    lines.filter { line in
      let words = line.split(separator: " ")
      return (words[0] == "-I" || words[0] == "-D") && !OwnedNames.isOurs(String(words[1]))
    }
  }

  var found: [String] { findings.map { String(decoding: $0.rule, as: UTF8.self) } }
}
