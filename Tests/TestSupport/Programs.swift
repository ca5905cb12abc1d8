package import Core
internal import Foundation
internal import Glibc

/// Runs the host's own programs inside a network namespace of their own.
package enum Programs {
  package enum Backend: String, CaseIterable, Sendable { case nft, legacy }

  /// A network namespace takes root, and the programs must be there: without either, the tests that need them are
  /// skipped, and say so.
  package static let areUsable =
    geteuid() == 0
    && ["unshare", "sh"].allSatisfy { access("/usr/bin/\($0)", X_OK) == 0 }
    && Backend.allCases.allSatisfy { access("/usr/sbin/iptables-\($0)-restore", X_OK) == 0 }

  package struct Output {
    package let status: Int32
    package let text: [UInt8]
    package let errors: String
  }

  /// `script` has `$P` for `iptables-nft` or its like, and its input in the file `$IN`.
  package static func run(
    _ script: String, _ family: Family, _ backend: Backend, input: [UInt8]
  ) throws -> Output {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("portcullis-\(UUID().uuidString)")
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
}
