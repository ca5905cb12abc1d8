internal import Core

/// The section `containers:` of a policy: who may reach containers, whose published ports bypass INPUT. It becomes a
/// chain that the agent hooks from DOCKER-USER, where Docker runs.
struct ContainerRules: Sendable {
  /// The chain's name in a policy's rules, which is reserved for this.
  static let chain = "CONTAINERS"

  enum Verdict: String, CaseIterable, Sendable {
    case accept, drop, reject
  }

  struct Item: Sendable {
    let verdict: Verdict
    let match: TrafficMatch
  }

  let location: SourceLocation
  let items: [Item]
}
