import ArgumentParser
import Core
import Glibc
import Operations

/// What `validate`, `plan` and `apply` run inside network namespaces of its own.
struct LoadScratch: Verb {
  static let configuration = CommandConfiguration(
    commandName: "load-scratch", abstract: "Load rules into this network namespace, which must be a scratch one.",
    shouldDisplay: false)

  func perform() async throws -> Int32 {
    let input = try StandardInput.read(atMost: 256 << 20)
    Terminal.write(String(decoding: try await ScratchLoad.load(input), as: UTF8.self), to: STDOUT_FILENO)
    return 0
  }
}

enum StandardInput {
  static func read(atMost limit: Int) throws -> [UInt8] {
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(STDIN_FILENO, &buffer, buffer.count)
      if count == 0 { return content }
      if count < 0 {
        if errno == EINTR { continue }
        throw Failure("read standard input", because: Reason(String(cString: strerror(errno))))
      }
      content += buffer[..<count]
      guard content.count <= limit else {
        throw Failure("read standard input", because: Reason("more than \(limit >> 20) MiB"))
      }
    }
  }
}
