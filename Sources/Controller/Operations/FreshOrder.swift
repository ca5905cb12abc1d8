internal import Inventory
internal import Release
internal import Rollout

extension SealedOrder {
  /// The command that makes an order like this one.
  /// - Parameters:
  ///   - hosts: nil for all that it is for, and so it is for more than an order has room for: whoever obeyed stays as it is.
  ///   - approvals: how many people shall sign it.
  package func again(for hosts: [String]? = nil, approvals: Int? = nil) -> String {
    var words = ["portcullis lockdown"]
    switch deed {
    case .lock(let profile): words.append("start \(profile)")
    case .drill(let profile): words.append("drill \(profile)")
    case .lift: words.append("lift")
    }
    let named = hosts.flatMap { $0.count > LockScope.maximumWords ? nil : Folding.fold($0) }
    words.append("-l '\(named ?? terms.scope.pattern)'")
    if let liftsAfter { words.append("--lifts-after \(Self.span(liftsAfter))") }
    if let approvals { words.append("--approvals \(approvals)") }
    return words.joined(separator: " ")
  }

  private static func span(_ seconds: UInt32) -> String {
    let units: [(String, UInt32)] = [("d", 86_400), ("h", 3600), ("m", 60)]
    return units.first { seconds % $0.1 == 0 }.map { "\(seconds / $0.1)\($0.0)" } ?? "\(seconds)s"
  }
}
