internal import Core
package import Release

/// `--evict docker,calico`: whose chains may be wiped.
package enum Evictions {
  /// - Throws: a usage error for a name that is no owner's: a slip must not pass for a word given.
  package static func parse(_ text: String) throws -> [Grant] {
    let names = ForeignOwner.allCases.map(\.rawValue)
    return try text.split(separator: ",", omittingEmptySubsequences: false).map { piece in
      guard let owner = ForeignOwner(rawValue: String(piece)) else {
        throw Failure(
          "evict '\(SafeText.escape(String(piece)))'", because: Reason("that is no owner of chains we know"),
          hint: NearestName.to(String(piece), among: names).map { "did you mean '\($0)'?" }
            ?? "known are \(names.joined(separator: ", "))", kind: .usage)
      }
      return .evict(owner)
    }
  }
}
