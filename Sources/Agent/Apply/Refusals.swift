internal import Core
internal import Release
internal import Ruleset
internal import Wire

// How faults of the rooms below become what the wire can say. Texts come from bundles and programs: safe to show.

/// Longest words in a refusal or an outcome, in bytes of UTF-8, roughly; longer ones are cut.
private let maximumDetail = 1024

func cut(_ text: String) -> String {
  text.utf8.count <= maximumDetail ? text : text.prefix(maximumDetail / 4 * 3) + "…"
}

extension Refusal {
  init(_ problem: BundleProblem) {
    let code: Code =
      switch problem.kind {
      case .malformed: .malformed
      case .tooLarge: .tooLarge
      case .badSignature: .badSignature
      case .unknownKey: .unknownKey
      case .expiredKey: .expiredKey
      case .otherNamespace: .otherNamespace
      case .otherHost: .otherHost
      case .otherFleet: .otherFleet
      case .olderSerial: .olderSerial
      case .equalSerialOtherBytes: .equalSerialOtherBytes
      case .serialTooFarAhead: .serialTooFarAhead
      case .releaseExpired: .releaseExpired
      }
    self.init(code: code, detail: cut(problem.description))
  }

  init(_ problem: OrderProblem) {
    let code: Code =
      switch problem.kind {
      case .malformed: .malformed
      case .tooLarge: .tooLarge
      case .badSignature: .badSignature
      case .unknownKey: .unknownKey
      case .expiredKey: .expiredKey
      case .otherNamespace: .otherNamespace
      case .otherFleet: .otherFleet
      case .unsigned: .unsigned
      case .tooFewPrincipals: .tooFewPrincipals
      case .olderEpoch: .olderEpoch
      case .equalEpochOtherBytes: .equalEpochOtherBytes
      case .epochTooFarAhead: .epochTooFarAhead
      case .orderExpired: .orderExpired
      case .clockOff: .clockOff
      case .unknownProfile: .unknownProfile
      case .profileMissing: .profileMissing
      case .profileAltered: .profileAltered
      case .emptyScope: .emptyScope
      case .wouldLoosen: .wouldLoosen
      }
    self.init(code: code, detail: cut(problem.description))
  }

  /// Rules that do not parse; the place is the first mistake's.
  init(_ diagnostics: Diagnostics, in family: Family) {
    let lines = diagnostics.all.prefix(5).map { SafeText.escape("line \($0.location.line): \($0.message)") }
    let more = diagnostics.all.count > lines.count ? "; and \(diagnostics.all.count - lines.count) more" : ""
    self.init(
      code: .rulesDoNotParse,
      detail: cut("\(BundleFile.rules(family).fileName): \(lines.joined(separator: "; "))\(more)"),
      location: diagnostics.all.first.map { RuleLocation(family: family, line: $0.location.line) })
  }

  /// A rehearsal's failure, with the bundle's line that the program stumbled over, if that is known.
  init(rehearsing problem: FirewallProblem, line: Int?) {
    guard problem.program != FirewallProblem.setProgram else {
      self.init(code: .setsRefused, detail: cut("rehearse: \(problem)"))
      return
    }
    guard problem.kind == .refused, let family = problem.family else {
      self.init(code: .internalError, detail: cut("rehearse: \(problem)"))
      return
    }
    let place = line.map { "\(BundleFile.rules(family).fileName) line \($0): " } ?? ""
    self.init(
      code: .rulesDoNotLoad, detail: cut("\(place)\(problem)"),
      location: line.map { RuleLocation(family: family, line: $0) })
  }

  /// Any other fault, with what was being done.
  init(_ operation: String, _ error: any Error) {
    if let refusal = error as? Refusal {
      self = refusal
      return
    }
    let isFull = (error as? SystemCallError)?.isFullDisk ?? false
    self.init(
      code: isFull ? .diskFull : .internalError,
      detail: cut(SafeText.escape("\(operation): \(ErrorChain(error).message)")))
  }
}
