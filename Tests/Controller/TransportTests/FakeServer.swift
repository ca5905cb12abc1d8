import Core
import Foundation
import Glibc
import Testing

@testable import Transport

/// A server that misbehaves: each connection is handed to `behaviour` on a thread of its own.
final class FakeServer: Sendable {
  let port: UInt16
  private let listener: Int32

  init(_ behaviour: @escaping @Sendable (Int32) -> Void) throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    port = try #require(bindLoopback(descriptor))
    listener = descriptor
    listen(descriptor, 128)
    Thread.detachNewThread {
      while true {
        let peer = accept(descriptor, nil, nil)
        guard peer >= 0 else { return }
        Thread.detachNewThread {
          behaviour(peer)
          close(peer)
        }
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  func endpoint(_ name: String, key: String) -> HostEndpoint {
    HostEndpoint(name: name, addresses: ["127.0.0.1"], port: port, user: "root", identityFile: key)
  }

  static func put(_ peer: Int32, _ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(peer, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// Waits until the client hangs up, at most 20 s.
  static func linger(_ peer: Int32) {
    var timeout = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    var buffer = [UInt8](repeating: 0, count: 4096)
    while recv(peer, &buffer, buffer.count, 0) > 0 {}
  }

  static let identification = Array("SSH-2.0-Fake_1.0\r\n".utf8)

  static func kexInit(
    kex: String = "curve25519-sha256,kex-strict-s-v00@openssh.com", hostKeys: String = "ssh-ed25519",
    ciphers: String = "chacha20-poly1305@openssh.com,aes256-ctr",
    macs: String = "hmac-sha2-256-etm@openssh.com", type: UInt8 = 20, guess: Bool = false
  ) -> [UInt8] {
    var payload = ByteWriter()
    payload.uint8(type)
    payload.raw([UInt8](repeating: 7, count: 16))
    for list in [kex, hostKeys, ciphers, ciphers, macs, macs, "none", "none", "", ""] { payload.text(list) }
    payload.bool(guess)
    payload.uint32(0)
    return packet(payload.bytes)
  }

  static func packet(_ payload: [UInt8]) -> [UInt8] {
    var padding = 8 - (payload.count + 5) % 8
    if padding < 4 { padding += 8 }
    var writer = ByteWriter()
    writer.uint32(UInt32(payload.count + padding + 1))
    writer.uint8(UInt8(padding))
    writer.raw(payload)
    writer.raw([UInt8](repeating: 0, count: padding))
    return writer.bytes
  }
}

/// The kinds of misbehaviour before a login, and what each is called.
enum Misbehaviour: String, CaseIterable, Sendable {
  case garbage, endlessBanner, endlessLines, silent, drip, closesAtOnce, closesInKeyExchange, noStrictKeyExchange
  case weakCiphers, oldProtocol, hugeFirstPacket, otherFirstPacket, stallsInKeyExchange, guessesKeyExchange

  func behave(_ peer: Int32) {
    let put = { (bytes: [UInt8]) in FakeServer.put(peer, bytes) }
    let hello = FakeServer.identification
    switch self {
    case .garbage:
      _ = put((0..<6000).map { _ in UInt8.random(in: 0...255) } + [10] + [UInt8](repeating: 65, count: 600))
    case .endlessBanner: while put([UInt8](repeating: 65, count: 4096)) {}
    case .endlessLines: while put(Array("welcome to this machine\r\n".utf8)) {}
    case .silent: break
    case .drip:
      for byte in hello + FakeServer.kexInit() {
        guard put([byte]) else { return }
        sleep(1)
      }
    case .closesAtOnce: return
    case .closesInKeyExchange:
      _ = put(hello + FakeServer.kexInit())
      usleep(100_000)
      return
    case .noStrictKeyExchange: _ = put(hello + FakeServer.kexInit(kex: "curve25519-sha256"))
    case .weakCiphers: _ = put(hello + FakeServer.kexInit(ciphers: "aes128-cbc,3des-cbc"))
    case .oldProtocol: _ = put(Array("SSH-1.5-old\u{1b}[2J\n".utf8))
    case .hugeFirstPacket: _ = put(hello + [0x7f, 0xff, 0xff, 0xfc, 4, 20])
    case .otherFirstPacket: _ = put(hello + FakeServer.packet([2, 0, 0, 0, 0]) + FakeServer.kexInit())
    case .stallsInKeyExchange: _ = put(hello + FakeServer.kexInit())
    case .guessesKeyExchange: _ = put(hello + FakeServer.kexInit(guess: true))
    }
    FakeServer.linger(peer)
  }

  var expected: TransportError.Kind {
    switch self {
    case .silent, .drip, .stallsInKeyExchange: .deadline
    case .closesAtOnce, .closesInKeyExchange: .unreachable
    default: .protocolViolation
    }
  }
}
