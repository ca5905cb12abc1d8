import Core
import Foundation
import TestSupport
import Testing

@testable import Transport

@Suite struct KexInspectorTests {
  @Test func aGoodServerIsUnderstoodOneByteAtATime() {
    let stream = Array("welcome\r\nmore\n".utf8) + FakeServer.identification + FakeServer.kexInit()
    for count in 0..<stream.count {
      guard case .incomplete(let need) = KexInspector.examine(Array(stream[..<count])) else {
        Issue.record("decided after \(count) of \(stream.count) bytes")
        return
      }
      #expect(need > count && need <= stream.count)
    }
    guard case .offer(let offer) = KexInspector.examine(stream) else {
      Issue.record("no offer")
      return
    }
    #expect(offer.software == "Fake_1.0")
    #expect(offer.objection == nil)
    // What follows does not matter.
    #expect(KexInspector.examine(stream + [1, 2, 3]) == .offer(offer))
  }

  @Test(
    "what a server must offer",
    arguments: [
      (FakeServer.kexInit(kex: "curve25519-sha256"), "strict key exchange"),
      (FakeServer.kexInit(kex: "curve25519-sha256,kex-strict-c-v00@openssh.com"), "strict key exchange"),
      (FakeServer.kexInit(kex: "diffie-hellman-group14-sha1,kex-strict-s-v00@openssh.com"), "no key exchange"),
      (FakeServer.kexInit(hostKeys: "ssh-rsa,ssh-dss"), "no host key algorithm"),
      (FakeServer.kexInit(ciphers: "aes256-gcm@openssh.com"), "no cipher"),
      (FakeServer.kexInit(ciphers: "aes128-cbc"), "no cipher"),
      (FakeServer.kexInit(ciphers: "aes256-ctr", macs: "hmac-sha1"), "no MAC"),
      (FakeServer.kexInit(ciphers: "chacha20-poly1305@openssh.com", macs: "hmac-sha1"), nil),
    ])
  func objections(kexInit: [UInt8], expected: String?) {
    guard case .offer(let offer) = KexInspector.examine(FakeServer.identification + kexInit) else {
      Issue.record("no offer")
      return
    }
    if let expected {
      #expect(offer.objection?.contains(expected) == true)
    } else {
      #expect(offer.objection == nil)
    }
  }

  @Test func mutatedStreamsNeverTrap() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = Random(seed: seed)
    let good = FakeServer.identification + FakeServer.kexInit()
    for _ in 0..<20_000 {
      var stream = good
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        stream[Int.random(in: 0..<stream.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      if case .incomplete(let need) = KexInspector.examine(stream) {
        #expect(need > stream.count && need <= KexInspector.maximumPrefix, "seed \(seed)")
      }
    }
  }
}

@Suite struct DeadlineHeapTests {
  @Test func givesBackInOrderWhatIsDue() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = Random(seed: seed)
    let now = ContinuousClock.now
    var heap = DeadlineHeap()
    let delays = (0..<500).map { _ in Int.random(in: 0..<100, using: &generator) }
    for (id, delay) in delays.enumerated() { heap.insert(now + .seconds(delay), id: UInt64(id)) }
    heap.compact { $0 % 3 != 0 }
    var order: [Int] = []
    while let id = heap.popDue(now + .seconds(50)) { order.append(delays[Int(id)]) }
    let expected = delays.enumerated().filter { $0.offset % 3 != 0 && $0.element <= 50 }.map(\.element).sorted()
    #expect(order == expected, "seed \(seed)")
    #expect(heap.earliest.map { $0 > now + .seconds(50) } ?? true)
  }
}

@Suite struct IdentityFileTests {
  @Test func keysAreToldApart() throws {
    let scratch = try Scratch()
    let plain = try scratch.key("plain")
    let locked = try scratch.key("locked", passphrase: "secret")
    guard case .success(.privateKey(let text)) = IdentityFile.load(plain) else {
      Issue.record("plain key")
      return
    }
    #expect(SSHKey(privateKey: text) != nil)
    guard case .success(.agentKey(let blob, _)) = IdentityFile.load(locked) else {
      Issue.record("encrypted key")
      return
    }
    #expect(try blob == HostKey(base64: TestServer.publicKey(locked).split(separator: " ")[1].utf8)?.blob)
    guard case .success(.agentKey(blob, _)) = IdentityFile.load(locked + ".pub") else {
      Issue.record("public key")
      return
    }
    try run("/bin/rm", locked)
    guard case .success(.agentKey(blob, _)) = IdentityFile.load(locked) else {
      Issue.record("only the public half is left")
      return
    }
    guard case .failure = IdentityFile.load(scratch.path + "/none"), case .failure = IdentityFile.load("/dev/zero")
    else {
      Issue.record("no key there")
      return
    }
  }
}
