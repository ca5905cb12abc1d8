internal import Core
package import Rollout
package import Store
internal import Wire

// What is claimed of hosts, as the store remembers it.

extension OrderOutcome {
  /// Nil while there is nothing to remember.
  init?(host: HostID, at time: UTCTime, claim: OrderClaim, after: Duration) {
    let kind: Kind
    switch claim {
    case .waiting: return nil
    case .unreachable(let words), .notAsked(let words): kind = .unreachable(words: words)
    case .unsure(let words): kind = .unsure(words: words)
    case .refused(let code, let words): kind = .refused(code: "\(code)", words: words)
    case .acknowledged: kind = .acknowledged
    // That it was not for the host, the result says.
    case .verified, .notMeant: kind = .verified
    case .overtaken(let later, let mayHaveHeard):
      let words = "order \(later) was sent since"
      kind = mayHaveHeard ? .unsure(words: words) : .unreachable(words: words)
    }
    self.init(host: host, at: time, kind: kind)
    guard let obeyed = claim.obeyed else { return }
    result = obeyed.result
    lock = obeyed.lock.map { Lock(epoch: $0.epoch, order: $0.order) }
    flowsCut = obeyed.flowsCut
    microseconds = UInt64(clamping: Int64(after / .microseconds(1)))
    if case .acknowledged(_, let words) = claim { warnings = [words] }
    warnings += obeyed.warnings.map { SafeText.escape($0) }
  }
}

extension OrderOutcome {
  /// What a later run begins with: only whether the host may have heard the order. What it says then counts.
  package var asClaim: OrderClaim {
    switch kind {
    case .verified: .unsure("it obeyed before, and has not answered since")
    case .acknowledged: .unsure(warnings.first ?? "it took the order, and has not answered since")
    case .unsure(let words): .unsure(words)
    case .unreachable(let words): .unreachable(words)
    case .refused: .waiting
    }
  }
}
