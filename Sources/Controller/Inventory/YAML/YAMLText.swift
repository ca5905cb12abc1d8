internal import Core
internal import Yams

/// The text of one YAML file, checked for what must not reach libyaml, and its lines, to turn libyaml's positions
/// (lines from 1, columns in Unicode scalars from 1) into ours (columns in bytes).
struct YAMLText {
  /// An alias repeats what it names, and a mapping hashes its keys: 16 aliases within each other make at most a few
  /// hundred times the file, which is time enough to find and refuse them politely.
  private static let aliasLimit = 16

  let string: String
  private let file: String
  private let bytes: [UInt8]
  private let lineStarts: [Int]
  /// Of lines that are not ASCII alone, where every 256th character begins: a file may be one long line.
  private let waypoints: [Int: [Int]]
  private static let stride = 256

  init(checking bytes: [UInt8], file: String, anchors: StrictYAML.Anchors = .refused) throws(Diagnostics) {
    self.file = file
    self.bytes = bytes
    var starts = [0]
    for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") { starts.append(index + 1) }
    lineStarts = starts
    waypoints = Self.waypoints(bytes, starts)
    // Invalid bytes become U+FFFD in `decoded`, and the text is refused below.
    let decoded = String(decoding: bytes, as: UTF8.self)
    string = decoded
    guard bytes.count <= StrictYAML.sizeLimit else {
      throw Diagnostics(Diagnostic(location(line: 1, column: 1), "is larger than \(StrictYAML.sizeLimit >> 20) MiB"))
    }
    guard decoded.utf8.elementsEqual(bytes) else {
      throw Diagnostics(Diagnostic(location(at: Self.firstInvalid(bytes)), "is not UTF-8 text"))
    }
    try refuseHiddenCharacters()
    if anchors == .refused { try refuseAliasBombs() }
  }

  /// Stands before an alias's name in the text without aliases: a private-use character that no inventory has.
  static let aliasStandIn = "\u{f8ff}"

  /// The same structure with every alias as a plain text, or nil when there are so few that they can do no harm.
  var withoutAliases: [UInt8]? {
    let aliases = aliasPositions()
    guard aliases.count > Self.aliasLimit else { return nil }
    var twin: [UInt8] = []
    twin.reserveCapacity(bytes.count + 2 * aliases.count)
    var start = 0
    for position in aliases {
      twin += bytes[start..<position]
      twin += Array(Self.aliasStandIn.utf8)
      start = position + 1
    }
    return twin + bytes[start...]
  }

  private func aliasPositions() -> [Int] {
    bytes.indices.dropLast().filter { bytes[$0] == UInt8(ascii: "*") && Self.isNameByte(bytes[$0 + 1]) }
  }

  func location(line: Int, column: Int) -> SourceLocation { SourceLocation(file: file, line: line, column: column) }

  func location(_ mark: Mark?) -> SourceLocation {
    guard let mark, lineStarts.indices.contains(mark.line - 1) else { return location(line: 1, column: 1) }
    let start = lineStarts[mark.line - 1]
    guard let waypoints = waypoints[mark.line - 1] else { return location(line: mark.line, column: mark.column) }
    let nearest = min((mark.column - 1) / Self.stride, waypoints.count - 1)
    var index = waypoints[nearest]
    var left = mark.column - 1 - nearest * Self.stride
    while left > 0, index < bytes.count, bytes[index] != UInt8(ascii: "\n") {
      index += 1
      while index < bytes.count, bytes[index] & 0xc0 == 0x80 { index += 1 }
      left -= 1
    }
    return location(line: mark.line, column: index - start + 1)
  }

