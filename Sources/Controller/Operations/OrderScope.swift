package import Core
package import Inventory
package import Release

extension LockScope {
  /// Whom a pattern means, in the words that every host judges by its own name and signed labels.
  package init(_ pattern: String, of inventory: HostInventory) throws(Failure) {
    let scope = try inventory.scope(of: pattern)
    let operation = "put \(quoted(pattern)) into an order"
    let count = scope.any.count + scope.all.count + scope.none.count
    guard count <= Self.maximumWords else {
      throw Failure(
        operation,
        because: Reason("it is \(count) names, and an order has room for \(Self.maximumWords) names and groups"),
        hint: "name groups: make one of these hosts in the inventory, and apply, so that they know it", kind: .usage)
    }
    do throws(FormatProblem) {
      try self.init(any: scope.any.map(Self.word), all: scope.all.map(Self.word), none: scope.none.map(Self.word))
    } catch {
      throw Failure(operation, because: error, kind: .usage)
    }
  }

  private static func word(_ word: PatternScope.Word) -> String {
    switch word {
    case .everyHost: everyHost
    case .group(let name): name
    case .host(let host): self.word(for: host)
    }
  }

  /// As a pattern reads.
  package var words: String {
    ((any.isEmpty ? ["nobody"] : any) + all.map { "&\($0)" } + none.map { "!\($0)" }).joined(separator: ",")
  }
}
