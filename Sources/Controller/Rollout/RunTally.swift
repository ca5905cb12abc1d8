/// What a run came to, for its exit code and its last line.
package struct RunTally: Hashable, Sendable {
  package var current = 0
  package var failed = 0
  package var reverted = 0
  package var unreachable = 0
  package var unknown = 0
  /// Changed, and waiting for a person's word.
  package var awaiting = 0
  /// Something of ours went wrong, whatever the hosts did.
  package var errors = 0
  /// A guard said no: confirmation, approval, stale plan, lockout proof.
  package var refusals = 0
  /// Drift, failed checks, or changes with `--detailed-exitcode`.
  package var findings = 0
  package var interrupted = false

  package init() {}

  package mutating func count(_ result: DeliveryResult) {
    if result.isRefusedByGuard {
      refusals += 1
      return
    }
    switch result {
    case .current: current += 1
    case .awaiting: awaiting += 1
    case .reverted: reverted += 1
    case .failed, .stale: failed += 1
    case .unreachable: unreachable += 1
    case .unknown: unknown += 1
    }
  }

  package var exitCode: ExitCode {
    if interrupted { return .interrupted }
    if errors > 0 { return .error }
    if refusals > 0 { return .refused }
    if failed + reverted > 0 { return .someFailed }
    // A lost answer is a host that cannot be asked: it is not known to have failed.
    if unreachable + unknown > 0 { return .someUnreachable }
    if findings > 0 { return .finding }
    return .done
  }
}

/// The exit codes that every verb shares.
package enum ExitCode: Int32, Hashable, Sendable, CaseIterable {
  case done = 0
  case error = 1
  case finding = 2
  case someFailed = 3
  case someUnreachable = 4
  case refused = 5
  case usage = 64
  case interrupted = 130
}
