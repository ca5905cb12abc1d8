internal import Core

/// Ansible's ranges in host names: `web[001:412]`, `db-[a:f]`, `node[0:20:5]`, several in one name.
///
/// Both ends count. A lower end written with leading zeros pads every number to its width, and then the upper end must
/// be as wide.
enum HostRange {
  /// The names, or why there are none. `limit` bounds what one name may make.
  static func expand(_ name: String, limit: Int) throws(Reason) -> [String] {
    // From the left, so that a name with many brackets costs no stack. The first range varies slowest.
    var names = [""]
    var rest = name[...]
    while let open = rest.firstIndex(of: "[") {
      guard let close = rest[open...].firstIndex(of: "]") else { throw Reason("a '[' without its ']'") }
      let head = rest[..<open]
      guard !head.contains("]") else { throw Reason("a ']' without its '['") }
      let values = try values(of: rest[rest.index(after: open)..<close], limit: limit)
      guard names.count * values.count <= limit, rest.utf8.count < 4096 else {
        throw Reason("the range makes more than \(limit) names")
      }
      names = names.flatMap { name in values.map { name + head + $0 } }
      rest = rest[rest.index(after: close)...]
    }
    guard !rest.contains("]") else { throw Reason("a ']' without its '['") }
    return names.count == 1 && names[0].isEmpty ? [String(rest)] : names.map { $0 + rest }
  }

  private static func values(of range: Substring, limit: Int) throws(Reason) -> [String] {
    let bounds = range.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard bounds.count == 2 || bounds.count == 3 else {
      throw Reason(
        range.contains("-") || range.contains(",")
          ? "a range in an inventory is written [FIRST:LAST] or [FIRST:LAST:STEP]"
          : "expected [FIRST:LAST] or [FIRST:LAST:STEP]")
    }
    let first = bounds[0].isEmpty ? "0" : bounds[0]
    let last = bounds[1]
    guard !last.isEmpty else { throw Reason("the range has no last value") }
    var step = 1
    if bounds.count == 3 {
      guard let given = number(bounds[2]), given > 0 else { throw Reason("the step must be a number above 0") }
      step = given
    }
    if let low = number(first), let high = number(last) {
      let isPadded = first.utf8.count > 1 && first.hasPrefix("0")
      guard !isPadded || first.utf8.count == last.utf8.count else {
        throw Reason("both ends of a padded range must be as wide: \(first), \(last)")
      }
      guard low <= high else { throw Reason("the range runs backwards") }
      guard (high - low) / step < limit else { throw Reason("the range makes more than \(limit) names") }
      return stride(from: low, through: high, by: step).map { value in
        let text = String(value)
        return isPadded ? String(repeating: "0", count: max(0, first.utf8.count - text.utf8.count)) + text : text
      }
    }
    let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    guard first.count == 1, last.count == 1, let low = letters.firstIndex(of: Character(first)),
      let high = letters.firstIndex(of: Character(last))
    else {
      throw Reason("a range runs from number to number or from letter to letter")
    }
    guard low <= high else { throw Reason("the range runs backwards") }
    return stride(from: low, through: high, by: step).map { String(letters[$0]) }
  }

  /// Up to nine digits.
  private static func number(_ text: String) -> Int? {
    guard !text.isEmpty, text.utf8.count <= 9,
      text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { return nil }
    return Int(text)
  }
}
