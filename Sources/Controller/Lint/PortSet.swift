/// Ports as ranges that neither overlap nor touch, in order.
package struct PortSet: Hashable, Sendable {
  package let ranges: [ClosedRange<UInt16>]

  package static let all = PortSet([0...UInt16.max])

  package init(_ ranges: [ClosedRange<UInt16>]) {
    var merged: [ClosedRange<UInt16>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = merged.last, Int(range.lowerBound) <= Int(last.upperBound) + 1 {
        merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        merged.append(range)
      }
    }
    self.ranges = merged
  }

  /// Reads `80`, `80:90`, `:90`, `80:`, and lists of them with commas. Nil for names and anything else.
  package init?(_ text: some Collection<UInt8>) {
    var ranges: [ClosedRange<UInt16>] = []
    for part in text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      guard let range = Self.range(part) else { return nil }
      ranges.append(range)
    }
    self.init(ranges)
  }

  package var isEverything: Bool { self == .all }

  /// The port when there is only one.
  package var only: UInt16? {
    guard ranges.count == 1, let range = ranges.first, range.count == 1 else { return nil }
    return range.lowerBound
  }

  package func contains(_ port: UInt16) -> Bool { ranges.contains { $0.contains(port) } }

  package func contains(_ other: PortSet) -> Bool {
    other.ranges.allSatisfy { range in
      ranges.contains { $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound }
    }
  }

  package var complement: PortSet {
    var rest: [ClosedRange<UInt16>] = []
    var next = 0
    for range in ranges {
      if next < Int(range.lowerBound) { rest.append(UInt16(next)...(range.lowerBound - 1)) }
      next = Int(range.upperBound) + 1
    }
    if next <= Int(UInt16.max) { rest.append(UInt16(next)...UInt16.max) }
    return PortSet(rest)
  }

  package func intersection(_ other: PortSet) -> PortSet {
    PortSet(ranges.flatMap { range in other.ranges.filter(range.overlaps).map(range.clamped(to:)) })
  }

  /// As people write them: `80, 8000-8010`.
  package var words: String {
    ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ", ")
  }

  private static func range(_ text: some Collection<UInt8>) -> ClosedRange<UInt16>? {
    let ends = text.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
    guard text.count > 1 || ends.count == 1, ends.count <= 2 else { return nil }
    let limit = Int(UInt16.max)
    let first = ends[0].isEmpty && ends.count == 2 ? 0 : number(ends[0], atMost: limit)
    let last = ends.count == 1 ? first : ends[1].isEmpty ? limit : number(ends[1], atMost: limit)
    guard let first, let last, first <= last else { return nil }
    return UInt16(first)...UInt16(last)
  }

  /// A decimal number without leading zeros, at most `limit`.
  static func number(_ text: some Collection<UInt8>, atMost limit: Int) -> Int? {
    guard !text.isEmpty, text.count <= 10, text.count == 1 || text.first != UInt8(ascii: "0") else { return nil }
    var value = 0
    for byte in text {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      value = value * 10 + Int(byte - UInt8(ascii: "0"))
    }
    return value <= limit ? value : nil
  }
}
