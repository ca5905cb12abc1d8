import ArgumentParser
import Core
import Glibc

/// A verb does its work in `perform`; errors are printed here, once, and become exit codes.
protocol Verb: AsyncParsableCommand, Sendable {
  /// The verb's exit code, when it did its job (`docs/cli.md`).
  func perform() async throws -> Int32
}

extension Verb {
  mutating func run() async throws {
    let verb = self
    // Not SIG_IGN: children would inherit it.
    signal(SIGPIPE) { _ in }
    Interruption.prepare()
    let work = Task { try await verb.perform() }
    Interruption.cancel(work)
    let code: Int32
    do {
      code = try await work.value
    } catch let exit as ExitCode {
      throw exit
    } catch {
      if Interruption.happened {
        Terminal.say("interrupted; run the same command again to go on")
        throw ExitCode(130)
      }
      Terminal.complain(error)
      throw ExitCode(ExitStatus.code(of: error))
    }
    if code != 0 { throw ExitCode(Interruption.happened ? 130 : code) }
  }
}

enum ExitStatus {
  static func code(of error: any Error) -> Int32 {
    switch ErrorChain(error).kind {
    case .error: 1
    case .refused: 5
    case .usage: 64
    }
  }
}

