package import Core

extension Folding {
  /// The names that `web[01-50,60],db1` stands for, in order, doubles included once. Ranges are `FIRST-LAST` and
  /// `FIRST-LAST/STEP`, both ends counted; leading zeros at the first end pad to its width.
  package static func expand(_ text: String) throws(Reason) -> [String] {
    var names: [String] = []
    var seen: Set<String> = []
    for piece in split(text, at: [","]) {
      guard !piece.isEmpty else { throw Reason("an empty name between commas") }
      for name in try expand(piece: piece[...]) where seen.insert(name).inserted {
        names.append(name)
      }
      guard names.count <= expansionLimit else { throw Reason("more than \(expansionLimit) names") }
    }
    return names
  }

  /// Splits at separators outside of brackets. Empty pieces are kept.
  static func split(_ text: String, at separators: Set<Character>) -> [String] {
    var pieces = [""]
    var depth = 0
    for character in text {
      if character == "[" { depth += 1 }
      if character == "]" { depth = max(0, depth - 1) }
      if depth == 0, separators.contains(character) {
        pieces.append("")
      } else {
        pieces[pieces.count - 1].append(character)
      }
    }
    return pieces
  }

  private static func expand(piece: Substring) throws(Reason) -> [String] {
    // From the left, so that a piece with many brackets costs no stack.
    var names = [""]
    var rest = piece
    while let open = rest.firstIndex(of: "[") {
      guard let close = rest[open...].firstIndex(of: "]") else { throw Reason("a '[' without its ']'") }
      let head = rest[..<open]
      guard !head.contains("]") else { throw Reason("a ']' without its '['") }
      let values = try values(of: rest[rest.index(after: open)..<close])
      guard names.count * values.count <= expansionLimit else { throw Reason("more than \(expansionLimit) names") }
      names = names.flatMap { name in values.map { name + head + $0 } }
      rest = rest[rest.index(after: close)...]
    }
    guard !rest.contains("]") else { throw Reason("a ']' without its '['") }
    return names.map { $0 + rest }
  }

  private static func values(of list: Substring) throws(Reason) -> [String] {
    var values: [String] = []
    for item in list.split(separator: ",", omittingEmptySubsequences: false) {
      let stepped = item.split(separator: "/", omittingEmptySubsequences: false)
      let bounds = stepped[0].split(separator: "-", omittingEmptySubsequences: false).map(String.init)
      guard stepped.count <= 2, bounds.count <= 2, bounds.allSatisfy(isNumber),
        stepped.count == 1 || bounds.count == 2
      else { throw Reason("\"\(SafeText.escape(item))\" is no range: write FIRST-LAST or FIRST-LAST/STEP") }
      guard bounds.count == 2 else {
        values.append(bounds[0])
        continue
      }
      var step: UInt64 = 1
      if stepped.count == 2 {
        guard isNumber(String(stepped[1])), let given = UInt64(stepped[1]), given > 0 else {
          throw Reason("the step must be a number above 0")
        }
        step = given
      }
      let width = bounds[0].utf8.count
      let isPadded = width > 1 && bounds[0].hasPrefix("0")
      guard let low = UInt64(bounds[0]), let high = UInt64(bounds[1]), low <= high else {
        throw Reason("the range \"\(SafeText.escape(item))\" runs backwards")
      }
      guard isPadded || !bounds[1].hasPrefix("0") || bounds[1] == "0", !isPadded || bounds[1].utf8.count >= width else {
        throw Reason("the ends of \"\(SafeText.escape(item))\" are padded differently")
      }
      guard (high - low) / step < UInt64(expansionLimit), values.count <= expansionLimit else {
        throw Reason("more than \(expansionLimit) names")
      }
      for value in stride(from: low, through: high, by: UInt64.Stride(min(step, 1 << 62))) {
        let text = String(value)
        values.append(
          isPadded ? String(repeating: "0", count: max(0, width - text.utf8.count)) + text : text)
      }
    }
    return values
  }

  /// Up to 18 digits.
  private static func isNumber(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= 18
      && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }
}
