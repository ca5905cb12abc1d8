import Core
import Testing
import Wire

struct EnrolmentTests {
  static let request = EnrolmentRequest(
    host: HostID("web01.example.net")!, fleet: FleetID("shop")!, agent: Digest(of: Array("agent".utf8)),
    allowedSigners: Array("a@b namespaces=\"release@portcullis\" ssh-ed25519 AAAA\n".utf8),
    thresholds: Array("portcullis-thresholds 1\nlockdown 2\nunlock 2\n".utf8),
    loginKeys: ["ssh-ed25519 AAAA one", "sk-ssh-ed25519@openssh.com AAAA two"])

  @Test func `a request comes out as it went in`() throws {
    #expect(try EnrolmentRequest(decoding: Self.request.encode()) == Self.request)
  }

  @Test func `a request that is cut, longer or changed in its form is refused or means something else`() throws {
    let bytes = Self.request.encode()
    for length in 0..<bytes.count {
      #expect(throws: ByteReader.Problem.self) { try EnrolmentRequest(decoding: Array(bytes[..<length])) }
    }
    #expect(throws: ByteReader.Problem.self) { try EnrolmentRequest(decoding: bytes + [0]) }
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << UInt8(bit)
        if let read = try? EnrolmentRequest(decoding: changed) {
          #expect(read != Self.request && read.encode() == changed, "byte \(index), bit \(bit)")
        }
      }
    }
  }

  @Test(
    arguments: [
      "ssh-ed25519 AAAA\ncommand=\"/bin/sh\" ssh-ed25519 BBBB", "ssh-ed25519 AAAA\r",
      "command=\"/bin/sh\" ssh-ed25519 AAAA",
      " ssh-ed25519 AAAA", "ssh-ed25519 \0AAAA", "", "cert-authority ssh-ed25519 AAAA", "# ssh-ed25519 AAAA",
      "ssh-ed25519 \u{9b}",
    ])
  func `a login key cannot bring options or a second line`(key: String) {
    var request = Self.request
    request.loginKeys = [key]
    #expect(throws: ByteReader.Problem.self) { try EnrolmentRequest(decoding: request.encode()) }
  }

  static let answers = [
    InstallationAnswer(service: .systemd, generationZero: .captured, upgraded: false, conflicts: []),
    InstallationAnswer(service: .detached, generationZero: .kept, upgraded: true, conflicts: ["firewalld", "ufw"]),
    InstallationAnswer(
      service: .systemd, generationZero: .kept, upgraded: true, conflicts: [],
      dropIns: ["etc/systemd/system/service.d/a b.conf", "run/systemd/system/service.d"]),
  ]

  @Test(arguments: answers)
  func `an answer comes out as it went in`(answer: InstallationAnswer) {
    #expect(InstallationAnswer(decoding: answer.encode()) == answer)
  }

  @Test(arguments: answers)
  func `an answer is exactly its lines`(answer: InstallationAnswer) {
    let text = answer.encode()
    for length in 0..<text.utf8.count {
      #expect(InstallationAnswer(decoding: String(text.prefix(length))) == nil)
    }
    for other in [
      text + "\n", text + "x", "\n" + text, " " + text, text.replacing("upgraded", with: "upgrade"),
      text.replacing("service ", with: "service  "), text.replacing("\n", with: "\r\n"),
    ] {
      #expect(InstallationAnswer(decoding: other) == nil, "\(other.debugDescription)")
    }
  }

  @Test func `drop-ins are named in plain words and numbers that an answer may have`() {
    let answer = InstallationAnswer(
      service: .systemd, generationZero: .kept, upgraded: true, conflicts: [],
      dropIns: Array(repeating: "a\u{1b}\nb\u{9b}" + String(repeating: "x", count: 500), count: 99))
    #expect(answer.dropIns.count == EnrolledFiles.maximumDropIns && answer.dropIns[0].hasPrefix("a??b?xx"))
    let text = answer.encode()
    #expect(InstallationAnswer(decoding: text) == answer)
    #expect(InstallationAnswer(decoding: text.replacing("drop-ins 32", with: "drop-ins 31")) == nil)
    #expect(InstallationAnswer(decoding: text.replacing("drop-ins 32", with: "drop-ins 33") + "drop-in x\n") == nil)
    #expect(InstallationAnswer(decoding: text.replacing("a??b?", with: "a\u{1b}")) == nil)
  }

  @Test(arguments: [
    "\u{1b}[2J", "ufw\u{9b}", "UFW rules", "a,,b", ",", "-,ufw", String(repeating: "a", count: 65),
    Array(repeating: "a", count: 17).joined(separator: ","),
  ])
  func `a service that no host of ours would name is not taken from one`(conflicts: String) {
    let text = Self.answers[0].encode().replacing("conflicts -", with: "conflicts \(conflicts)")
    #expect(InstallationAnswer(decoding: text) == nil)
  }
}
