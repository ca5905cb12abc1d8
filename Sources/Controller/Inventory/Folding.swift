/// Many host names in few words: `web[001-412],db1`, as ClusterShell writes them. No name is ever changed:
/// `expand(fold(names))` gives exactly the names back, so `node1` and `node02` stay two.
package enum Folding {
  /// What one text may expand to.
  package static let expansionLimit = 200_000

  /// Names in natural order, without doubles; runs of numbers of the same width become ranges. Of several numbers in a
  /// name, the one that leaves the fewest pieces is folded. Names are host names; other characters are kept, but `[`,
  /// `]` and `,` would not be read back.
  package static func fold(_ names: [String]) -> String {
    var shapes: [[UInt8]: [Name]] = [:]
    for name in Set(names) {
      let parsed = Name(name)
      shapes[parsed.shape, default: []].append(parsed)
    }
    var pieces: [(key: Name, text: String)] = []
    for names in shapes.values { pieces += fold(sameShape: names) }
    return pieces.sorted { $0.key < $1.key }.map(\.text).joined(separator: ",")
  }

  /// The same where there is room for so many characters only: as many of them as fit, and `…`.
  package static func fold(_ names: [String], atMost width: Int) -> String {
    let whole = fold(names)
    guard whole.count > width else { return whole }
    let cut = whole.prefix(width - 1)
    // Not within a number or a name, unless there is nothing before it.
    return String(cut.lastIndex(of: ",").map { cut[...$0] } ?? cut) + "…"
  }

  private static func fold(sameShape names: [Name]) -> [(key: Name, text: String)] {
    let axes = names[0].numbers.count
    guard axes > 0 else { return names.map { ($0, $0.text) } }
    var best: [Series: [Name]] = [:]
    for axis in (0..<axes).reversed() {
      var series: [Series: [Name]] = [:]
      let padded = paddedWidths(of: names, axis: axis)
      for name in names { series[Series(name, axis: axis, padded: padded), default: []].append(name) }
      if best.isEmpty || series.count < best.count { best = series }
    }
    return best.map { series, names in
      let sorted = names.sorted()
      guard sorted.count > 1 else { return (sorted[0], sorted[0].text) }
      return (sorted[0], series.head + "[" + ranges(sorted, axis: series.axis) + "]" + series.tail)
    }
  }

  /// Which widths occur with leading zeros, by what surrounds the number: `10` belongs to `08`, `09` where they are.
  private static func paddedWidths(of names: [Name], axis: Int) -> Set<Series> {
    var widths: Set<Series> = []
    for name in names where name.numbers[axis].isPadded {
      widths.insert(Series(name, axis: axis, width: name.numbers[axis].text.utf8.count))
    }
    return widths
  }

  private static func ranges(_ names: [Name], axis: Int) -> String {
    var parts: [String] = []
    var index = 0
    while index < names.count {
      var end = index
      while end + 1 < names.count, names[end + 1].numbers[axis].value == names[end].numbers[axis].value + 1 { end += 1 }
      let (first, last) = (names[index].numbers[axis].text, names[end].numbers[axis].text)
      parts.append(index == end ? first : "\(first)-\(last)")
      index = end + 1
    }
    return parts.joined(separator: ",")
  }

  /// Names that differ in one number of one width.
  private struct Series: Hashable {
    let head: String
    let tail: String
    let axis: Int
    /// 0 for numbers without padding.
    let width: Int

    init(_ name: Name, axis: Int, width: Int) {
      head = name.text(upTo: axis)
      tail = name.text(after: axis)
      self.axis = axis
      self.width = width
    }

    init(_ name: Name, axis: Int, padded: Set<Series>) {
      let wide = Series(name, axis: axis, width: name.numbers[axis].text.utf8.count)
      self = padded.contains(wide) ? wide : Series(name, axis: axis, width: 0)
    }
  }

  /// A name as texts with numbers between them.
  private struct Name: Comparable {
    struct Number: Hashable {
      let text: String
      let value: UInt64
      var isPadded: Bool { text.utf8.count > 1 && text.hasPrefix("0") }
    }

    let text: String
    /// One more than numbers, some of them empty.
    let words: [String]
    let numbers: [Number]
    /// The words, apart from each other: names of one shape differ only in numbers.
    let shape: [UInt8]

    init(_ text: String) {
      self.text = text
      var words: [[UInt8]] = [[]]
      var numbers: [Number] = []
      var digits: [UInt8] = []
      func flush() {
        guard !digits.isEmpty else { return }
        // Longer ones do not fit an integer, and are nobody's counter.
        if digits.count <= 18 {
          let text = String(decoding: digits, as: UTF8.self)
          numbers.append(Number(text: text, value: digits.reduce(0) { $0 * 10 + UInt64($1 - UInt8(ascii: "0")) }))
          words.append([])
        } else {
          words[words.count - 1] += digits
        }
        digits = []
      }
      for byte in text.utf8 {
        if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
          digits.append(byte)
        } else {
          flush()
          words[words.count - 1].append(byte)
        }
      }
      flush()
      self.words = words.map { String(decoding: $0, as: UTF8.self) }
      self.numbers = numbers
      shape = Array(words.joined(separator: [0]))
    }

    func text(upTo axis: Int) -> String {
      zip(words, numbers).prefix(axis).map { $0 + $1.text }.joined() + words[axis]
    }

    func text(after axis: Int) -> String {
      words[axis + 1] + zip(numbers, words.dropFirst()).dropFirst(axis + 1).map { $0.text + $1 }.joined()
    }

    /// Natural order: `web2` before `web10`. Equal only when the texts are.
    static func < (a: Name, b: Name) -> Bool {
      for (index, (left, right)) in zip(a.words, b.words).enumerated() {
        if left != right { return bytewise(left, right) }
        guard index < a.numbers.count, index < b.numbers.count else { break }
        if a.numbers[index].value != b.numbers[index].value { return a.numbers[index].value < b.numbers[index].value }
      }
      return a.words.count == b.words.count ? bytewise(a.text, b.text) : a.words.count < b.words.count
    }

    static func == (a: Name, b: Name) -> Bool { a.text == b.text }
  }
}
