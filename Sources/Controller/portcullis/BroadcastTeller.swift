import Console
import Core
import Operations
import Rollout
import Synchronization

/// Shows a broadcast while it goes on: counts on a terminal, who did not obey as that becomes known, and ndjson as it
/// comes.
final class BroadcastTeller: Sendable {
  private struct State {
    var news: BroadcastNews
    var lines = BroadcastLines()
    var tally: OrderTally?
    /// Nobody reads them any more, or they cannot be written: the order goes on all the same.
    var isDeaf = false
  }

  /// What becomes known within that is told together.
  private static let pace = Duration.seconds(1)

  private let order: SealedOrder
  private let isStream: Bool
  /// Of the line that counts; nil where there is none.
  private let width: Int?
  private let begun = ContinuousClock.now
  private let state: Mutex<State>

  /// - Parameter timeout: of one try of a host.
  init(_ order: SealedOrder, _ format: OutputFormat, timeout: Duration) {
    self.order = order
    isStream = format == .ndjson
    width = format == .text || format == .wide ? Terminal.width : nil
    state = Mutex(State(news: BroadcastNews(patience: timeout)))
  }

  /// - Parameter bringing: is to hand everything that becomes known to the function it gets.
  func during<Result: Sendable>(
    _ bringing: (@escaping @Sendable (OrderTally, [HostID]) -> Void) async throws -> Result
  ) async throws -> Result {
    if isStream { state.withLock { stream(&$0) { try $0.head(order) } } }
    let pulse = Task {
      while !Task.isCancelled {
        try await Task.sleep(for: Self.pace)
        tellNews()
      }
    }
    defer {
      pulse.cancel()
      // What follows is not written over.
      state.withLock { state in
        state.tally = nil
        if width != nil { Terminal.progress("") }
      }
    }
    return try await bringing { self.hear($0, $1) }
  }

  /// The rest of the stream.
  func end(_ tally: OrderTally) { state.withLock { stream(&$0) { try $0.end(tally) } } }

  private func hear(_ tally: OrderTally, _ hosts: [HostID]) {
    state.withLock { state in
      state.tally = tally
      state.news.hear(hosts)
      if isStream { stream(&state) { try $0.lines(tally, of: hosts) } }
      progress(tally)
    }
  }

  private func tellNews() {
    guard !isStream else { return }
    state.withLock { state in
      guard let tally = state.tally else { return }
      let lines = state.news.lines(tally, after: begun.duration(to: .now))
      guard !lines.isEmpty else { return }
      if width != nil { Terminal.progress("") }
      Terminal.say(String(lines.dropLast()))
      progress(tally)
    }
  }

  private func progress(_ tally: OrderTally) {
    guard let width else { return }
    Terminal.progress(BroadcastDocument.line(order, tally, atMost: width - 1))
  }

  private func stream(_ state: inout State, _ lines: (inout BroadcastLines) throws -> String) {
    guard !state.isDeaf else { return }
    do { state.isDeaf = try !Terminal.data(lines(&state.lines)) } catch {
      state.isDeaf = true
      Terminal.complain(Failure("print what hosts did", because: error))
    }
  }
}
