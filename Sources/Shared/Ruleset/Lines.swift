internal import Core
internal import Glibc

/// The physical lines of a text, without copying: ranges of the bytes between line feeds. A last line without a line
/// feed counts; nothing after a final line feed does.
struct Lines: Sequence, IteratorProtocol {
  private let bytes: UnsafeBufferPointer<UInt8>
  private var position = 0

  init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  mutating func next() -> Range<Int>? {
    guard position < bytes.count, let base = bytes.baseAddress else { return nil }
    let start = position
    let found = memchr(base + start, Int32(newline), bytes.count - start)
    let end = found.map { UnsafeRawPointer($0) - UnsafeRawPointer(base) } ?? bytes.count
    position = end + 1
    return start..<end
  }
}

/// The mistakes of one file, up to a number that a person can still use.
struct Mistakes {
  /// Mistakes after this many are counted by nobody: the file is not what it claims to be.
  static let limit = 100

  private let file: String
  private(set) var all: [Diagnostic] = []

  init(file: String) { self.file = file }

  var isFull: Bool { all.count >= Self.limit }

  mutating func add(_ line: Int, _ column: Int, _ message: String, hint: String? = nil) {
    guard !isFull else { return }
    all.append(Diagnostic(SourceLocation(file: file, line: line, column: column), message, hint: hint))
  }

  /// In reading order. Some checks see only at a table's end what was wrong at its beginning.
  func sorted() -> [Diagnostic] {
    all.enumerated()
      .sorted {
        ($0.element.location.line, $0.element.location.column, $0.offset)
          < ($1.element.location.line, $1.element.location.column, $1.offset)
      }
      .map(\.element)
  }
}

/// A chain's name as a dictionary key, without making a String of it.
struct NameKey: Hashable {
  let bytes: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

  func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }
}
