/// What a lockdown profile is called: a word of a command line, a file's name, and a word of a signed text.
package struct ProfileName: Hashable, Sendable, Comparable, CustomStringConvertible {
  package static let maximumLength = 32

  package let description: String

  /// Nil unless the text is 1–32 of `a`–`z`, `0`–`9` and `-`, not beginning with `-`, which programs take for an option.
  package init?(_ text: String) {
    guard (1...Self.maximumLength).contains(text.utf8.count), text.utf8.first != UInt8(ascii: "-") else { return nil }
    let isWord = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
      default: false
      }
    }
    guard isWord else { return nil }
    description = text
  }

  package static func < (a: ProfileName, b: ProfileName) -> Bool {
    a.description.utf8.lexicographicallyPrecedes(b.description.utf8)
  }
}

/// How much a profile shuts, as the release's signers say: while a host is locked, no order replaces the profile by one
/// of a lower rank.
package struct LockRank: Hashable, Sendable, Comparable, CustomStringConvertible {
  package static let maximum: UInt16 = 1000

  package let value: UInt16

  /// Nil unless the value is 0–1000.
  package init?(_ value: some BinaryInteger) {
    guard let value = UInt16(exactly: value), value <= Self.maximum else { return nil }
    self.value = value
  }

  package var description: String { String(value) }
  package static func < (a: LockRank, b: LockRank) -> Bool { a.value < b.value }
}
