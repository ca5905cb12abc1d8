package import Audit
package import Core
internal import Foundation

/// An entry as it stands in the file: JSON in one line, whose last two fields chain it to the line before.
///
///     {"actor":…,"sequence":2,…,"previous":"sha256:HASH OF LINE 1","hash":"sha256:…"}
///
/// The hash is of the line's bytes without `,"hash":"sha256:…"`, so that stock tools can work it out (docs/audit.md).
package struct AuditLine: Sendable {
  package let entry: AuditEntry
  package let previous: Digest
  package let hash: Digest
  /// With its line feed.
  let bytes: [UInt8]

  /// Without the line feed; a longer line is none.
  static let limit = 16 << 10
  /// What the first entry names as the one before.
  package static let beginning = Digest(bytes: [UInt8](repeating: 0, count: Digest.byteCount))!

  init(_ entry: AuditEntry, after previous: Digest) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    let fields = Array(try encoder.encode(entry).dropLast())
    let chained = fields + Array(Self.field("previous", previous).utf8)
    self.entry = entry
    self.previous = previous
    hash = Digest(of: chained + [UInt8(ascii: "}")])
    bytes = chained + Array((Self.field("hash", hash) + "}\n").utf8)
    guard bytes.count <= Self.limit else { throw Reason("the entry is longer than a line may be") }
  }

  package enum Problem: Error, Hashable, Sendable, CustomStringConvertible {
    case noEntry
    case altered

    package var description: String {
      switch self {
      case .noEntry: "it is no entry"
      case .altered: "it was altered: its hash is not that of its content"
      }
    }
  }

  /// - Parameter line: without its line feed.
  init(parsing line: some Collection<UInt8>) throws(Problem) {
    let line = Array(line)
    guard line.count < Self.limit, line.last == UInt8(ascii: "}"),
      let (chained, hash) = Self.split("hash", line.dropLast()),
      let (fields, previous) = Self.split("previous", chained)
    else { throw .noEntry }
    guard Digest(of: Array(chained) + [UInt8(ascii: "}")]) == hash else { throw .altered }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    guard let entry = try? decoder.decode(AuditEntry.self, from: Data(fields + [UInt8(ascii: "}")])) else {
      throw .noEntry
    }
    self.entry = entry
    self.previous = previous
    self.hash = hash
    bytes = line + [UInt8(ascii: "\n")]
  }

  private static func field(_ name: String, _ digest: Digest) -> String { ",\"\(name)\":\"\(digest)\"" }

  /// The bytes before such a field, which must be the last, and what it says.
  private static func split(_ name: String, _ bytes: ArraySlice<UInt8>) -> (ArraySlice<UInt8>, Digest)? {
    let head = Array(",\"\(name)\":\"".utf8)
    let length = head.count + "sha256:".utf8.count + 2 * Digest.byteCount + 1
    let field = bytes.suffix(length)
    guard field.count == length, field.starts(with: head), field.last == UInt8(ascii: "\""),
      let digest = Digest(String(decoding: field.dropFirst(head.count).dropLast(), as: UTF8.self))
    else { return nil }
    return (bytes.dropLast(length), digest)
  }
}
