package import Core

/// Who may sign what: a strict subset of OpenSSH's `allowed_signers` (ssh-keygen(1)), so that `ssh-keygen -Y verify -f`
/// reads the same file and says the same. Stricter in that `namespaces=` is mandatory (without it OpenSSH lets the key
/// sign for any purpose), names are exact, times end in `Z` (without it OpenSSH means local time), a line has one
/// principal and a key one line (thresholds count people, not keys), and one bad line refuses the whole file.
package struct AllowedSigners: Hashable, Sendable {
  /// In bytes.
  package static let maximumSize = 256 << 10

  package enum Lookup: Hashable, Sendable {
    case signer(AllowedSigner)
    case unknownKey
    /// The key is known, but not for this purpose.
    case otherNamespace(AllowedSigner)
    case notYetValid(AllowedSigner)
    case expired(AllowedSigner)
  }

  /// In the order of the file.
  package let all: [AllowedSigner]
  private let byKey: [[UInt8]: AllowedSigner]

  /// Nil when two lines name the same key.
  package init?(_ signers: [AllowedSigner]) {
    all = signers
    byKey = Dictionary(signers.map { ($0.key.blob, $0) }, uniquingKeysWith: { first, _ in first })
    guard byKey.count == signers.count else { return nil }
  }

  /// The person who may sign in this namespace with this key at this time, or the first reason why none may.
  package func signer(of publicKeyBlob: [UInt8], namespace: String, at time: UTCTime) -> Lookup {
    guard let signer = byKey[publicKeyBlob] else { return .unknownKey }
    guard signer.namespaces.contains(where: { $0.utf8.elementsEqual(namespace.utf8) }) else {
      return .otherNamespace(signer)
    }
    if let start = signer.validAfter, time < start { return .notYetValid(signer) }
    if let end = signer.validBefore, time >= end { return .expired(signer) }
    return .signer(signer)
  }

  /// Every mistake of the file at once. A file without any key is a mistake too: nothing could ever be installed.
  package static func parse(_ bytes: [UInt8], file: String) throws(Diagnostics) -> AllowedSigners {
    guard bytes.count <= maximumSize else {
      throw Diagnostics(
        Diagnostic(
          SourceLocation(file: file, line: 1, column: 1),
          "the file has \(bytes.count) bytes, more than the \(maximumSize) allowed"))
    }
    var problems: [Diagnostic] = []
    var signers: [AllowedSigner] = []
    var lines: [[UInt8]: Int] = [:]
    for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      var parser = AllowedSignersLine(line, file: file, number: index + 1)
      do throws(Diagnostic) {
        guard let signer = try parser.parse() else { continue }
        if let earlier = lines.updateValue(index + 1, forKey: signer.key.blob) {
          problems.append(
            Diagnostic(
              SourceLocation(file: file, line: index + 1, column: 1),
              "the key \(signer.key.fingerprint) already stands in line \(earlier)",
              hint: "give each key one line that lists all its namespaces"))
        } else {
          signers.append(signer)
        }
      } catch {
        problems.append(error)
      }
    }
    if let diagnostics = Diagnostics(problems) { throw diagnostics }
    guard !signers.isEmpty, let parsed = AllowedSigners(signers) else {
      throw Diagnostics(
        Diagnostic(
          SourceLocation(file: file, line: 1, column: 1), "no key stands in this file",
          hint: "add one with 'portcullis keys init'"))
    }
    return parsed
  }
}
