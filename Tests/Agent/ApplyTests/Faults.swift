import Core
import Glibc

/// Where a fault strikes. Every call of every seam counts, so that a test can put one at each place there is.
final class Faults {
  enum Plan {
    case none
    /// The call with this number, counted from 1, fails; the next one works again.
    case fail(Int)
    /// From this call on everything fails: a dead disk and dead programs.
    case failFrom(Int)
    /// The process dies in this call, after half of its effect. Nothing has an effect afterwards.
    case die(Int)
  }

  enum Verdict { case proceed, fail, half, nothing }

  var plan = Plan.none
  var errno = EIO
  /// Calls with this name fail.
  var breaks: String?
  /// Only what needs room fails.
  var isFull = false
  private(set) var calls = 0
  private(set) var isDead = false
  private(set) var log: [String] = []

  func restart() {
    plan = .none
    isFull = false
    isDead = false
    calls = 0
    log = []
  }

  func arm(_ plan: Plan, errno: Int32 = EIO) {
    restart()
    self.plan = plan
    self.errno = errno
  }

  func verdict(_ name: String) -> Verdict {
    guard !isDead else { return .nothing }
    calls += 1
    log.append(name)
    if name == breaks { return .fail }
    switch plan {
    case .none: return .proceed
    case .fail(let number): return calls == number ? .fail : .proceed
    case .failFrom(let number):
      if isFull, !["append", "create"].contains(where: name.hasPrefix) { return .proceed }
      return calls >= number ? .fail : .proceed
    case .die(let number):
      guard calls == number else { return .proceed }
      isDead = true
      return .half
    }
  }
}
