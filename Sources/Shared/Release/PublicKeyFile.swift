package import Core

/// A `.pub` file as ssh-keygen writes it: one line of type, base64 and comment.
package struct PublicKeyFile: Hashable, Sendable {
  /// In bytes.
  package static let maximumSize = 8 << 10

  package let key: SSHPublicKey
  /// Safe for a terminal and for `allowed_signers`.
  package let comment: String

  package static func parse(_ bytes: [UInt8], file: String) throws(Diagnostics) -> PublicKeyFile {
    func problem(_ message: String, hint: String? = nil) -> Diagnostics {
      Diagnostics(Diagnostic(SourceLocation(file: file, line: 1, column: 1), message, hint: hint))
    }
    guard bytes.count <= maximumSize else {
      throw problem("the file has \(bytes.count) bytes, more than the \(maximumSize) allowed")
    }
    let content = bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...]
    if content.starts(with: "-----BEGIN".utf8) {
      throw problem(
        "this is not a public key; it looks like a private one", hint: "name the file that ends in .pub")
    }
    guard !content.contains(UInt8(ascii: "\n")) else { throw problem("the file has more than one line") }
    let words = content.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
    guard words.count >= 2 else {
      throw problem("a public key is one line: type, base64 and a comment", hint: "name the file that ends in .pub")
    }
    do throws(SSHFormatProblem) {
      let key = try SSHPublicKey(type: String(decoding: words[0], as: UTF8.self), base64: words[1])
      return PublicKeyFile(key: key, comment: words.count == 3 ? trimmed(words[2]) : "")
    } catch {
      throw problem(error.description)
    }
  }

  private static func trimmed(_ comment: ArraySlice<UInt8>) -> String {
    var comment = comment.drop { $0 == 0x20 }
    while comment.last == 0x20 { comment = comment.dropLast() }
    return SafeText.escape(comment)
  }
}
