package import Core

/// Where each line of a rules text comes from. It is kept with a release: the files change, what a host runs does not.
package struct RuleTrace: Hashable, Sendable {
  /// Lines in a row that come from one place.
  private struct Run: Hashable {
    let place: SourceLocation
    /// Of the text, counted from 1.
    let lastLine: Int
  }

  private static let format: UInt16 = 1
  private static let maximumFileName = 4096

  private let runs: [Run]
  /// As it is kept.
  package let encoded: [UInt8]
  package let digest: Digest

  /// - Parameter places: one for each line.
  init(_ places: [SourceLocation]) {
    var runs: [Run] = []
    for (index, place) in places.enumerated() {
      if runs.last?.place == place { runs.removeLast() }
      runs.append(Run(place: place, lastLine: index + 1))
    }
    self.runs = runs
    encoded = Self.encode(runs)
    digest = Digest(of: encoded)
  }

  /// Reads what was kept.
  package init(encoded bytes: [UInt8]) throws(ByteReader.Problem) {
    var reader = ByteReader(bytes)
    guard try reader.uint16("format of trace") == Self.format else { throw .malformed(field: "format of trace") }
    var files: [String] = []
    for _ in 0..<(try reader.uint32("number of files")) {
      files.append(try reader.text("file", atMost: Self.maximumFileName))
    }
    var runs: [Run] = []
    for _ in 0..<(try reader.uint32("number of places")) {
      let file = Int(try reader.uint32("file of place"))
      guard files.indices.contains(file) else { throw .malformed(field: "file of place") }
      let place = SourceLocation(
        file: files[file], line: Int(try reader.uint32("line of place")), column: Int(try reader.uint32("column")))
      let last = Int(try reader.uint32("line of text"))
      guard last > runs.last?.lastLine ?? 0 else { throw .malformed(field: "line of text") }
      runs.append(Run(place: place, lastLine: last))
    }
    try reader.end()
    self.runs = runs
    encoded = bytes
    digest = Digest(of: bytes)
  }

  /// - Parameter line: of the text, counted from 1. Nil behind the end.
  package func source(line: Int) -> SourceLocation? {
    guard line > 0 else { return nil }
    var (low, high) = (0, runs.count)
    while low < high {
      let middle = (low + high) / 2
      if runs[middle].lastLine < line { low = middle + 1 } else { high = middle }
    }
    return low < runs.count ? runs[low].place : nil
  }

  private static func encode(_ runs: [Run]) -> [UInt8] {
    var numbers: [String: UInt32] = [:]
    var names = ByteWriter()
    var list = ByteWriter()
    for run in runs {
      let number = numbers[run.place.file] ?? UInt32(numbers.count)
      if numbers.updateValue(number, forKey: run.place.file) == nil {
        names.string(run.place.file.utf8.prefix(maximumFileName))
      }
      list.uint32(number)
      for value in [run.place.line, run.place.column, run.lastLine] { list.uint32(UInt32(clamping: value)) }
    }
    var out = ByteWriter()
    out.uint16(format)
    out.uint32(UInt32(numbers.count))
    out.raw(names.bytes)
    out.uint32(UInt32(runs.count))
    out.raw(list.bytes)
    return out.bytes
  }
}
