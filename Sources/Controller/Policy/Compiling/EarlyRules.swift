internal import Core

/// Answers are accepted before any item is looked at. Where `strict` ends connections with their window, that is too
/// early: what follows here stands before it. None of it lets new connections in, so that items above stay above.
struct EarlyRules: Sendable {
  struct Line: Sendable {
    let family: Family
    let text: String
    let transport: String
    let source: SourceLocation
  }

  static let answers = "-m conntrack --ctstate RELATED,ESTABLISHED"

  /// Answers while the window is open.
  var inside: [Line] = []
  /// Answers that other items let in at any time: `strict` is no reason to cut them.
  var lasting: [Line] = []
  /// Answers when the window is closed.
  var outside: [Line] = []

  /// Of all items of a hook, in the order they are judged.
  static func joined(_ all: [EarlyRules]) -> [Line] {
    let outside = all.flatMap(\.outside)
    guard !outside.isEmpty else { return [] }
    let cut = Set(outside.map(\.transport))
    // Without a transport a rule is about all of them.
    let lasting = all.flatMap(\.lasting).filter {
      cut.contains("") || $0.transport.isEmpty || cut.contains($0.transport)
    }
    return all.flatMap(\.inside) + lasting + outside
  }
}
