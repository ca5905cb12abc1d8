import Core
import Foundation
import Ruleset
import Testing

extension ForeignSoftware {
  /// As the software does it on the host, after what is there already.
  func install(on host: String, of lab: TestLab, at location: Testing.SourceLocation = #_sourceLocation) async throws {
    for (program, rules) in [("ip6tables-restore", ipv6), ("iptables-restore", ipv4)] {
      let loaded = try await lab.exec(
        host, "/usr/sbin/\(program)", "--wait=10", "--noflush", input: .bytes(Array(rules.utf8)))
      try #require(loaded.status == 0, "\(rawValue): \(loaded)", sourceLocation: location)
    }
  }
}

/// Everything on a host that is not ours: every chain with its policy, every rule in its place among its like.
struct ForeignState: Hashable, Sendable, CustomStringConvertible {
  let lines: [String]
  var description: String { lines.joined(separator: "\n") }

  init(ipv4: String, ipv6: String) throws { lines = try Self.foreign("ipv4", ipv4) + Self.foreign("ipv6", ipv6) }

  /// Policies of built-in chains are left out: setting them is what a policy is for.
  private static func foreign(_ family: String, _ save: String) throws -> [String] {
    try Ruleset.parse(save: Array(save.utf8), file: family).tables.sorted { $0.name < $1.name }.flatMap { table in
      table.chains.filter { !OwnedNames.isOurs($0.name) }.sorted { $0.name < $1.name }.flatMap { chain in
        let place = "\(family) \(table.name) \(chain.name)"
        return (chain.policy == nil ? ["\(place) is there"] : [])
          + chain.rules.map { String(decoding: $0.text, as: UTF8.self) }.filter { !Self.calls(ours: $0) }
          .map { "\(place) \($0)" }
      }
    }
  }

  private static func calls(ours rule: String) -> Bool {
    let words = rule.split(separator: " ")
    guard let jump = words.firstIndex(where: { $0 == "-j" || $0 == "-g" }), jump + 1 < words.count else { return false }
    return OwnedNames.isOurs(String(words[jump + 1]))
  }
}

extension TestLab {
  func foreignState(of host: String) async throws -> ForeignState {
    let both = try await shell(host, "iptables-save; echo =====; ip6tables-save")
    let parts = both.components(separatedBy: "=====\n")
    try #require(parts.count == 2)
    return try ForeignState(ipv4: parts[0], ipv6: parts[1])
  }

  /// Policies of the built-in chains of the filter table, as `ipv4 INPUT DROP`.
  func policies(of host: String) async throws -> Set<String> {
    let lines = try await shell(
      host, "iptables -S | sed -n 's/^-P /ipv4 /p'; ip6tables -S | sed -n 's/^-P /ipv6 /p'")
    return Set(lines.split(separator: "\n").map(String.init))
  }
}
