package import Core

/// One line of `allowed_signers`: who holds a key, what it may sign, and when.
package struct AllowedSigner: Hashable, Sendable {
  /// In bytes, for a principal and for a namespace.
  package static let maximumNameLength = 255

  package let principal: String
  package let namespaces: [String]
  /// The first second at which the key counts.
  package let validAfter: UTCTime?
  /// The first second at which it counts no more; ssh-keygen still accepts that one second.
  package let validBefore: UTCTime?
  package let key: SSHPublicKey
  package let comment: String

  /// Throws for what an `allowed_signers` line of ours cannot say.
  package init(
    principal: String, namespaces: [String], validAfter: UTCTime? = nil, validBefore: UTCTime? = nil,
    key: SSHPublicKey, comment: String = ""
  ) throws(FormatProblem) {
    func refuse(_ reason: String) -> FormatProblem { FormatProblem("allowed_signers", reason) }
    if let fault = Self.fault(inName: principal) { throw refuse("principal '\(principal)' \(fault)") }
    guard !namespaces.isEmpty else { throw refuse("no namespaces: such a key could sign nothing") }
    for namespace in namespaces {
      if let fault = Self.fault(inName: namespace) { throw refuse("namespace '\(namespace)' \(fault)") }
    }
    guard Set(namespaces).count == namespaces.count else { throw refuse("a namespace stands twice") }
    for time in [validAfter, validBefore].compactMap(\.self) {
      guard time.secondsSinceEpoch > 0, UTCTime(time.description) == time else {
        throw refuse("a validity time lies outside the years 1970 to 9999")
      }
    }
    if let validAfter, let validBefore, validBefore <= validAfter {
      throw refuse("valid-before (\(validBefore)) is not after valid-after (\(validAfter))")
    }
    guard SafeText.escape(comment) == comment, comment.utf8.first != 0x20, comment.utf8.last != 0x20 else {
      throw refuse("the comment must be one line without control characters and without spaces around it")
    }
    self.principal = principal
    self.namespaces = namespaces
    self.validAfter = validAfter
    self.validBefore = validBefore
    self.key = key
    self.comment = comment
  }

  /// The line for the file, with its line feed.
  package var line: String {
    var options = ["namespaces=\"\(namespaces.joined(separator: ","))\""]
    if let validAfter { options.append("valid-after=\"\(Self.compact(validAfter))\"") }
    if let validBefore { options.append("valid-before=\"\(Self.compact(validBefore))\"") }
    return "\(principal) \(options.joined(separator: ",")) \(key.text)" + (comment.isEmpty ? "" : " \(comment)") + "\n"
  }

  /// What is wrong with a principal or a namespace. OpenSSH takes both for patterns and splits at quotes, so that every
  /// character with a meaning is refused: what is written is the only name it matches.
  package static func fault(inName name: String) -> String? {
    guard (1...maximumNameLength).contains(name.utf8.count) else {
      return "has \(name.utf8.count) bytes; 1 to \(maximumNameLength) are allowed"
    }
    if name.utf8.contains(where: "*?!".utf8.contains) { return "is a pattern; names stand alone here" }
    let marks = "._-+/:@"
    guard name.utf8.allSatisfy({ ASCII.isLetterOrDigit($0) || marks.utf8.contains($0) }) else {
      return "may hold only letters, digits and \(marks)"
    }
    return name.utf8.first == UInt8(ascii: "-") ? "begins with '-', which programs take for an option" : nil
  }

  /// `20261121004441Z`.
  private static func compact(_ time: UTCTime) -> String {
    String(
      decoding: time.description.utf8.filter(ASCII.isLetterOrDigit).filter { $0 != UInt8(ascii: "T") }, as: UTF8.self)
  }
}
