import Apply
import Core
import Daemon
import Foundation
import Glibc
import Testing

@Suite struct SmallPartsTests {
  @Test(arguments: [
    ("192.0.2.7 51515 192.0.2.1 22", "192.0.2.7 51515 192.0.2.1 22"), ("2001:db8::1 1 ::1 65535", nil),
    ("fe80::1%eth0 1 fe80::2%eth0 22", "fe80::1 1 fe80::2 22"), ("", "-"), ("host.example 1 2 3", "-"),
    ("UNKNOWN 65535 UNKNOWN 65535", "-"), ("192.0.2.7\n 1 192.0.2.1 3", "-"), ("192.0.2.256 1 192.0.2.1 3", "-"),
    ("1\u{0}.2.3.4 1 192.0.2.1 3", "-"), (String(repeating: "1", count: 500), "-"), ("192.0.2.7", "-"),
    ("192.0.2.7 51515 192.0.2.1", "-"), ("192.0.2.7 0 192.0.2.1 22", "-"), ("192.0.2.7 51515 192.0.2.1 65536", "-"),
    ("192.0.2.7 51515 192.0.2.1 022", "-"), ("192.0.2.7 51515 host 22", "-"), ("192.0.2.7  192.0.2.1 22", "-"),
    ("192.0.2.7 51515 192.0.2.1 22 ", "-"), ("192.0.2.7 51515 192.0.2.1 22\nsource", "-"), ("%eth0 1 ::1 22", "-"),
  ])
  func `only two numeric addresses with their ports make an SSH connection`(variable: String, line: String?) {
    let preamble = Preamble(sshConnection: variable)
    #expect(preamble.bytes == Array("source \(line ?? variable)\n".utf8))
    #expect(Preamble(line: preamble.bytes.dropLast()) == preamble)
  }

  @Test func `the longest connection there can be fits the preamble`() {
    let address = "2001:0db8:1111:2222:3333:4444:255.255.255.255"
    let line = Array("source \(address) 65535 \(address) 65535".utf8)
    #expect(line.count + 1 == Preamble.maximumLength)
    #expect(Preamble(line: line)?.source == "2001:db8:1111:2222:3333:4444:ffff:ffff")
  }

  @Test func `a preamble names both ends, each address in the one way to write it`() {
    let ends = Preamble(sshConnection: "2001:DB8:0::5%eth0 4000 2001:db8:0:0::1 22").ends
    #expect(
      ends
        == ConnectionEnds(source: "2001:db8::5", sourcePort: 4000, destination: "2001:db8::1", destinationPort: 22))
    #expect(
      Preamble(sshConnection: "::ffff:192.0.2.7 4000 ::FFFF:c000:0201 22").ends
        == ConnectionEnds(source: "192.0.2.7", sourcePort: 4000, destination: "192.0.2.1", destinationPort: 22))
    #expect(Preamble(sshConnection: nil).ends == nil)
  }

  static let accounts = Array(
    """
    root:x:0:0:root:/root:/bin/sh
    # portcullis:x:1:1::/:/bin/sh
    portcullisx:x:5:5::/:/bin/sh
    portcullis:x:990
    portcullis:*:991:992:Portcullis:/var/lib/portcullis/login:/usr/local/lib/portcullis/portcullis-bridge
    nonsense
    bad:x:99999999999999999999:1::/:/bin/sh
    """.utf8)

  @Test(arguments: [("root", 0), ("portcullis", 991), ("portcullisx", 5), ("nobody", nil), ("bad", nil), ("", nil)])
  func `a user's number is found in passwd by its whole name`(name: String, number: UInt32?) {
    #expect(Accounts.userID(of: name, in: Self.accounts) == number)
  }

  @Test func `a group's number is found in group`() {
    let group = Array("root:x:0:\nportcullis:x:992:\nother:x:1:portcullis\n".utf8)
    #expect(Accounts.groupID(of: "portcullis", in: group) == 992)
    #expect(Accounts.groupID(of: "portcullis", in: Accounts.read("/nonexistent")) == nil)
  }

  @Test(arguments: [false, true])
  func `the service manager is told by one datagram, also to an abstract socket`(isAbstract: Bool) throws {
    let name = (isAbstract ? "@" : FileManager.default.temporaryDirectory.path + "/") + "notify-\(UUID().uuidString)"
    let receiver = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    defer {
      close(receiver)
      if !isAbstract { unlink(name) }
    }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(name.utf8)
    if isAbstract { bytes[0] = 0 }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let length = socklen_t(2 + bytes.count + (isAbstract ? 0 : 1))
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(receiver, $0, length) }
    }
    try #require(bound == 0)
    ReadyNotification.send("READY=1", to: name)
    var buffer = [UInt8](repeating: 0, count: 100)
    let count = recv(receiver, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    #expect(String(decoding: buffer.prefix(max(0, count)), as: UTF8.self) == "READY=1")
  }

  @Test(arguments: [nil, "", "relative", "/nonexistent/socket", "/" + String(repeating: "x", count: 200)])
  func `nobody to tell is not an error`(name: String?) { ReadyNotification.send("READY=1", to: name) }
}
