import Core
import Foundation
import Ruleset

@testable import Inventory
@testable import Policy

enum Lockdown {
  static let examples = ["isolate", "no-ingress", "no-egress"]
  static let nonSYN = LockRules.nonSYN

  static func example(_ name: String) throws -> String {
    try String(contentsOfFile: repository + "/examples/lockdown/\(name).yaml", encoding: .utf8)
  }

  /// A profile of everything but its name, which is `p`, its rank and whom it is for.
  static func profile(_ rest: String) -> String { "lockdown: p\nrank: 5\napplies_to: all\n\(rest)\n" }

  /// The first host's profiles.
  static func compiled(
    _ profiles: [String: String], for hosts: String = languageInventory,
    controllers: [String] = ["203.0.113.1", "2001:db8:ff::1"]
  ) throws -> [CompiledProfile] {
    let folder = try folder(profiles)
    let fleet = try inventory(hosts)
    return try LockdownCompiler(folder.load(), inventory: fleet).compile(for: fleet.hosts[0], controllers: controllers)
  }

  static func folder(_ profiles: [String: String]) throws -> PolicyFolder {
    let folder = try PolicyFolder()
    try folder.write("web.yaml", "policy: web\napplies_to: all\ndefaults: {input: drop}\n")
    try folder.write("common.yaml", languageCommon)
    try folder.write("dns.lock", "db.example.net 203.0.113.50 2001:db8:50::1\n")
    for (name, text) in profiles { try folder.write("lockdown/\(name).yaml", text) }
    return folder
  }

  /// What the profile itself says of a chain: the rules without `-A CHAIN`, those between loopback with management and
  /// what the host's addresses live on, and those below the line against TCP that begins nothing.
  static func said(
    _ rest: String, _ family: Family, _ chain: String
  ) throws -> (kept: [String], below: [String]) {
    let profile = try compiled(["p": profile(rest)])[0]
    let rules = profile.lines(family, chain)
    let line = rules.firstIndex(of: nonSYN)!
    let sources = ["203.0.113.1/32", "2001:db8:ff::1/128"]
    let (door, ground) = (
      LockRules.door(family, sources: sources, sshPorts: [2222]), LockRules.ground(family, sources: sources)
    )
    let fixed =
      switch chain {
      case "INPUT": (door.input.count, ground.input.count)
      case "OUTPUT": (door.output.count, ground.output.count)
      default: (0, 0)
      }
    return (Array(rules[fixed.0..<(line - fixed.1)]), Array(rules[(line + 1)...]))
  }

  /// Everything wrong with it, as `line:column message | hint`, lines counted from the profile's own fourth.
  static func mistakes(_ rest: String) -> [String] { mistakes(whole: profile(rest), above: 3) }

  static func mistakes(whole text: String, above: Int = 0, file: String = "p") -> [String] {
    do {
      _ = try compiled([file: text])
      return []
    } catch let error as Diagnostics {
      return error.all.map { problem in
        "\(problem.location.line - above):\(problem.location.column) \(problem.message)"
          + (problem.hint.map { " | \($0)" } ?? "")
      }
    } catch {
      return ["\(error)"]
    }
  }
}

extension CompiledProfile {
  /// The rules of one chain, without `-A CHAIN`.
  func lines(_ family: Family, _ chain: String) -> [String] {
    String(decoding: rules[family], as: UTF8.self).split(separator: "\n").filter { $0.hasPrefix("-A \(chain) ") }
      .map { String($0.dropFirst(chain.utf8.count + 4)) }
  }
}
