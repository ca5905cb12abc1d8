import Core
import Foundation
import Ruleset
import Testing

/// A lab that tests share, as people use one: by `portcullis` from a root shell in its folder.
struct TestLab: Sendable {
  let folder: String

  /// 20 hosts, both backends, three userlands where they can be had: h001 is the machine's own with nft, h002 Debian 11
  /// with legacy, h003 Debian 13 with nft, h004 the machine's own with legacy, and so on. h001 to h010 are web servers,
  /// the rest databases.
  static var mixed: TestLab { get async throws { try await mixedLab.value } }
  /// Userlands the mixed lab could not have, with the reason.
  static var missingUserlands: [String: String] { get async { await userlands.value.missing } }

  /// Three hosts, one of each userland, without an agent on their disks and enrolled nowhere.
  static var bare: TestLab { get async throws { try await bareLab.value } }

  private static let userlands = Task {
    var roots = ["host"]
    var missing: [String: String] = [:]
    for root in ["debian11", "debian13"] {
      do {
        let made = try await Command.run(Machine.portcullis, ["lab", "root", root], timeout: 240)
        if made.status == 0 { roots.append(root) } else { missing[root] = made.description }
      } catch {
        missing[root] = "\(error)"
      }
    }
    return (roots: roots.joined(separator: ","), missing: missing)
  }

  private static let mixedLab = Task {
    try await up("mixed", ["--hosts", "20", "--backend", "mixed", "--roots", await userlands.value.roots])
  }

  private static let bareLab = Task {
    try await up("bare", ["--hosts", "3", "--bare", "--no-enroll", "--roots", await userlands.value.roots])
  }

  static func up(_ name: String, _ arguments: [String], timeout: Int = 120) async throws -> TestLab {
    let folder = try Machine.folder(name)
    // Not an expectation: the lab of a Task fails every test that asks for it, not only the first.
    let made = try await Command.run(
      Machine.portcullis, ["lab", "up", "--dir", folder, "--policies", Machine.policies] + arguments,
      timeout: timeout)
    guard made.status == 0 else { throw NoLab(reason: made.description) }
    return TestLab(folder: folder)
  }

  // MARK: - Commands

  func portcullis(
    _ arguments: String..., input: Command.Input = .nothing, timeout: Int = 60
  ) async throws -> Finished {
    try await Command.run(Machine.portcullis, arguments, input: input, in: folder, timeout: timeout)
  }

  /// As `portcullis`, and anything but 0 ends the test.
  @discardableResult
  func succeed(
    _ arguments: String..., timeout: Int = 60, at location: Testing.SourceLocation = #_sourceLocation
  ) async throws -> Finished {
    try await Command.succeed(Machine.portcullis, arguments, in: folder, timeout: timeout, at: location)
  }

  func exec(
    _ host: String, _ command: String..., input: Command.Input = .nothing, timeout: Int = 30
  ) async throws -> Finished {
    try await Command.run(
      Machine.portcullis, ["lab", "exec", host, "--dir", folder, "--"] + command, input: input, in: folder,
      timeout: timeout)
  }

  /// In the host's own shell; anything but 0 ends the test.
  @discardableResult
  func shell(_ host: String, _ script: String, at location: Testing.SourceLocation = #_sourceLocation) async throws
    -> String
  {
    let finished = try await exec(host, "/bin/sh", "-ec", script)
    try #require(finished.status == 0, "\(finished)", sourceLocation: location)
    return finished.out
  }

  /// Makes every host run what it should, so that a test does not inherit what another one did.
  func settle(_ pattern: String = "all") async throws {
    _ = try await portcullis("status", "--refresh", "-l", pattern)
    try await succeed("apply", "--yes", "-l", pattern)
  }

  func path(_ name: String) -> String { "\(folder)/\(name)" }

  /// Another configuration of the same fleet, beside the lab's own: `changes` are regular lines instead of the lab's
  /// lines of the same key.
  func configuration(_ name: String, _ changes: [String: String]) throws -> String {
    var lines = try text(of: path("portcullis.yaml")).split(separator: "\n").map(String.init)
    for (key, value) in changes {
      let indent = lines.contains { $0.hasPrefix("  \(key):") } ? "  " : ""
      let line = "\(indent)\(key): \(value)"
      if let index = lines.firstIndex(where: { $0.hasPrefix("\(indent)\(key):") }) {
        lines[index] = line
      } else {
        lines.append(line)
      }
    }
    try write(lines.joined(separator: "\n") + "\n", to: path(name))
    return path(name)
  }

  // MARK: - What hosts hold

  /// What may not change when something is refused: both families' rules, and every byte of the agent's memory.
  struct HostState: Hashable, Sendable, CustomStringConvertible {
    let ipv4: String
    let ipv6: String
    let files: String
    var description: String { "\(ipv4)\n\(ipv6)\n\(files)" }
  }

  func state(of host: String) async throws -> HostState {
    let output = try await shell(
      host,
      """
      iptables-save; echo =====; ip6tables-save; echo =====
      cd /var/lib/portcullis && find . -path ./login -prune -o -name agent.log -prune -o -type f -print |
        grep -v -e '^./lock$' -e '^./changes' | LC_ALL=C sort | xargs -r sha256sum; readlink committed || true
      """)
    let parts = output.components(separatedBy: "=====\n")
    try #require(parts.count == 3)
    return HostState(ipv4: try canonical(parts[0]), ipv6: try canonical(parts[1]), files: parts[2])
  }

  /// Both families' rules, without counters and dates.
  func rules(of host: String) async throws -> [String] {
    // Not by way of the files, which an agent at work writes and renames.
    let parts = try await shell(host, "iptables-save; echo =====; ip6tables-save").components(separatedBy: "=====\n")
    try #require(parts.count == 2)
    return try parts.map(canonical)
  }

  private func canonical(_ save: String) throws -> String {
    String(decoding: try Ruleset.parse(save: Array(save.utf8), file: "save").canonical(), as: UTF8.self)
  }
}

/// Every test that needs the lab fails with it.
struct NoLab: Error, CustomStringConvertible {
  let reason: String
  var description: String { "there is no lab: \(reason)" }
}

// MARK: - JSON

/// A document as `-o json` prints it, read without our own types: as a script reads it.
struct JSON: @unchecked Sendable {
  // Foundation's immutable values.
  private let value: Any?

  init(_ value: Any?) { self.value = value }

  init(_ finished: Finished, at location: Testing.SourceLocation = #_sourceLocation) throws {
    do {
      value = try JSONSerialization.jsonObject(with: Data(finished.bytes), options: [.fragmentsAllowed])
    } catch {
      Issue.record("not JSON: \(finished)", sourceLocation: location)
      throw error
    }
  }

  subscript(key: String) -> JSON { JSON((value as? [String: Any])?[key]) }
  var list: [JSON] { (value as? [Any] ?? []).map { JSON($0) } }
  var text: String? { value as? String }
  var number: Int? { (value as? NSNumber)?.intValue }
  var keys: Set<String> { Set((value as? [String: Any] ?? [:]).keys) }
  var strings: [String] { list.compactMap(\.text) }

  /// Of a document with `hosts`, by name.
  var hosts: [String: JSON] {
    Dictionary(self["hosts"].list.map { ($0["name"].text ?? "", $0) }) { first, _ in first }
  }
}

func names(_ numbers: ClosedRange<Int>) -> [String] {
  numbers.map { "h" + String(repeating: "0", count: 3 - String($0).count) + String($0) }
}
