internal import Core
package import Ruleset

extension DiffLine {
  /// The line with its mark, for people: our chains under the names the policy gave them, our hooks labelled.
  package var shown: String {
    let mark =
      switch kind {
      case .header, .gap: ""
      case .context: " "
      case .added: "+"
      case .removed: "-"
      }
    // A set or a setting that differs stands among the chains, and is none.
    guard let chain, BuiltInChains.chains(of: table) != nil else { return mark + text }
    if OwnedNames.isOurs(chain) {
      let named = String(decoding: OwnedNames.shown(line: Array(text.utf8)), as: UTF8.self)
      return mark + named + (text.hasPrefix(":") ? "   (our chain \(SafeText.escape(chain)))" : "")
    }
    let words = text.split(separator: " ")
    guard words.count >= 4, words[words.count - 2] == "-j", OwnedNames.isOurs(String(words[words.count - 1])) else {
      return mark + text
    }
    return mark + text + "   (our hook in \(SafeText.escape(chain)))"
  }
}
