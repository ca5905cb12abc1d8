import Core
import Glibc
import TestSupport
import Testing

@testable import Ruleset

@Suite("Numeric addresses")
struct AddressTests {
  @Test func `IPv6 is judged as the system's own parser does`() {
    let fixed = [
      "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::8", "::1.2.3.4",
      "1:2:3:4:5:6:1.2.3.4",
      "::ffff:10.0.0.1", "", ":", ":::", "1", "1:2", "1::2::3", "12345::", "g::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
      ":1", "1:", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "1.2.3.4::", "::1.2.3.4:1", "fe80::1%lo", " ::1", "1::2 ",
    ]
    var random = Random.fresh()
    let pieces = ["1", "2f", "abcd", "12345", ":", ":", "::", "1.2.3.4", "0", "f", "."]
    let made = (0..<5000).map { _ in (0..<1 + random.below(14)).map { _ in random.pick(pieces) }.joined() }
    for text in fixed + made {
      var address = in6_addr()
      #expect(AddressText.isIPv6(Array(text.utf8)) == (inet_pton(AF_INET6, text, &address) == 1), "\(text)")
    }
  }

  @Test func `IPv4 is judged as the system's own parser does`() {
    var random = Random.fresh()
    let pieces = ["1", "0", "255", "256", "10", ".", ".", ".", "01", "x"]
    let made = (0..<5000).map { _ in (0..<1 + random.below(9)).map { _ in random.pick(pieces) }.joined() }
    for text in made + ["", "1.2.3.4", "1.2.3", "1.2.3.4.5", "0.0.0.0", "255.255.255.255", "1..2.3", "01.2.3.4"] {
      var address = in_addr()
      #expect(AddressText.isIPv4(Array(text.utf8)) == (inet_pton(AF_INET, text, &address) == 1), "\(text)")
    }
  }

  @Test func `an address is spelled as this system spells it`() throws {
    var random = Random.fresh()
    let fixed: [[UInt16]] = [
      [0, 0, 0, 0, 0, 0, 0x102, 0x304], [0, 0, 0, 0, 0, 0xffff, 0x102, 0x304], [0, 0, 1, 0, 0, 1, 1, 1],
      [0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0], [0x2001, 0xdb8, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 0, 0],
      [0, 0, 0, 0, 0xffff, 0, 1, 1], [0, 0, 0, 0, 0, 0, 1, 0],
    ]
    let values: [UInt16] = [0, 0, 0, 1, 0xffff, 0xabc]
    let made = (0..<5000).map { _ in (0..<8).map { _ in random.pick(values) } }
    for groups in fixed + made {
      let bytes = groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
      var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
      #expect(inet_ntop(AF_INET6, bytes, &text, socklen_t(text.count)) != nil)
      let system = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      #expect(AddressPrefix(system)?.description == system, "\(groups)")
      let plain = groups.map { String($0, radix: 16) }.joined(separator: ":")
      #expect(AddressPrefix(plain)?.description == system, "\(groups)")
    }
  }
}