  /// How far its lines stand in is told by the first that is not empty.
  func start(ofBlock content: String, below place: SourceLocation) -> SourceLocation {
    let space = UInt8(ascii: " ")
    let lines = content.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    var column = 1
    if let index = lines.firstIndex(where: { !$0.isEmpty }), lineStarts.indices.contains(place.line + index) {
      let written = bytes[lineStarts[place.line + index]...].prefix { $0 == space }.count
      column += max(0, written - lines[index].prefix { $0 == space }.count)
    }
    return location(line: place.line + 1, column: column)
  }

  private static func waypoints(_ bytes: [UInt8], _ starts: [Int]) -> [Int: [Int]] {
    var waypoints: [Int: [Int]] = [:]
    for (line, start) in starts.enumerated() {
      let end = line + 1 < starts.count ? starts[line + 1] : bytes.count
      guard bytes[start..<end].contains(where: { $0 >= 0x80 }) else { continue }
      var found: [Int] = []
      var characters = 0
      for index in start..<end where bytes[index] & 0xc0 != 0x80 {
        if characters % stride == 0 { found.append(index) }
        characters += 1
      }
      if !found.isEmpty { waypoints[line] = found }
    }
    return waypoints
  }

  /// What most often stands behind libyaml's terse words.
  func hint(for mark: Mark) -> String? {
    guard lineStarts.indices.contains(mark.line - 1) else { return nil }
    let start = lineStarts[mark.line - 1]
    let line = bytes[start...].prefix { $0 != UInt8(ascii: "\n") }
    if line.prefix(while: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }).contains(UInt8(ascii: "\t")) {
      return "indent with spaces, not with tabs"
    }
    return nil
  }

  private func location(at offset: Int) -> SourceLocation {
    var low = 0
    var high = lineStarts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if lineStarts[middle] <= offset { low = middle } else { high = middle }
    }
    return location(line: low + 1, column: offset - lineStarts[low] + 1)
  }

  /// Control characters, and the separators that libyaml counts as line ends while editors do not: with them a
  /// position would be wrong, and with bidirectional overrides a reviewer reads something else than the parser.
  private func refuseHiddenCharacters() throws(Diagnostics) {
    var offset = 0
    var previousWasReturn = false
    for scalar in string.unicodeScalars {
      let isHidden =
        switch scalar.value {
        case 0x09, 0x0a, 0x0d: false
        case 0..<0x20, 0x7f..<0xa0, 0x2028...0x202e, 0x2066...0x2069, 0xfeff: true
        default: false
        }
      guard !isHidden, !previousWasReturn || scalar == "\n" else {
        let code = previousWasReturn && !isHidden ? "d" : String(scalar.value, radix: 16)
        throw Diagnostics(
          Diagnostic(
            location(at: previousWasReturn ? offset - 1 : offset), "holds the hidden character U+\(code)",
            hint: scalar.value == 0xfeff ? "save the file as UTF-8 without a byte order mark" : nil))
      }
      previousWasReturn = scalar == "\r"
      offset += UTF8.width(scalar)
    }
  }

  /// Yams expands aliases before anybody can look, and hashes mapping keys: `? *bomb : x` would take for ever. What may
  /// be an alias is counted without knowing the grammar, which can only count too many; what passes is refused
  /// exactly, by its anchor, when the nodes are read.
  private func refuseAliasBombs() throws(Diagnostics) {
    let firstAnchor = bytes.indices.dropLast().first {
      bytes[$0] == UInt8(ascii: "&") && Self.isNameByte(bytes[$0 + 1])
    }
    guard let firstAnchor, aliasPositions().count > Self.aliasLimit else { return }
    throw Diagnostics(
      Diagnostic(
        location(at: firstAnchor), "anchors and aliases (&name, *name) are not accepted",
        hint: "write the values out where they are used"))
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  private static func firstInvalid(_ bytes: [UInt8]) -> Int {
    var iterator = bytes.makeIterator()
    var decoder = UTF8()
    var offset = 0
    while case .scalarValue(let scalar) = decoder.decode(&iterator) { offset += UTF8.width(scalar) }
    return min(offset, max(0, bytes.count - 1))
  }
}
