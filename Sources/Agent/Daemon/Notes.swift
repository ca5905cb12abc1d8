internal import Apply
internal import Core
internal import Wire

/// The lines the daemon leaves behind for whoever asks later what happened to this host, and who did it. Safe to print.
enum Notes {
  /// Nil for what changes nothing. `source` is where the SSH connection came from, or empty.
  static func line(_ answer: Answer, from source: String) -> String? {
    switch answer {
    case .applied(.success(.applied(let change))):
      let seconds = (change.millisecondsLeft + 999) / 1000
      let words = "applied manifest \(change.manifest.short), to be confirmed within \(seconds) seconds"
      return line(
        "apply", source, change.warnings.isEmpty ? words : "\(words); \(change.warnings.joined(separator: "; "))")
    case .applied(.success(.outcome(let outcome))): return line("apply", source, words(outcome))
    case .applied(.failure(let refusal)): return line("apply", source, words(refusal))
    case .confirmed(.success(let outcome)): return line("confirm", source, words(outcome))
    case .confirmed(.failure(let refusal)): return line("confirm", source, words(refusal))
    case .cancelled(.success(let outcome)): return line("cancel", source, words(outcome))
    case .cancelled(.failure(let refusal)): return line("cancel", source, words(refusal))
    case .obeyed(let order, .success(let words)): return line(name(order), source, words)
    case .obeyed(let order, .failure(let refusal)): return line(name(order), source, words(refusal))
    case .ordered(.success(let obeyed)): return line("order \(obeyed.epoch)", source, words(obeyed))
    case .ordered(.failure(let refusal)): return line("order", source, words(refusal))
    case .checked, .reported, .text, .observed: return nil
    }
  }

  /// How the change that came from `source` ended without anyone asking.
  static func expired(because why: String, _ end: Result<Outcome, Refusal>, from source: String) -> String {
    let ended =
      switch end {
      case .success(let outcome): words(outcome)
      case .failure(let refusal): words(refusal)
      }
    return line("expire the apply", source, "\(why); \(ended)")
  }

  private static func line(_ what: String, _ source: String, _ words: String) -> String {
    SafeText.escape("\(what) from \(source.isEmpty ? "this host" : source): \(words)")
  }

  private static func name(_ order: LocalOrder) -> String { "local order '\(order.deed)' (\(order.reason))" }

  private static func words(_ outcome: Outcome) -> String {
    "\(outcome.result) serial \(outcome.serial) (manifest \(outcome.manifest.short))"
      + (outcome.detail.isEmpty ? "" : ": \(outcome.detail)")
  }

  private static func words(_ obeyed: Obeyed) -> String {
    let lock = obeyed.lock.map { " (\($0.profile), \($0.reason))" } ?? ""
    return (["\(obeyed.result)\(lock)", "\(obeyed.flowsCut) connections cut"] + obeyed.warnings).joined(separator: "; ")
  }

  private static func words(_ refusal: Refusal) -> String { "refused: \(refusal.detail)" }
}
