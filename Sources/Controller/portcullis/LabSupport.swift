import Core
import Foundation
import Glibc
import Lab
import Operations

/// Enters the network of a lab's controller: the program is run again inside it, because a namespace is entered by
/// threads, and a process like ours has many.
enum LabNamespace {
  /// Returns when the process is inside, and otherwise not at all.
  static func enter(_ directory: String) throws {
    let fleet = try LabFleet(directory: directory)
    guard !fleet.isEntered else { return }
    guard ProcessInfo.processInfo.environment[LabFleet.namespaceVariable] == nil else {
      throw Failure("enter the lab in \(directory)", because: Reason("its controller's network changed meanwhile"))
    }
    try fleet.reexecArguments(Array(CommandLine.arguments.dropFirst())).execute()
  }
}

enum LabConfiguration {
  static func text(_ lab: LabDirectory) -> String {
    """
    # Written by portcullis lab up. Every verb works with --config \(lab.configuration)
    fleet: lab
    inventory: inventory
    policies: policies
    state: state
    keys:
      allowed_signers: keys/allowed_signers
      signing_key: keys/release
    ssh:
      identity: keys/controller
      known_hosts: known_hosts
      admin_identity: keys/admin
    agents: \(AgentExecutable.ownFolder)
    lab: \(lab.path)

    """
  }
}

enum LabPolicies {
  /// The examples that come with the source, or where packages put them.
  static func ofThisCheckout() throws -> String {
    let own = AgentExecutable.ownFolder
    let candidates = [own + "/../../../policies", own + "/../share/portcullis/policies"]
    guard let found = candidates.first(where: { access($0 + "/base.yaml", R_OK) == 0 }) else {
      throw Failure(
        "find the example policies", because: Reason("they do not stand beside this executable"),
        hint: "name one with --policies",
        kind: .usage)
    }
    return found
  }
}

/// Runs this very program with other arguments, its output on our standard error.
enum OwnProgram {
  static func run(_ arguments: [String]) async throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = arguments
    process.standardOutput = FileHandle.standardError
    process.standardInput = FileHandle.nullDevice
    let status = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Int32, any Error>) in
      process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
      do { try process.run() } catch { continuation.resume(throwing: error) }
    }
    guard status == 0 else {
      throw Failure(
        "run portcullis \(arguments.prefix(2).joined(separator: " "))", because: Reason("it ended with \(status)"))
    }
  }
}
