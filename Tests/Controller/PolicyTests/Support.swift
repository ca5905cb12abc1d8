import Core
import Foundation
import Glibc

@testable import Inventory
@testable import Policy

func messages<Value>(_ body: () throws(Diagnostics) -> Value) -> [String] {
  do {
    _ = try body()
    return []
  } catch {
    return error.all.map {
      "\(($0.location.file as NSString).lastPathComponent):\($0.location.line):\($0.location.column) \($0.message)"
    }
  }
}

func inventory(_ text: String) throws -> HostInventory {
  try HostInventory.parse(Array(text.utf8), file: "hosts.yaml")
}

/// The repository these tests are part of.
let repository = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardized.path

let plainRules = "*filter\n:INPUT DROP\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"

/// A folder of policies for one test, gone afterwards.
final class PolicyFolder {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "portcullis-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func write(_ name: String, _ text: String) throws {
    let file = path + "/" + name
    try FileManager.default.createDirectory(
      atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(filePath: file))
  }

  /// A whole policy whose two halves are these.
  func add(_ name: String, to group: String, v4: String = plainRules, v6: String = plainRules) throws {
    try write(
      "\(name)/policy.yaml", "policy: \(name)\napplies_to: \(group)\nrules: {ipv4: rules.v4, ipv6: rules.v6}\n")
    try write("\(name)/rules.v4", v4)
    try write("\(name)/rules.v6", v6)
  }

  func load() throws(Diagnostics) -> PolicySet { try PolicySet.load(directory: path) }

  /// The rules of the first host of an inventory, by default one without anything.
  func compiled(
    for hosts: String = "all: {hosts: {h: }}", controllers: [String] = []
  ) throws -> CompiledPolicy {
    let fleet = try inventory(hosts)
    return try PolicyCompiler(load(), inventory: fleet).compile(for: fleet.hosts[0], controllers: controllers)
  }
}

/// A network namespace of this test alone, with the host's own iptables programs in it.
final class ScratchNamespace {
  struct Unavailable: Error { let message: String }

  private let folder: String
  /// The file that stands for it.
  var handle: String { folder + "/net" }

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "portcullis-ns-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data().write(to: URL(filePath: folder + "/net"))
    let made = try run("/usr/bin/unshare", ["--net=" + folder + "/net", "/bin/true"])
    guard made.status == 0 else { throw Unavailable(message: made.errors) }
  }

  deinit {
    umount2(folder + "/net", Int32(MNT_DETACH))
    try? FileManager.default.removeItem(atPath: folder)
  }

  func run(
    inside program: String, _ arguments: [String] = [], input: [UInt8] = []
  ) throws -> (status: Int32, output: String, errors: String) {
    try run("/usr/bin/nsenter", ["--net=" + handle, program] + arguments, input: input)
  }

  private func run(
    _ program: String, _ arguments: [String], input: [UInt8] = []
  ) throws -> (status: Int32, output: String, errors: String) {
    let process = Process()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.environment = [
      "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "XTABLES_LOCKFILE": folder + "/lock", "LC_ALL": "C",
    ]
    // Files, because pipes fill up while nobody reads.
    let files = ["in", "out", "err"].map { URL(filePath: folder + "/" + $0) }
    try Data(input).write(to: files[0])
    for file in files.dropFirst() { try Data().write(to: file) }
    process.standardInput = try FileHandle(forReadingFrom: files[0])
    process.standardOutput = try FileHandle(forWritingTo: files[1])
    process.standardError = try FileHandle(forWritingTo: files[2])
    try process.run()
    process.waitUntilExit()
    return (
      process.terminationStatus, try String(contentsOf: files[1], encoding: .utf8),
      try String(contentsOf: files[2], encoding: .utf8)
    )
  }
}
