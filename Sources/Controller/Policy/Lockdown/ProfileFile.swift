internal import Core

/// A lockdown profile as its file says it: what still passes while a host is locked. Read and checked by itself, not yet
/// for any host.
struct ProfileFile: Sendable {
  let name: ProfileName
  let file: String
  /// Where its name is said: for what no other line of it says.
  let place: SourceLocation
  let description: String?
  let rank: LockRank
  /// Groups of the inventory.
  let appliesTo: [Located<String>]
  let definitions: CommonFile
  /// What nobody says is accepted.
  let dropped: Set<BuiltInHook>
  /// Flows that live on, also those that were there before.
  let keep: [BuiltInHook: [TrafficMatch]]
  /// What may begin, or may not, in the order it is asked. Only `accept`, `drop` and `log`.
  let items: [BuiltInHook: [FilterItem]]

  var matches: [TrafficMatch] {
    BuiltInHook.allCases.flatMap { (keep[$0] ?? []) + (items[$0] ?? []).map(\.match) }
  }
}

extension BuiltInHook {
  /// Where the answers to what passes here pass.
  var answering: BuiltInHook {
    switch self {
    case .input: .output
    case .output: .input
    case .forward: .forward
    }
  }
}
