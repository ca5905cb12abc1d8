internal import Core

/// What stands where a host is named: `web1`, `web[01:50]`, `web1:2222`.
struct HostPattern {
  let names: [String]
  /// From `NAME:PORT`; it counts only where the host is named first, as Ansible has it.
  let port: UInt16?

  init(_ text: String, limit: Int) throws(Reason) {
    var body = text[...]
    var port: UInt16?
    if let colon = Self.portColon(in: text), Self.isHostName(text[..<colon]) {
      guard let number = UInt16(text[text.index(after: colon)...]), number > 0 else {
        throw Reason("the port must be a number from 1 to 65535")
      }
      body = text[..<colon]
      port = number
    }
    names = try HostRange.expand(String(body), limit: limit)
    self.port = port
  }

  /// The one colon outside of brackets, with digits after it.
  private static func portColon(in text: String) -> String.Index? {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = text[text.index(after: colon)...]
    guard !digits.isEmpty, digits.utf8.allSatisfy(PlainScalar.isDigit) else { return nil }
    var isInRange = false
    for index in text[..<colon].indices {
      switch text[index] {
      case "[": isInRange = true
      case "]": isInRange = false
      case ":" where !isInRange: return nil
      default: break
      }
    }
    return isInRange ? nil : colon
  }

  /// Labels of letters, digits, `_`, `-` and ranges between dots, as Ansible recognises them.
  static func isHostName(_ text: Substring) -> Bool {
    var previous: UInt8 = UInt8(ascii: ".")
    var rest = Array(text.utf8)[...]
    guard !rest.isEmpty else { return false }
    while let byte = rest.first {
      switch byte {
      case UInt8(ascii: "["):
        guard let close = rest.firstIndex(of: UInt8(ascii: "]")), isRange(rest[(rest.startIndex + 1)..<close]) else {
          return false
        }
        rest = rest[(close + 1)...]
        previous = UInt8(ascii: "]")
        continue
      case UInt8(ascii: "."): guard !".-_".utf8.contains(previous) else { return false }
      case UInt8(ascii: "-"): guard previous != UInt8(ascii: ".") else { return false }
      case UInt8(ascii: "_"): break
      default: guard PlainScalar.isDigit(byte) || (0x61...0x7a).contains(byte | 0x20) else { return false }
      }
      previous = byte
      rest = rest.dropFirst()
    }
    return !".-_".utf8.contains(previous)
  }

  private static func isRange(_ text: ArraySlice<UInt8>) -> Bool {
    let bounds = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    guard bounds.count == 2 || bounds.count == 3 else { return false }
    func isNumber(_ bound: ArraySlice<UInt8>) -> Bool { !bound.isEmpty && bound.allSatisfy(PlainScalar.isDigit) }
    func isLetter(_ bound: ArraySlice<UInt8>) -> Bool {
      bound.count == 1 && (0x61...0x7a).contains(bound[bound.startIndex] | 0x20)
    }
    return (bounds.count == 2 || isNumber(bounds[2]))
      && (bounds[0...1].allSatisfy(isNumber) || bounds[0...1].allSatisfy(isLetter))
  }
}
