internal import Core

/// Our chains' names, so that they meet nobody else's, within the 28 bytes the kernel keeps.
///
/// `INPUT` becomes `PCL-INPUT`; the policy's own chain `web` becomes `PCL:web`. A name too long for that keeps its
/// beginning, and ends in `~` and eight digits of its hash.
package enum OwnedNames {
  static let maximumLength = 28
  private static let builtInPrefix = "PCL-"
  private static let userPrefix = "PCL:"
  /// Of the chain that holds the rules of a built-in one, where `PCL-INPUT` itself only adds the default.
  private static let inner = "-RULES"

  /// Whether a chain of this name is ours.
  package static func isOurs(_ chain: String) -> Bool { chain.hasPrefix(builtInPrefix) || chain.hasPrefix(userPrefix) }

  /// The policy's own name for one of our chains, for showing; a foreign chain's name comes back as it is.
  package static func shown(_ chain: String) -> String {
    // An ipset stands among the chains where it differs; its name says what it holds.
    guard isOurs(chain), chain.utf8.count > builtInPrefix.utf8.count, !SetName.isOurs(chain) else { return chain }
    if chain.hasPrefix(userPrefix) {
      return isShortened(chain) ? chain : String(chain.dropFirst(userPrefix.count))
    }
    let name = String(chain.dropFirst(builtInPrefix.count))
    return name.hasSuffix(inner) && name.count > inner.count ? String(name.dropLast(inner.count)) : name
  }

  /// A rule or declaration as printed, with our chains under their own names.
  package static func shown(line: [UInt8]) -> [UInt8] {
    var shown: [UInt8] = []
    shown.reserveCapacity(line.count)
    var start = line.startIndex
    var namesChain = false
    while start < line.endIndex {
      let end = endOfWord(line, from: start)
      let word = line[start..<end]
      if start == 0, word.first == UInt8(ascii: ":") {
        shown.append(UInt8(ascii: ":"))
        shown += Self.shown(word: word.dropFirst())
      } else {
        shown += namesChain ? Self.shown(word: word) : Array(word)
      }
      if !word.isEmpty {
        namesChain = ["-A", "-j", "-g"].contains { word.elementsEqual($0.utf8) }
      }
      if end < line.endIndex { shown.append(line[end]) }
      start = end + 1
    }
    return shown
  }

  private static func shown(word: ArraySlice<UInt8>) -> [UInt8] {
    Array(Self.shown(String(decoding: word, as: UTF8.self)).utf8)
  }

  /// The first space outside quotes, or the end.
  private static func endOfWord(_ line: [UInt8], from start: Int) -> Int {
    var index = start
    var isOpen = false
    while index < line.endIndex {
      switch line[index] {
      case quote: isOpen.toggle()
      case UInt8(ascii: "\\") where isOpen: index += 1
      case space where !isOpen: return index
      default: break
      }
      index += 1
    }
    return line.endIndex
  }

  // MARK: Making names

  static func builtIn(_ chain: String) -> String { builtInPrefix + chain }

  static func inner(_ chain: String) -> String { builtInPrefix + chain + inner }

  static func user(_ chain: String) -> String {
    let whole = userPrefix + chain
    // A short name that looks shortened must not meet one that was.
    guard whole.utf8.count > maximumLength || isShortened(whole) else { return whole }
    let hash = "~" + Digest(of: chain.utf8).hex.prefix(8)
    let kept = maximumLength - userPrefix.utf8.count - hash.utf8.count
    return userPrefix + String(decoding: chain.utf8.prefix(kept), as: UTF8.self) + hash
  }

  private static func isShortened(_ chain: String) -> Bool {
    let bytes = Array(chain.utf8)
    return bytes.count == maximumLength && bytes[maximumLength - 9] == UInt8(ascii: "~")
  }
}
