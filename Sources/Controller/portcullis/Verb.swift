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
        ProcessEnd.now(130)
      }
      Terminal.complain(error)
      ProcessEnd.now(ExitStatus.code(of: error))
    }
    ProcessEnd.now(code != 0 && Interruption.happened ? 130 : code)
  }
}

enum ProcessEnd {
  /// Connections given up may still be closing on their own threads, and exit(3) would run the exit handlers of libssh and
  /// OpenSSL, which free what those threads use. Everything of ours is written by now.
  static func now(_ code: Int32) -> Never {
    fflush(nil)
    _exit(code)
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
