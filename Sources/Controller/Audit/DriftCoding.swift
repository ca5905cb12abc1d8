package import Core
internal import Ruleset

extension HostDrift {
  private static let version: UInt8 = 1

  /// What differs, as a store keeps it; nil for what is no difference.
  package var encoded: [UInt8]? {
    guard case .differs(let diffs) = finding else { return nil }
    var out = ByteWriter()
    out.uint8(Self.version)
    for family in Family.allCases {
      out.uint32(UInt32(diffs[family].lines.count))
      for line in diffs[family].lines { Self.write(line, &out) }
    }
    return out.bytes
  }

  /// - Throws: when these are no bytes of ours.
  package init(host: HostID, encoded: [UInt8]) throws(ByteReader.Problem) {
    var reader = ByteReader(encoded)
    guard try reader.uint8("version") == Self.version else { throw .malformed(field: "version") }
    let diffs = try PerFamily<RulesetDiff> { _ throws(ByteReader.Problem) in
      let count = try reader.uint32("lines")
      var lines: [DiffLine] = []
      for _ in 0..<count { lines.append(try Self.line(&reader)) }
      return RulesetDiff(lines: lines)
    }
    try reader.end()
    self.init(host: host, differing: diffs)
  }

  private static func write(_ line: DiffLine, _ out: inout ByteWriter) {
    out.text(line.kind.rawValue)
    out.text(line.table)
    out.bool(line.chain != nil)
    out.text(line.chain ?? "")
    out.text(line.text)
    out.bool(line.position != nil)
    out.uint32(UInt32(clamping: line.position?.index ?? 0))
    out.uint32(UInt32(clamping: line.position?.count ?? 0))
  }

  private static func line(_ reader: inout ByteReader) throws(ByteReader.Problem) -> DiffLine {
    guard let kind = DiffLine.Kind(rawValue: try reader.text("kind", atMost: 16)) else {
      throw .malformed(field: "kind")
    }
    let table = try reader.text("table", atMost: KnownDifference.bodyLimit)
    let hasChain = try reader.bool("chain")
    let chain = try reader.text("chain", atMost: KnownDifference.bodyLimit)
    let text = try reader.text("text", atMost: KnownDifference.bodyLimit)
    // Lines are safe to print from their making on.
    guard SafeText.escape(text) == text else { throw .malformed(field: "text") }
    let hasPosition = try reader.bool("position")
    let index = Int(try reader.uint32("index"))
    let count = Int(try reader.uint32("count"))
    return DiffLine(
      kind: kind, table: table, chain: hasChain ? chain : nil, text: text, newLine: 0,
      position: hasPosition ? DiffLine.Position(index: index, count: count) : nil)
  }
}
