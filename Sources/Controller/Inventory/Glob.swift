internal import Core

/// `*`, `?`, `[ab]`, `[a-f]`, `[!x]` over a whole name, in time proportional to pattern times name.
struct Glob {
  private enum Item {
    case byte(UInt8)
    case any
    case many
    case oneOf([ClosedRange<UInt8>], negated: Bool)
  }

  private let items: [Item]

  init(_ pattern: String) {
    var items: [Item] = []
    var rest = Array(pattern.utf8)[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "*"): items.append(.many)
      case UInt8(ascii: "?"): items.append(.any)
      case UInt8(ascii: "["):
        // A bracket that does not close is a bracket.
        guard let (set, after) = Self.set(rest) else {
          items.append(.byte(byte))
          continue
        }
        items.append(set)
        rest = after
      default: items.append(.byte(byte))
      }
    }
    self.items = items
  }

  private static func set(_ text: ArraySlice<UInt8>) -> (Item, ArraySlice<UInt8>)? {
    var rest = text
    let negated = rest.first == UInt8(ascii: "!")
    if negated { rest.removeFirst() }
    // A ']' right at the beginning is a member.
    guard let close = rest.dropFirst().firstIndex(of: UInt8(ascii: "]")) else { return nil }
    var members = rest[..<close]
    var ranges: [ClosedRange<UInt8>] = []
    while let low = members.popFirst() {
      if members.count >= 2, members.first == UInt8(ascii: "-") {
        members.removeFirst()
        if let high = members.popFirst(), low <= high { ranges.append(low...high) }
      } else {
        ranges.append(low...low)
      }
    }
    return (.oneOf(ranges, negated: negated), rest[(close + 1)...])
  }

  func matches(_ name: String) -> Bool {
    let name = Array(name.utf8)
    var (item, position) = (0, 0)
    // Only the last `*` needs to be tried again: what an earlier one matched is as good as anything.
    var retry: (item: Int, position: Int)?
    while position < name.count {
      if item < items.count {
        if case .many = items[item] {
          retry = (item, position)
          item += 1
          continue
        }
        if matches(items[item], name[position]) {
          item += 1
          position += 1
          continue
        }
      }
      guard let again = retry else { return false }
      retry = (again.item, again.position + 1)
      item = again.item + 1
      position = again.position + 1
    }
    while item < items.count, case .many = items[item] { item += 1 }
    return item == items.count
  }

  private func matches(_ item: Item, _ byte: UInt8) -> Bool {
    switch item {
    case .byte(let wanted): wanted == byte
    case .any, .many: true
    case .oneOf(let ranges, let negated): ranges.contains { $0.contains(byte) } != negated
    }
  }
}
