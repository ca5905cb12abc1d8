internal import Apply
internal import Core
internal import Glibc

/// The agent, run again by itself to rehearse rules in an empty network stack. unshare(2) acts on one thread, so it is
/// done in a process that has only one, which ends afterwards and takes the stack with it.
///
/// The executable calls `run()` before anything else, parsing of arguments included, when its first argument is
/// `RehearsalChild.argument`, and exits with what it returns:
///
///     if CommandLine.arguments.dropFirst().first == RehearsalChild.argument { exit(RehearsalChild.run()) }
///
/// It reads one request from standard input and writes one answer to standard output. It changes nothing on the host,
/// whoever calls it: without the right to make a namespace it does nothing at all.
package enum RehearsalChild {
  package static let argument = "rehearse-child"

  /// Its programs may each take their whole limit; in the worst case the live rules are tried three times.
  private static let milliseconds = 300_000

  package static func run() -> Int32 {
    guard let bytes = readAll(0), let request = try? RehearsalRequest(decoding: bytes) else { return 64 }
    return answer(request.perform())
  }

  /// Runs this executable again and asks it. `executable` is `/proc/self/exe` but in tests.
  static func ask(
    _ request: RehearsalRequest, executable: String, runner: ProgramRunner
  ) throws(FirewallProblem) -> Rehearsed {
    let result: ProgramResult
    do throws(SystemCallError) {
      result = try runner.run(
        ProgramRequest(
          executable, [argument], input: request.encode(), outputLimit: RehearsalAnswer.maximumBytes,
          milliseconds: milliseconds))
    } catch {
      throw FirewallProblem(.unavailable, program: argument, family: nil, words: error.description)
    }
    guard result.end == .exited(0), let answer = try? RehearsalAnswer(decoding: result.output) else {
      throw FirewallProblem(
        .unavailable, program: argument, family: nil,
        words: "it gave no answer (\(result.end)) \(FirewallCalls.words(result.errors))")
    }
    switch answer {
    case .rehearsed(let rehearsed): return rehearsed
    case .failed(let problem): throw problem
    }
  }

  private static func answer(_ answer: RehearsalAnswer) -> Int32 {
    let bytes = answer.encode()
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        uninterrupted { write(1, buffer.baseAddress! + written, buffer.count - written) }
      }
      guard count > 0 else { return 74 }
      written += count
    }
    return 0
  }

  private static func readAll(_ file: Int32) -> [UInt8]? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = uninterrupted { read(file, &chunk, chunk.count) }
      guard count >= 0, bytes.count <= 256 << 20 else { return nil }
      if count == 0 { return bytes }
      bytes += chunk.prefix(count)
    }
  }
}
