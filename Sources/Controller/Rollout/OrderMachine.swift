package import Core
package import Wire

/// Brings one order to one host, again and again until it obeys, refuses, or time is over, and knows what may be claimed.
/// It owns no socket and no clock: each event brings the time, and returns the one thing to do next.
///
/// The same bytes may be sent as often as one likes: a host that has obeyed says so. So a lost answer is looked for by
/// asking again, also after the order's time is over; a host that cannot have heard it is not asked any more then.
package struct OrderMachine: Sendable {
  /// Since any moment the caller likes; it only goes forward.
  package typealias Time = Duration

  package enum Answer: Hashable, Sendable {
    case obeyed(Obeyed)
    case refused(Refusal)
  }

  package enum Event: Hashable, Sendable {
    /// Over the connection of the attempt.
    case answered(AgentHello, Answer)
    /// Without an answer. In words for an operator.
    case failed(String, mayHaveHeard: Bool)
    /// A later order that is for the host was sent, by whomever: this one is not brought there any more.
    case overtaken(by: Epoch)
    /// The pause is over.
    case tick
    /// The run ends now.
    case interrupted
  }

  package enum Action: Hashable, Sendable {
    /// Connect, and send the order with the greeting.
    case attempt
    case pause(until: Time)
    /// `claim` stays as it is.
    case finish
  }

  package static let firstBackOff = Duration.milliseconds(500)
  package static let longestBackOff = Duration.seconds(30)
  /// Before the end of its time a host is tried once more.
  private static let margin = Duration.seconds(1)

  private enum State {
    case idle
    case asking
    case pausing(until: Time)
    case finished
  }

  package let target: OrderTarget
  package private(set) var claim: OrderClaim
  /// Attempts that were begun.
  package private(set) var tries = 0
  private var state = State.idle
  private var mayHaveHeard: Bool
  /// No attempt begins later.
  private let end: Time
  /// The order's own end.
  private let late: Time
  private let jitter: @Sendable () -> Double

  /// - Parameters:
  ///   - earlier: what an earlier run may claim of this host.
  ///   - late: when the order's `arriveBy` has come.
  ///   - jitter: 0 to 1, so that hosts that failed together are not tried together.
  package init(
    target: OrderTarget, earlier: OrderClaim = .waiting, end: Time, late: Time,
    jitter: @escaping @Sendable () -> Double = { .random(in: 0...1) }
  ) {
    self.target = target
    self.end = end
    self.late = late
    self.jitter = jitter
    claim = earlier
    mayHaveHeard = earlier.mayHaveHeard
  }

  package mutating func start(at now: Time) -> Action {
    guard case .idle = state else { return .finish }
    return mayStillHear(at: now) ? attempt() : finish()
  }

  package mutating func handle(_ event: Event, at now: Time) -> Action {
    switch (state, event) {
    case (.finished, _): return .finish
    case (_, .interrupted):
      state = .finished
      return .finish
    case (_, .overtaken(let later)): return overtaken(by: later)
    case (.asking, .answered(let hello, let answer)): return answered(hello, answer, at: now)
    case (.asking, .failed(let why, let mayHaveHeard)): return failed(why, mayHaveHeard, at: now)
    case (.pausing(let until), .tick):
      guard now >= until else { return .pause(until: until) }
      return mayStillHear(at: now) ? attempt() : finish()
    case (.idle, .answered), (.idle, .failed), (.idle, .tick): return start(at: now)
    case (.asking, .tick): return .attempt
    case (.pausing(let until), .answered), (.pausing(let until), .failed): return .pause(until: until)
    }
  }

  // MARK: - Answers

  /// The order has gone out by then, to a host that judges it for itself; only what it says of itself does not count.
  private mutating func answered(_ hello: AgentHello, _ answer: Answer, at now: Time) -> Action {
    guard hello.host == target.host, hello.fleet == target.fleet else {
      return failed("the host that answered is \(hello.host) of fleet \(hello.fleet)", false, at: now)
    }
    switch answer {
    case .obeyed(let obeyed):
      let (judged, isFinal) = target.judge(obeyed)
      claim = judged
      mayHaveHeard = true
      return isFinal ? finish() : again(at: now)
    case .refused(let refusal):
      let words = SafeText.escape(refusal.detail)
      guard refusal.code == .busy else {
        claim = .refused(refusal.code, words)
        mayHaveHeard = false
        return finish()
      }
      // It did not come to hear it this time; it may have before.
      claim = mayHaveHeard ? .unsure(words) : .refused(.busy, words)
      return again(at: now)
    }
  }

  private mutating func failed(_ why: String, _ mayHaveHeard: Bool, at now: Time) -> Action {
    self.mayHaveHeard = self.mayHaveHeard || mayHaveHeard
    switch claim {
    // What it said stands.
    case .acknowledged, .verified, .notMeant: break
    case .waiting, .unreachable, .unsure, .refused, .notAsked, .overtaken:
      claim = self.mayHaveHeard ? .unsure(why) : .unreachable(why)
    }
    return again(at: now)
  }

  private mutating func overtaken(by later: Epoch) -> Action {
    state = .finished
    switch claim {
    case .acknowledged, .verified, .notMeant: break
    case .waiting, .unreachable, .unsure, .refused, .notAsked, .overtaken:
      claim = .overtaken(by: later, mayHaveHeard: mayHaveHeard)
    }
    return .finish
  }

  // MARK: - Time

  private func mayStillHear(at now: Time) -> Bool { mayHaveHeard || now < late }

  private mutating func attempt() -> Action {
    tries += 1
    state = .asking
    return .attempt
  }

  private mutating func again(at now: Time) -> Action {
    let last = min(end, mayHaveHeard ? end : late) - Self.margin
    guard last >= now + Self.firstBackOff else { return finish() }
    let until = min(now + Self.backOff(after: tries) * (0.75 + jitter() / 2), last)
    state = .pausing(until: until)
    return .pause(until: until)
  }

  /// 0.5 s after the first attempt, then twice as long each time, up to 30 s.
  package static func backOff(after tries: Int) -> Duration {
    // Six doublings pass the longest.
    min(firstBackOff * (1 << min(max(tries - 1, 0), 6)), longestBackOff)
  }

  private mutating func finish() -> Action {
    state = .finished
    if !mayHaveHeard, late <= end, isUntold {
      claim = .notAsked(
        "order \(target.epoch) had to arrive by \(target.arriveBy)"
          + (target.isMeant ? ": it needs a fresh order" : ", and is not for it") + (lastWords.map { "; \($0)" } ?? ""))
    }
    return .finish
  }

  /// No answer of its own is known.
  private var isUntold: Bool {
    switch claim {
    case .waiting, .unreachable, .notAsked: true
    case .unsure, .refused, .acknowledged, .verified, .notMeant, .overtaken: false
    }
  }

  private var lastWords: String? {
    if case .unreachable(let why) = claim { why } else { nil }
  }
}
