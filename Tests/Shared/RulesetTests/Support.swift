import Core
import Foundation
import Glibc
import Ruleset
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

/// A small generator whose seed is printed, so that a failure can be repeated.
struct Random: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    print("seed \(seed)")
    state = seed
  }

  static func fresh() -> Random { Random(seed: UInt64.random(in: 0...(.max))) }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &self) }
  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}

/// Runs the host's own programs inside a network namespace of their own.
enum Programs {
  enum Backend: String, CaseIterable, Sendable { case nft, legacy }

  /// A network namespace takes root, and the programs must be there: without either, the tests that need them are
  /// skipped, and say so.
  static let areUsable =
    geteuid() == 0
    && ["unshare", "sh"].allSatisfy { access("/usr/bin/\($0)", X_OK) == 0 }
    && Backend.allCases.allSatisfy { access("/usr/sbin/iptables-\($0)-restore", X_OK) == 0 }

  struct Output {
    let status: Int32
    let text: [UInt8]
    let errors: String
  }

  /// `script` has `$P` for `iptables-nft` or its like, and its input in the file `$IN`.
  static func run(_ script: String, _ family: Family, _ backend: Backend, input: [UInt8]) throws -> Output {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ruleset-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("in")
    let errors = folder.appendingPathComponent("errors")
    let out = folder.appendingPathComponent("out")
    try Data(input).write(to: file)
    for made in [errors, out] { try Data().write(to: made) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    process.arguments = ["-n", "/usr/bin/sh", "-c", script]
    process.environment = [
      "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "IN": file.path,
      "P": (family == .ipv4 ? "iptables-" : "ip6tables-") + backend.rawValue,
      "XTABLES_LOCKFILE": folder.appendingPathComponent("lock").path,
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: out)
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    process.waitUntilExit()
    return Output(
      status: process.terminationStatus, text: Array(try Data(contentsOf: out)),
      errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self))
  }

  /// What the kernel says after loading `text`.
  static func loaded(_ text: [UInt8], _ family: Family, _ backend: Backend) throws -> Ruleset {
    let output = try run("$P-restore <$IN && $P-save", family, backend, input: text)
    try #require(output.status == 0, "\(family) \(backend): \(output.errors)")
    return try Ruleset.parse(save: output.text, file: "\(backend)")
  }
}
