package import Core

/// Whom an order is for: a host that has any of `any`, all of `all` and none of `none`. A word is `all`, `host:NAME` or a
/// label; each host judges it by its own signed labels.
package struct LockScope: Hashable, Sendable {
  /// Of all three kinds together.
  package static let maximumWords = 64

  /// Sorted by bytes, each once, as are the others. Empty in an order for nobody, which hosts refuse.
  package let any: [String]
  package let all: [String]
  package let none: [String]

  package static let everyHost = "all"
  private static let hostPrefix = "host:"

  package static func word(for host: HostID) -> String { hostPrefix + host.description }

  /// Sorts and drops repetitions.
  package init(any: [String], all: [String] = [], none: [String] = []) throws(FormatProblem) {
    func sortedUnique(_ words: [String]) -> [String] {
      Set(words).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
    self.any = sortedUnique(any)
    self.all = sortedUnique(all)
    self.none = sortedUnique(none)
    let words = self.any + self.all + self.none
    guard words.count <= Self.maximumWords else {
      throw FormatProblem("scope", "\(words.count) words, more than the \(Self.maximumWords) allowed")
    }
    for word in words {
      if let fault = Self.fault(in: word) { throw FormatProblem("scope", fault) }
    }
  }

  package func includes(_ host: HostID, labels: [String]) -> Bool {
    func holds(_ word: String) -> Bool {
      // Labels may look like names of hosts; they never stand for one.
      if Self.isHost(word) { return word == Self.word(for: host) }
      return word == Self.everyHost || labels.contains(word)
    }
    return any.contains(where: holds) && all.allSatisfy(holds) && !none.contains(where: holds)
  }

  var lines: [String] {
    any.map { "scope \($0)" } + all.map { "scope-and \($0)" } + none.map { "scope-not \($0)" }
  }

  static func parse(_ lines: inout StrictLines) throws(FormatProblem) -> LockScope {
    let any = try lines.sortedValues(of: "scope")
    let all = try lines.sortedValues(of: "scope-and")
    let none = try lines.sortedValues(of: "scope-not")
    return try LockScope(any: any, all: all, none: none)
  }

  private static func isHost(_ word: String) -> Bool { word.utf8.starts(with: hostPrefix.utf8) }

  private static func fault(in word: String) -> String? {
    guard isHost(word) else { return Manifest.fault(inLabel: word) }
    let name = String(word.dropFirst(hostPrefix.count))
    return HostID(name) == nil ? "'\(name)' is not a host's name" : nil
  }
}
