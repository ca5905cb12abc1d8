/// Cuts bytes into pieces that fit a frame, one at a time, so that a long text never stands in memory twice.
package struct Pieces: Sendable {
  private let bytes: [UInt8]
  private var position = 0
  private var isDone = false

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The next piece of at most `WireLimit.piece` bytes, and whether it ends the text; nil after that. No bytes at all
  /// are one empty last piece.
  package mutating func next() -> (piece: ArraySlice<UInt8>, last: Bool)? {
    guard !isDone else { return nil }
    let end = min(bytes.count, position + WireLimit.piece)
    defer { position = end }
    isDone = end == bytes.count
    return (bytes[position..<end], isDone)
  }
}
