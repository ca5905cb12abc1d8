/// Where a host sees us come from, over each of its own addresses: one source for each family at least, as a rule. Rules
/// that admit only the one of today would shut the others.
struct ManagementWays: Hashable, Sendable {
  /// Sorted.
  let sources: [String]
  /// Addresses of the host that did not answer, in the order they were asked. Rules may shut us out over these.
  let silent: [String]

  /// How often an address is asked: a busy host may miss the first.
  static let tries = 2

  /// - Parameters:
  ///   - first: the source of the report that came first, over whichever address; it is a way in whatever follows.
  ///   - ask: the source that a report over this address says.
  static func learn(
    first: String, over addresses: [String], ask: (String) async throws -> String
  ) async -> ManagementWays {
    var sources: Set<String> = [first]
    var silent: [String] = []
    addresses: for address in addresses {
      for _ in 0..<tries {
        // Why it does not answer is told by whoever tries to use it; here it matters that it does not.
        if let source = try? await ask(address) {
          sources.insert(source)
          continue addresses
        }
      }
      silent.append(address)
    }
    return ManagementWays(sources: sources.filter { !$0.isEmpty }.sorted(), silent: silent)
  }
}
