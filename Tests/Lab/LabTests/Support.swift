import Core
import Foundation
import Glibc
import Subprocess
import SystemPackage
import Testing

@testable import Lab

/// Why a lab cannot be made here; nil when it can.
let labObstacle: String? = {
  if geteuid() != 0 { return "labs need root" }
  for path in ["/usr/sbin/ip", "/usr/bin/nsenter", "/usr/sbin/sshd", "/usr/sbin/iptables-legacy", hostProgram]
  where access(path, X_OK) != 0 {
    return "\(path) is missing"
  }
  return nil
}()

/// Built with the tests, beside them.
let hostProgram: String = {
  let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/"
  return LabFiles.parent(of: own) + "/portcullis-lab-host"
}()

/// A folder of its own for one test, gone afterwards with the lab in it.
func withLabDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
  let parent = "/var/tmp/portcullis-test-\(UInt32.random(in: .min ... .max))"
  try LabFiles.makeFolder(parent)
  let path = parent + "/lab"
  do {
    let result = try await body(path)
    _ = try await LabFleet.down(directory: path)
    try? FileManager.default.removeItem(atPath: parent)
    return result
  } catch {
    _ = try? await LabFleet.down(directory: path)
    try? FileManager.default.removeItem(atPath: parent)
    throw error
  }
}

struct Output: Sendable {
  let status: Int32
  let out: String
  let err: String
}

/// Runs what `lab exec` would.
func run(_ command: LabCommand) async throws -> Output {
  let done = try await Subprocess.run(
    .path(FilePath(command.path)), arguments: Arguments(Array(command.arguments.dropFirst())),
    environment: .custom(command.environment.map { Array("\($0.key)=\($0.value)\0".utf8) }),
    output: .string(limit: 1 << 20),
    error: .string(limit: 1 << 20))
  let status: Int32 =
    switch done.terminationStatus {
    case .exited(let code): code
    case .signaled(let signal): 128 + signal
    }
  return Output(status: status, out: done.standardOutput, err: done.standardError)
}

extension LabFleet {
  func exec(_ name: String, _ command: String...) async throws -> Output {
    try await run(execArguments(name, command))
  }

  /// ssh from the controller with the administrator's key.
  func ssh(_ host: String, _ command: String) async throws -> Output {
    try await exec(
      "controller", "/usr/bin/ssh", "-F", "none", "-i", directory.adminKey, "-o",
      "UserKnownHostsFile=\(directory.knownHosts)", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o",
      "KexAlgorithms=curve25519-sha256", "-o", "ConnectTimeout=5", "root@\(host)", command)
  }
}

/// What is left of a lab on this machine: files, mounts, processes that know its folder, interfaces outside. Other labs,
/// which other tests may make at the same time, do not count.
func traces(of path: String) async throws -> [String] {
  var found: [String] = LabFiles.exists(path) ? ["file \(path)"] : []
  found += (LabFiles.text("/proc/self/mounts") ?? "").split(separator: "\n").filter { $0.contains(path) }
    .map { "mount \($0)" }
  for pid in try FileManager.default.contentsOfDirectory(atPath: "/proc")
  where Int32(pid) != nil && pid != "\(getpid())" {
    // A host's overlays name its layers, so its mount table gives every process inside a host away.
    for table in ["cmdline", "mounts"] where LabFiles.text("/proc/\(pid)/\(table)")?.contains(path) == true {
      found.append("process \(pid) by its \(table)")
    }
  }
  let links = try await LabProgram.run("/usr/sbin/ip", ["-o", "link"]).output
  for name in ["br0:", "h001@", "h002@"] where links.contains(" \(name)") { found.append("interface \(name)") }
  let names = try await LabProgram.run("/usr/sbin/ip", ["netns"]).output
  if names.contains("h00") || names.contains("controller") { found.append("network namespace \(names)") }
  return found
}

/// A lab's folder, and a check that nothing of it is left.
func withLabLeavingNothing(_ body: (String) async throws -> Void) async throws {
  let path = try await withLabDirectory { path in
    try await body(path)
    return path
  }
  #expect(try await traces(of: path) == [])
}
