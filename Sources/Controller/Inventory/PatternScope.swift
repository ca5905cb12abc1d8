package import Core

/// A pattern in words that a host can judge by its name and the groups it is in, for orders that every host gets alike.
package struct PatternScope: Hashable, Sendable {
  package enum Word: Hashable, Sendable {
    case everyHost
    case group(String)
    case host(HostID)
  }

  /// A host is meant that has any of `any`, every one of `all` and none of `none`.
  package let any: [Word]
  package let all: [Word]
  package let none: [Word]
}

extension HostInventory {
  /// The same hosts as `hosts(matching:)`. Names of groups stay what they are; ranges, globs, slices and files become the
  /// hosts they name. Where `&` stands before several hosts, the whole pattern does, since a host has one name.
  package func scope(of pattern: String) throws(Failure) -> PatternScope {
    let hosts = try hosts(matching: pattern)
    var words: [PatternPart.Kind: [PatternScope.Word]] = [:]
    for part in try PatternPart.parts(of: pattern, in: self) {
      let found = try part.scopeWords()
      guard part.kind != .kept || found.count == 1 else {
        return PatternScope(any: hosts.map { .host($0.id) }, all: [], none: [])
      }
      words[part.kind, default: []] += found
    }
    return PatternScope(
      any: words[.plain] ?? [.everyHost], all: words[.kept] ?? [], none: words[.removed] ?? [])
  }
}

extension PatternPart {
  fileprivate func scopeWords() throws(Failure) -> [PatternScope.Word] {
    let host = inventory.index(ofHost: body)
    let group = inventory.group(named: body)
    switch (kind, group) {
    case (.plain, _) where host != nil: break
    case (_, let group?) where host == nil || !body.contains("."):
      return [group.name == "all" ? .everyHost : .group(group.name)]
    default: break
    }
    return try indices().map { .host(inventory.hosts[$0].id) }
  }
}
