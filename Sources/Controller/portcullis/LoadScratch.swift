import ArgumentParser
import Glibc
import Operations

/// What `validate`, `plan` and `apply` run inside network namespaces of its own.
struct LoadScratch: Verb {
  static let configuration = CommandConfiguration(
    commandName: "load-scratch", abstract: "Load rules into this network namespace, which must be a scratch one.",
    shouldDisplay: false)

  func perform() async throws -> Int32 {
    let input = try Piped.standardInput(atMost: 256 << 20)
    Terminal.write(String(decoding: try await ScratchLoad.load(input), as: UTF8.self), to: STDOUT_FILENO)
    return 0
  }
}
