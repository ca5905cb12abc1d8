/// `GROUP[N]`, `GROUP[-N]`, `GROUP[A:B]`, `GROUP[A:]`, `GROUP[A-B]`; both ends count.
struct PatternSlice {
  let base: String
  let isDashed: Bool
  private let first: Int
  private let last: Int?

  init?(_ text: String) {
    guard text.hasSuffix("]"), let open = text.lastIndex(of: "["), open != text.startIndex else { return nil }
    base = String(text[..<open])
    let inside = text[text.index(after: open)...].dropLast()
    if let single = Int(inside), !inside.hasPrefix("+") {
      (first, last, isDashed) = (single, single, false)
      return
    }
    guard let separator = inside.firstIndex(where: { $0 == ":" || $0 == "-" }) else { return nil }
    let (low, high) = (inside[..<separator], inside[inside.index(after: separator)...])
    guard let first = UInt32(low), !low.hasPrefix("+") else { return nil }
    if high.isEmpty {
      last = nil
    } else {
      guard let end = UInt32(high), !high.hasPrefix("+") else { return nil }
      last = Int(end)
    }
    self.first = Int(first)
    isDashed = inside[separator] == "-"
  }

  func apply(to indices: [Int]) -> [Int] {
    if first < 0 { return first >= -indices.count ? [indices[indices.count + first]] : [] }
    guard first < indices.count else { return [] }
    let end = min(last ?? indices.count - 1, indices.count - 1)
    return first <= end ? Array(indices[first...end]) : []
  }
}
