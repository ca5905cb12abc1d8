import Core
import Foundation
import Ruleset

@testable import Inventory
@testable import Policy

/// docs/policies.md. What stands there between a marker and `<!-- end -->` is made by the compiler:
///
/// - `<!-- becomes -->`: the rules of the YAML block above it, on the first host of the manual's own inventory, which is
///   the block below `<!-- inventory -->`;
/// - `<!-- locks -->`: the IPv4 rules of the lockdown profile above it, on the same host;
/// - `<!-- policy NAME on HOST -->`: that policy of the repository, and what it adds to the rules of that host;
/// - `<!-- services -->`: the table of services.
struct ManualPage {
  struct Malformed: Error { let message: String }

  /// One YAML block that says what it becomes, as a whole policy.
  struct Example {
    let line: Int
    let policy: String
    let compiled: CompiledPolicy
  }

  static let path = repository + "/docs/policies.md"
  static let controllers = ["203.0.113.9", "2001:db8:ff::9"]
  private static let end = "<!-- end -->"
  private static let locks = "<!-- locks -->"

  let text: String
  private let lines: [String]

  init() throws {
    text = try String(contentsOfFile: Self.path, encoding: .utf8)
    lines = text.components(separatedBy: "\n")
  }

  /// The names of the repository's policies that are shown.
  var shownPolicies: [String] { lines.compactMap { Self.policyMarker($0)?.name } }

  var shownLockdowns: Int { lines.count { $0 == Self.locks } }

  /// The page as the compiler would have it.
  func updated() throws -> String {
    var result: [String] = []
    var index = 0
    while index < lines.count {
      result.append(lines[index])
      if let block = try generated(at: index) {
        guard let stop = lines[index...].firstIndex(of: Self.end) else {
          throw Malformed(message: "no \(Self.end) behind line \(index + 1)")
        }
        result += block
        index = stop
      } else {
        index += 1
      }
    }
    return result.joined(separator: "\n")
  }

  func examples() throws -> [Example] {
    try lines.indices.filter { lines[$0] == "<!-- becomes -->" }.map { try example(above: $0) }
  }

  private func generated(at index: Int) throws -> [String]? {
    switch lines[index] {
    case "<!-- becomes -->":
      let example = try example(above: index)
      let hidesAnswers = !example.policy.contains("established")
      return ShownRules(example.compiled, hidesAnswers: hidesAnswers) { _ in true }.block
    case Self.locks: return try lockdown(above: index)
    case "<!-- services -->": return Self.services
    default: return try Self.policyMarker(lines[index]).map { try Self.shown($0.name, on: $0.host) }
    }
  }

  private func yaml(above index: Int) throws -> (start: Int, body: String) {
    guard let stop = lines[..<index].lastIndex(of: "```"),
      let start = lines[..<stop].lastIndex(where: { $0.hasPrefix("```") }), lines[start] == "```yaml"
    else { throw Malformed(message: "no YAML block above line \(index + 1)") }
    return (start, lines[(start + 1)..<stop].joined(separator: "\n"))
  }

  private func lockdown(above index: Int) throws -> [String] {
    let body = try yaml(above: index).body
    guard let name = body.split(separator: "\n").first(where: { $0.hasPrefix("lockdown: ") })?.dropFirst(10) else {
      throw Malformed(message: "no lockdown profile above line \(index + 1)")
    }
    let profiles = try Lockdown.compiled([String(name): body + "\n"], for: inventory(), controllers: Self.controllers)
    let text = String(decoding: profiles[0].rules.ipv4, as: UTF8.self)
    return ["```text"] + text.split(separator: "\n").filter { $0.hasPrefix("-A ") }.map(String.init) + ["```"]
  }

  private func example(above index: Int) throws -> Example {
    let (start, body) = try yaml(above: index)
    let head = body.contains("policy: ") ? "" : "policy: example\napplies_to: all\n"
    let folder = try PolicyFolder()
    let name = body.split(separator: "\n").first { $0.hasPrefix("policy: ") }?.dropFirst(8) ?? "example"
    try folder.write("\(name).yaml", head + body + "\n")
    do {
      let compiled = try folder.compiled(for: inventory(), controllers: Self.controllers)
      return Example(line: start + 1, policy: head + body + "\n", compiled: compiled)
    } catch {
      throw Malformed(message: "the block on line \(start + 1): \(error)")
    }
  }

  private func inventory() throws -> String {
    guard let marker = lines.firstIndex(of: "<!-- inventory -->"),
      let stop = lines[marker...].firstIndex(of: "```"), lines[marker + 1] == "```yaml"
    else { throw Malformed(message: "no inventory of the examples") }
    return lines[(marker + 2)..<stop].joined(separator: "\n") + "\n"
  }

