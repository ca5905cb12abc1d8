import ArgumentParser
import Console
import Core
import Glibc
import Operations
import Synchronization

/// A verb does its work in `perform`; errors are printed here, once, and become exit codes.
protocol Verb: AsyncParsableCommand {
  /// The verb's exit code, when it did its job (`docs/cli.md`).
  func perform() async throws -> Int32
}

extension Verb {
  mutating func run() async throws {
    let verb = self
    // Not SIG_IGN: children would inherit it.
    signal(SIGPIPE) { _ in }
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
    fflush(stdout)
    if code != 0 { throw ExitCode(Interruption.happened ? 130 : code) }
  }
}

/// Ctrl-C once: no new hosts are started and those in flight are finished or left to themselves, which they survive.
/// Twice: the process ends.
enum Interruption {
  private static let count = Atomic<Int>(0)
  private static let pending = Mutex<Task<Int32, any Error>?>(nil)

  static var happened: Bool { count.load(ordering: .relaxed) > 0 }

  static func cancel(_ work: Task<Int32, any Error>) {
    pending.withLock { $0 = work }
    signal(SIGINT) { _ in Interruption.interrupted() }
    signal(SIGTERM) { _ in Interruption.interrupted() }
  }

  /// In a signal handler only async-signal-safe things are allowed, and a task cannot be cancelled there: the handler
  /// writes a byte to a pipe that a thread of its own reads.
  private static func interrupted() {
    if count.add(1, ordering: .relaxed).oldValue > 0 { _exit(130) }
    var byte: UInt8 = 0
    write(waker, &byte, 1)
  }

  private static let waker: Int32 = {
    var ends: [Int32] = [0, 0]
    pipe2(&ends, O_CLOEXEC)
    let readEnd = ends[0]
    var thread = pthread_t()
    let context = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
    context.pointee = readEnd
    pthread_create(
      &thread, nil,
      { context in
        let readEnd = context!.assumingMemoryBound(to: Int32.self).pointee
        var byte: UInt8 = 0
        if read(readEnd, &byte, 1) == 1 { Interruption.pending.withLock { $0?.cancel() } }
        return nil
      }, context)
    pthread_detach(thread)
    return ends[1]
  }()

  /// The pipe must exist before the first signal.
  static func prepare() { _ = waker }
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

enum Terminal {
  static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 }

  /// https://no-color.org: any value that is not empty.
  static var colour: Bool {
    guard isatty(STDOUT_FILENO) == 1 else { return false }
    if let value = getenv("NO_COLOR"), value.pointee != 0 { return false }
    if let term = getenv("TERM"), String(cString: term) == "dumb" { return false }
    return true
  }

  /// A line for the person, not for scripts.
  static func say(_ line: String) { fputs(line + "\n", stderr) }

  static func complain(_ error: any Error) {
    let chain = ErrorChain(error)
    for (index, line) in chain.message.split(separator: "\n").enumerated() {
      say((index == 0 ? "error: " : "       ") + SafeText.escape(line))
    }
    for hint in chain.hints { say("hint: " + SafeText.escape(hint)) }
  }

  static func print(_ document: some Document, _ options: OutputOptions) throws {
    let text = try DocumentPrinter.render(document, as: options.output, colour: colour)
    fputs(text, stdout)
    fflush(stdout)
  }

  /// A line typed at the terminal, nil at its end.
  static func ask(_ question: String) -> String? {
    fputs(question, stderr)
    return readLine(strippingNewline: true)
  }
}
