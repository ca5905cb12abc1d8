internal import Core
internal import Inventory

/// Hosts of which the same is to be told, and what: 400 hosts that do not answer are one line, although each was tried at
/// addresses of its own.
struct Alike<Key: Hashable> {
  let key: Key
  private(set) var hosts: [String]
  /// Whole where all say the very same.
  private(set) var texts: [String]

  private struct Bucket: Hashable {
    let key: Key
    let texts: [String]
  }

  /// In the order of their first hosts. Keys must be equal, texts but for what is each host's own; `-o wide` leaves nothing
  /// out.
  static func fold(_ said: [(host: String, key: Key, texts: [String])], _ style: TextStyle) -> [Alike] {
    var groups: [Alike] = []
    var indices: [Bucket: Int] = [:]
    for (host, key, texts) in said {
      let brief = style.wide ? texts : texts.map { Brief.text($0, of: host) }
      let bucket = Bucket(key: key, texts: brief)
      guard let index = indices[bucket] else {
        indices[bucket] = groups.count
        groups.append(Alike(key: key, hosts: [host], texts: texts))
        continue
      }
      groups[index].hosts.append(host)
      if groups[index].texts != texts { groups[index].texts = brief }
    }
    return groups
  }
}

/// What a host said, without what is its own: its name, addresses, keys and times.
enum Brief {
  /// A clause that is nothing else goes, and one that is said again; another's word becomes `…`.
  static func text(_ text: String, of host: String) -> String {
    var clauses: [[Substring]] = [[]]
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
      clauses[clauses.count - 1].append(isOwn(word, of: host) ? replaced(word) : word)
      if let last = word.last, terminators.contains(last) { clauses.append([]) }
    }
    var seen: Set<String> = []
    let kept = clauses.filter { clause in
      let bare = trimmed(clause.joined(separator: " "))
      return !bare.isEmpty && bare != elided && seen.insert(bare).inserted
    }
    let brief = trimmed(kept.map { $0.joined(separator: " ") }.joined(separator: " "))
    return brief.isEmpty ? text : brief
  }

  private static let elided = "…"
  private static let terminators: Set<Character> = [":", ";"]
  private static let closing: Set<Character> = [":", ";", ",", ".", ")", "'", "\""]

  /// Without the end of a clause.
  private static func trimmed(_ clause: String) -> String {
    String(clause[..<endOfWords(clause[...], before: terminators)])
  }

  /// With what follows it.
  private static func replaced(_ word: Substring) -> Substring {
    elided + word[endOfWords(word, before: closing)...]
  }

  private static func endOfWords(_ text: Substring, before closing: Set<Character>) -> String.Index {
    text.lastIndex { !closing.contains($0) }.map(text.index(after:)) ?? text.startIndex
  }

  private static func isOwn(_ word: Substring, of host: String) -> Bool {
    var bare = word.drop { $0 == "(" || $0 == "'" || $0 == "\"" }
    bare = bare[..<endOfWords(bare, before: closing)]
    if bare == host || bare.hasPrefix("SHA256:") || UTCTime(bare) != nil { return true }
    return isAddress(bare)
  }

  /// `192.0.2.1`, `2001:db8::1`, either with a port.
  private static func isAddress(_ word: Substring) -> Bool {
    if word.first == "[" { return NumericAddress(String(word.dropFirst().prefix { $0 != "]" })) != nil }
    if NumericAddress(String(word)) != nil { return true }
    guard let colon = word.lastIndex(of: ":"), UInt16(word[word.index(after: colon)...]) != nil else { return false }
    return NumericAddress(String(word[..<colon])) != nil
  }
}
