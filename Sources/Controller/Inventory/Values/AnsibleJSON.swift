/// JSON as `ansible-inventory` prints it: keys sorted, four spaces. Only what a terminal would obey instead of showing
/// is escaped where Ansible prints it raw.
package enum AnsibleJSON {
  package static func text(_ value: InventoryValue) -> String {
    var output: [UInt8] = []
    write(value, indent: 0, &output)
    return String(decoding: output, as: UTF8.self)
  }

  private static func write(_ value: InventoryValue, indent: Int, _ output: inout [UInt8]) {
    switch value {
    case .null: output += Array("null".utf8)
    case .bool(let flag): output += Array((flag ? "true" : "false").utf8)
    case .integer(let number): output += Array(String(number).utf8)
    case .real(let text): output += Array(text.utf8)
    case .text(let text): write(text, &output)
    case .unsafe(let text):
      write(.mapping([.init(key: "__ansible_unsafe", value: .text(text))]), indent: indent, &output)
    case .vaulted(let text):
      write(.mapping([.init(key: "__ansible_vault", value: .text(text))]), indent: indent, &output)
    case .list(let values):
      brackets("[", "]", values, indent, &output) { write($0, indent: indent + 1, &$1) }
    case .mapping(let entries):
      brackets("{", "}", entries.sorted { bytewise($0.key, $1.key) }, indent, &output) { entry, output in
        write(entry.key, &output)
        output += Array(": ".utf8)
        write(entry.value, indent: indent + 1, &output)
      }
    }
  }

  private static func brackets<Element>(
    _ open: Unicode.Scalar, _ close: Unicode.Scalar, _ elements: [Element], _ indent: Int, _ output: inout [UInt8],
    _ write: (Element, inout [UInt8]) -> Void
  ) {
    output.append(UInt8(ascii: open))
    for (index, element) in elements.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      newLine(indent + 1, &output)
      write(element, &output)
    }
    if !elements.isEmpty { newLine(indent, &output) }
    output.append(UInt8(ascii: close))
  }

  private static func newLine(_ indent: Int, _ output: inout [UInt8]) {
    output.append(0x0a)
    output += repeatElement(0x20, count: indent * 4)
  }

  private static func write(_ text: String, _ output: inout [UInt8]) {
    let short: [UInt32: Unicode.Scalar] = [
      0x22: "\"", 0x5c: "\\", 0x08: "b", 0x09: "t", 0x0a: "n", 0x0c: "f", 0x0d: "r",
    ]
    output.append(0x22)
    for scalar in text.unicodeScalars {
      if let letter = short[scalar.value] {
        output += [0x5c, UInt8(ascii: letter)]
      } else if Self.isHidden(scalar.value) {
        let digits = String(scalar.value, radix: 16)
        output += Array("\\u\(String(repeating: "0", count: 4 - digits.utf8.count))\(digits)".utf8)
      } else {
        output += UTF8.encode(scalar).map { Array($0) } ?? []
      }
    }
    output.append(0x22)
  }

  private static func isHidden(_ code: UInt32) -> Bool {
    switch code {
    case 0..<0x20, 0x7f..<0xa0, 0x2028...0x202e, 0x2066...0x2069, 0xfeff: true
    default: false
    }
  }
}
