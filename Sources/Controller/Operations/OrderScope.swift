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
    try check(meant: Set(try inventory.hosts(matching: pattern).map(\.id)), of: inventory, doing: operation)
  }

  /// A word is a group where people write it, and any label where a host reads it.
  private func check(meant: Set<HostID>, of inventory: HostInventory, doing operation: String) throws(Failure) {
    guard !meant.isEmpty else { throw Failure(operation, because: Reason("it means no host"), kind: .usage) }
    let others = inventory.hosts.filter { includes($0) != meant.contains($0.id) }.map(\.id.description)
    guard others.isEmpty else {
      throw Failure(
        operation,
        because: Reason(
          "by their portcullis_labels \(Folding.fold(others)) would read it otherwise than the pattern, which knows groups"
        ),
        hint: "give the label or the group another name, or name hosts: -l 'web[01-20]'", kind: .refused)
    }
  }

  /// By the inventory: a host goes by what its release says of it.
  package func includes(_ host: InventoryHost) -> Bool { includes(host.id, labels: host.groups + host.labels) }

  private static func word(_ word: PatternScope.Word) -> String {
    switch word {
    case .everyHost: everyHost
    case .group(let name): name
    case .host(let host): self.word(for: host)
    }
  }

  /// A pattern that means the same.
  package var pattern: String {
    func name(_ word: String) -> String { word.hasPrefix("host:") ? String(word.dropFirst("host:".count)) : word }
    return (any.map(name) + all.map { "&\(name($0))" } + none.map { "!\(name($0))" }).joined(separator: ",")
  }

  /// For people to read.
  package var words: String {
    ((any.isEmpty ? ["nobody"] : any) + all.map { "&\($0)" } + none.map { "!\($0)" }).joined(separator: ",")
  }
}