  private static func policyMarker(_ line: String) -> (name: String, host: String)? {
    let words = line.split(separator: " ")
    guard words.count == 6, line.hasPrefix("<!-- policy "), words[3] == "on" else { return nil }
    return (String(words[2]), String(words[4]))
  }

  private static func shown(_ name: String, on host: String) throws -> [String] {
    let policies = try PolicySet.load(directory: repository + "/policies")
    let fleet = try HostInventory.load(repository + "/inventory/example.yaml")
    guard let host = fleet.host(named: host), let policy = policies.policies.first(where: { $0.name == name }) else {
      throw Malformed(message: "no policy \(name), or no host \(host)")
    }
    let compiled = try PolicyCompiler(policies, inventory: fleet).compile(for: host, controllers: controllers)
    let folder = (policy.file as NSString).deletingLastPathComponent
    let isFolder = policy.file.hasSuffix("/policy.yaml")
    let rules = ShownRules(compiled, sysctl: Set(policy.sysctl.map(\.value.key.description))) { place in
      isFolder ? place.file.hasPrefix(folder + "/") : place.file == policy.file
    }
    var block: [String] = []
    for file in isFolder ? ["policy.yaml", "rules.v4", "rules.v6"] : ["\(name).yaml"] {
      let text = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
      block += isFolder ? ["`\(name)/\(file)`", ""] : []
      block += [file.hasSuffix(".yaml") ? "```yaml" : "```text"]
      block += text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init) + ["```", ""]
    }
    return block + rules.block
  }

  private static var services: [String] {
    let names = ServiceTable.names.filter { $0 != ServiceTable.ssh }
    return ["| name | ports |", "|---|---|", "| `ssh` | the host's own |"]
      + names.map { name in
        let ports = (ServiceTable.all[name] ?? []).map { port in
          switch port {
          case .ports(let transport, let range):
            "\(transport.rawValue)/\(range.isOne ? "\(range.first)" : "\(range.first)-\(range.last)")"
          case .protocolNumber(let number): "protocol \(number)"
          }
        }
        return "| `\(name)` | \(ports.joined(separator: ", ")) |"
      }
  }
}

/// Rules as the manual prints them: without what is there in every table.
private struct ShownRules {
  private static let answers = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
  let block: [String]

  init(
    _ policy: CompiledPolicy, sysctl: Set<String>? = nil, hidesAnswers: Bool = false,
    where isShown: (SourceLocation) -> Bool
  ) {
    let texts = PerFamily { family in Self.lines(policy, family, hidesAnswers, isShown) }
    var lines: [String] = []
    if texts.ipv4 == texts.ipv6 {
      if !texts.ipv4.isEmpty { lines = ["# IPv4 and IPv6"] + texts.ipv4 }
    } else {
      for family in Family.allCases {
        let name = family == .ipv4 ? "IPv4" : "IPv6"
        lines += texts[family].isEmpty ? ["# \(name): nothing"] : ["# \(name)"] + texts[family]
      }
    }
    for line in String(decoding: policy.sysctl ?? [], as: UTF8.self).split(separator: "\n") {
      let key = String(line.prefix { $0 != " " })
      if sysctl?.contains(key) != false { lines.append("# sysctl \(line)") }
    }
    block = ["```text"] + lines + ["```"]
  }

  private static func lines(
    _ policy: CompiledPolicy, _ family: Family, _ hidesAnswers: Bool, _ isShown: (SourceLocation) -> Bool
  ) -> [String] {
    var tables: [(name: String, lines: [String])] = []
    let text = String(decoding: policy.rules[family], as: UTF8.self).split(separator: "\n").map(String.init)
    for (index, line) in text.enumerated() {
      if line.hasPrefix("*") { tables.append((line, [])) }
      guard let place = policy.source(of: family, line: index + 1), isShown(place) else { continue }
      let isAnswers = line.split(separator: " ", maxSplits: 2).last.map { $0 == answers } ?? false
      let isRule = line.hasPrefix("-A ") && !(hidesAnswers && isAnswers)
      let isChain = line.hasPrefix(":") && !line.contains(" ACCEPT ")
      if isRule || isChain { tables[tables.count - 1].lines.append(line) }
    }
    // One table alone is the filter table, unless it says so.
    return tables.filter { !$0.lines.isEmpty }.flatMap { table in
      (table.name == "*filter" && tables.filter { !$0.lines.isEmpty }.count == 1 ? [] : [table.name]) + table.lines
    }
  }
}
