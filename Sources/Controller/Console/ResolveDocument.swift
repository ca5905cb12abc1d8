internal import Core
package import Operations

package struct ResolveDocument: Document {
  package static let kind = "Resolve"

  package struct Name: Encodable, Sendable {
    let name: String
    let pinned: [String]
    let found: [String]
    let moved: Bool
    let problem: String?

    init(_ name: NameResolution.Name) {
      self.name = name.name
      pinned = name.pinned
      found = name.found
      moved = name.hasMoved
      problem = name.problem.map { SafeText.escape($0) }
    }
  }

  let lock: String
  let written: Bool
  let resolved: [Name]

  package init(_ resolution: NameResolution, lock: String, written: Bool) {
    self.lock = lock
    self.written = written
    resolved = resolution.names.map(Name.init)
  }

  package var names: [String] { resolved.map(\.name) }
  package var records: [any Encodable] { resolved }
  package var summary: [String: Int] {
    ["names": resolved.count, "moved": resolved.count { $0.moved }, "failed": resolved.count { $0.problem != nil }]
  }

  package func text(_ style: TextStyle) -> String {
    guard !resolved.isEmpty else { return "no DNS names in policies or in the groups they name\n" }
    return resolved.map { Self.line($0, style) }.joined()
      + (written ? "written to \(SafeText.escape(lock))\n" : "nothing was written\n")
  }

  static func line(_ name: Name, _ style: TextStyle) -> String {
    let pinned = name.pinned.isEmpty ? "not pinned" : name.pinned.joined(separator: " ")
    if let problem = name.problem { return "\(name.name)   \(pinned)   \(Paint.bad.on(problem, style))\n" }
    return name.moved
      ? "\(name.name)   \(pinned) -> \(Paint.bad.on(name.found.joined(separator: " "), style))\n"
      : "\(name.name)   \(pinned)\n"
  }
}
