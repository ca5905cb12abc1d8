internal import Core
internal import Foundation

/// What a verb has to say: one value. `-o json` prints it, and the text is drawn from it, so the two cannot disagree.
package protocol Document: Encodable {
  /// "Status", "Plan" …: the `kind` of the JSON.
  static var kind: String { get }

  func text(_ style: TextStyle) -> String

  /// For `-o name`: one per line. Usually hosts.
  var names: [String] { get }

  /// For `-o ndjson`: one line each, between the version line and the summary line.
  var records: [any Encodable] { get }

  /// The last line of `-o ndjson`: counts, so that scripts need not guess from the exit code.
  var summary: [String: Int] { get }
}

/// How text is drawn. Decided once from the terminal, the environment and the flags.
package struct TextStyle: Sendable {
  package var wide: Bool
  package var colour: Bool

  package init(wide: Bool = false, colour: Bool = false) {
    self.wide = wide
    self.colour = colour
  }
}

package enum OutputFormat: String, Sendable, CaseIterable {
  case text
  case json
  case ndjson
  case wide
  case name
}

package enum DocumentPrinter {
  /// Minor versions add fields; a reader rejects another major version.
  package static let formatVersion = "1.0"

  /// The whole output, ending in a line feed unless empty.
  package static func render(_ document: some Document, as format: OutputFormat, colour: Bool) throws -> String {
    switch format {
    case .text: return document.text(TextStyle(wide: false, colour: colour))
    case .wide: return document.text(TextStyle(wide: true, colour: colour))
    case .name: return document.names.map { $0 + "\n" }.joined()
    case .json: return try encode(Envelope(document: document), pretty: true) + "\n"
    case .ndjson:
      var lines = [try versionLine(of: type(of: document).kind)]
      for record in document.records { lines.append(try line(record)) }
      lines.append(try summaryLine(document.summary))
      return lines.joined()
    }
  }

  // The lines of `-o ndjson`, each with its line feed.

  static func versionLine(of kind: String) throws -> String { try line(Version(kind: kind)) }
  static func line(_ record: any Encodable) throws -> String { try encode(record, pretty: false) + "\n" }
  static func summaryLine(_ counts: [String: Int]) throws -> String { try line(Summary(summary: counts)) }

  private static func encode(_ value: any Encodable, pretty: Bool) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting =
      pretty ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    return escapingUnsafe(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  /// JSON escapes ASCII's control characters only; a terminal obeys others too. What is left of those can stand in
  /// strings alone, where `\u` means the same.
  static func escapingUnsafe(_ json: String) -> String {
    func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
      scalar.value >= 0x7f && SafeText.escape(String(scalar)).unicodeScalars.first != scalar
    }
    guard json.unicodeScalars.contains(where: isUnsafe) else { return json }
    var safe = ""
    for scalar in json.unicodeScalars {
      guard isUnsafe(scalar) else {
        safe.unicodeScalars.append(scalar)
        continue
      }
      for unit in String(scalar).utf16 {
        let hex = String(unit, radix: 16)
        safe += "\\u" + String(repeating: "0", count: 4 - hex.utf8.count) + hex
      }
    }
    return safe
  }

  private struct Envelope<Content: Document>: Encodable {
    let document: Content

    enum CodingKeys: String, CodingKey {
      case formatVersion
      case kind
    }

    func encode(to encoder: any Encoder) throws {
      try document.encode(to: encoder)
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(formatVersion, forKey: .formatVersion)
      try container.encode(Content.kind, forKey: .kind)
    }
  }

  private struct Version: Encodable {
    let type = "version"
    let formatVersion = DocumentPrinter.formatVersion
    let kind: String
  }

  private struct Summary: Encodable {
    let type = "summary"
    let summary: [String: Int]
  }
}

extension Document {
  package var summary: [String: Int] { [:] }
}
