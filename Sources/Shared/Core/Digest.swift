internal import Crypto

/// A SHA-256 digest, written `sha256:` and 64 lower-case hexadecimal digits.
package struct Digest: Hashable, Sendable, CustomStringConvertible {
  package static let byteCount = 32

  package let bytes: [UInt8]

  package init(of content: some Sequence<UInt8>) {
    var hash = SHA256()
    let hashed: Void? = content.withContiguousStorageIfAvailable { hash.update(bufferPointer: .init($0)) }
    if hashed == nil { hash.update(data: Array(content)) }
    bytes = Array(hash.finalize())
  }

  /// Of a symbolic link, whose target is never a file's content.
  package init(ofLinkTo target: String) { self.init(of: "link to \(target)".utf8) }

  /// The digest whose raw bytes these are, or nil unless there are exactly 32.
  package init?(bytes: some Collection<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    self.bytes = Array(bytes)
  }

  /// Reads `sha256:HEX`; nothing else is accepted.
  package init?(_ text: String) {
    guard text.hasPrefix("sha256:"), let bytes = Hex.decode(text.utf8.dropFirst(7)) else { return nil }
    self.init(bytes: bytes)
  }

  package var hex: String { Hex.encode(bytes) }
  package var description: String { "sha256:\(hex)" }

  /// The first 12 digits: enough to tell releases apart in a table.
  package var short: String { String(hex.prefix(12)) }
}

/// Hashes content that arrives in pieces.
package struct DigestBuilder: Sendable {
  private var hash = SHA256()

  package init() {}

  package mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }
  package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { hash.update(bufferPointer: $0) } }

  package func finish() -> Digest { Digest(bytes: Array(hash.finalize()))! }
}
