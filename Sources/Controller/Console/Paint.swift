/// Colour that only repeats what the text says already.
package enum Paint {
  case added
  case removed
  case heading
  case bad

  package func on(_ text: String, _ style: TextStyle) -> String {
    guard style.colour else { return text }
    return switch self {
    case .added: "\u{1b}[32m\(text)\u{1b}[0m"
    case .removed: "\u{1b}[31m\(text)\u{1b}[0m"
    case .heading: "\u{1b}[1m\(text)\u{1b}[0m"
    case .bad: "\u{1b}[31m\(text)\u{1b}[0m"
    }
  }
}
