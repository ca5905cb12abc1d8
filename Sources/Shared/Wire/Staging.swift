internal import Core

/// The files of an announced bundle while they arrive back to back. Memory grows with what arrived, not with what was
/// announced.
struct Staging: Sendable {
  let transaction: TransactionID
  /// All announced bytes.
  let total: Int
  private(set) var files: [BundleFile: [UInt8]] = [:]
  private let announced: [StagedFile]
  /// Which of `announced` is arriving.
  private var current = 0

  /// The sizes were checked when the announcement was decoded.
  init(_ transaction: TransactionID, _ announced: [StagedFile]) {
    self.transaction = transaction
    self.announced = announced
    total = announced.reduce(0) { $0 + $1.size }
  }

  var isComplete: Bool { current == announced.count }

  /// Takes a piece; a problem if it reaches beyond the file it belongs to.
  mutating func append(_ piece: [UInt8]) -> ByteReader.Problem? {
    guard current < announced.count else { return .trailing(count: piece.count) }
    let expected = announced[current]
    let missing = expected.size - (files[expected.file]?.count ?? 0)
    guard piece.count <= missing else { return .trailing(count: piece.count - missing) }
    files[expected.file, default: []].append(contentsOf: piece)
    if piece.count == missing { current += 1 }
    return nil
  }
}
