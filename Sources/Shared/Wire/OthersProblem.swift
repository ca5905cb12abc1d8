/// Why some of what else filters packets is not known. Agents say it in words; whoever reads them tells by these phrases
/// what helps.
package enum OthersProblem: Hashable, Sendable, CaseIterable {
  /// It could not be read: whatever has none of the other phrases.
  case unread
  /// The other backend has tables, and no program prints them.
  case unprinted
  /// There is too much of it to compare.
  case crowded
  /// What it is compared with was written down later than it should.
  case late

  /// In what an agent says of it; empty for what has none of its own.
  package var phrase: String {
    switch self {
    case .unread: ""
    case .unprinted: "no program on this host prints the other backend's tables"
    case .crowded: "to compare what is in them"
    case .late: "was not written until"
    }
  }

  package static let separator = "; "

  /// What a host said, by kind and in its order.
  package static func parts(of words: String) -> [OthersProblem: [String]] {
    var parts: [OthersProblem: [String]] = [:]
    for part in words.split(separator: separator) {
      let kind = allCases.first { !$0.phrase.isEmpty && part.contains($0.phrase) } ?? .unread
      parts[kind, default: []].append(String(part))
    }
    return parts
  }
}
