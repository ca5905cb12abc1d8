import Core
import Release
import TestSupport
import Testing

/// Whatever we accept, `ssh-keygen -Y verify` must accept, also among signatures somebody has tampered with.
@Suite struct SignatureMutationTests {
  private static let namespace = SigningNamespace.release.rawValue
  private static let mutants = 5000
  /// How many of the mutants we refuse, and of other spellings of the same signature, ssh-keygen is asked about. It is
  /// asked about every other signature that we accept, whatever the number.
  private static let sample = 30

  @Test(arguments: SSHKeyKind.allCases)
  func nothingIsAcceptedThatSSHKeygenRefuses(_ kind: SSHKeyKind) throws {
    let seed = Random.seed(for: "mutants of \(kind.rawValue)")
    var random = Random(seed: seed)
    let directory = TemporaryDirectory()
    let signer = TestSigner(kind)
    let line = try AllowedSigner(principal: "anna", namespaces: [Self.namespace], key: signer.publicKey).line
    let allowed = directory.write(line, to: "allowed_signers")
    let signers = try AllowedSigners.parse(Array(line.utf8), file: "allowed_signers")
    let message = Array("the statement\n".utf8)
    let messageFile = directory.write(message, to: "message")

    func theyAccept(_ armored: [UInt8]) -> Bool {
      SSHKeygen.accepts(
        armored, over: messageFile, principal: "anna", namespace: Self.namespace, allowedSigners: allowed,
        in: directory)
    }
    func weAccept(_ armored: [UInt8]) -> Bool {
      guard let signature = try? SSHSignature.parse(armored: armored),
        case .signer = signers.signer(of: signature.key.blob, namespace: Self.namespace, at: ReleaseFixture.now)
      else { return false }
      return (try? signature.verify(message: message, namespace: Self.namespace)) == .valid
    }

    var accepted = 0
    var otherBlobs = 0
    var respellings = 0
    var asked = 0
    var onlyThey = 0
    for index in 0..<Self.mutants {
      let blob = try signer.signatureBlob(
        message, namespace: Self.namespace, hash: Bool.random(using: &random) ? "sha512" : "sha256")
      let mutant =
        Int.random(in: 0..<4, using: &random) == 0
        ? mutatedArmor(SSHSignatureArmor.encode(blob), &random)
        : SSHSignatureArmor.encode(mutatedBlob(blob, &random))
      let ours = weAccept(mutant)
      var isWorthAsking = index % (Self.mutants / Self.sample) == 0
      if ours {
        accepted += 1
        if try SSHSignatureArmor.decode(mutant) == blob {
          respellings += 1
          isWorthAsking = respellings <= Self.sample
        } else {
          otherBlobs += 1
          isWorthAsking = true
        }
      }
      guard isWorthAsking else { continue }
      asked += 1
      let theirs = theyAccept(mutant)
      if theirs && !ours { onlyThey += 1 }
      #expect(theirs || !ours, "seed \(seed), mutant \(index): \(String(decoding: mutant, as: UTF8.self))")
    }
    print(
      "mutants of \(kind.rawValue): \(Self.mutants), we accept \(accepted) (\(otherBlobs) with other bytes); "
        + "ssh-keygen asked about \(asked), it alone accepts \(onlyThey)")
    #expect(asked >= Self.sample)
  }

  /// Edits of the text: most leave bytes that decode to something else or to nothing, some only another spelling.
  private func mutatedArmor(_ armor: [UInt8], _ random: inout Random) -> [UInt8] {
    var text = armor
    let at = Int.random(in: 0..<text.count, using: &random)
    switch Int.random(in: 0..<8, using: &random) {
    case 0: text.insert(UInt8(ascii: "\n"), at: at)
    case 1: text.insert(UInt8(ascii: "\r"), at: at)
    case 2: text.insert(UInt8(ascii: " "), at: at)
    case 3: text.remove(at: at)
    case 4: text[at] = UInt8.random(in: 0x20...0x7e, using: &random)
    case 5: text += [[10], [0], Array("trailing\n".utf8)].randomElement(using: &random)!
    case 6:
      // The base64 in lines of another width, which is no other signature.
      let width = Int.random(in: 1...76, using: &random)
      let body = text.dropFirst(30).dropLast(28).filter { $0 != 10 }
      let lines = stride(from: 0, to: body.count, by: width).flatMap {
        body[$0..<min($0 + width, body.count)] + [10]
      }
      text = text.prefix(30) + lines + text.suffix(28)
    default: text = Array(text.prefix(at))
    }
    return text
  }

  private func mutatedBlob(_ blob: [UInt8], _ random: inout Random) -> [UInt8] {
    var bytes = blob
    for _ in 0..<Int.random(in: 1...2, using: &random) where !bytes.isEmpty {
      let at = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<8, using: &random) {
      case 0...2: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 3: bytes[at] = UInt8.random(in: 0...255, using: &random)
      case 4: bytes.insert(UInt8.random(in: 0...1, using: &random) * 0xff, at: at)
      case 5: bytes.remove(at: at)
      case 6: bytes = Array(bytes.prefix(at))
      default: bytes = withChangedLength(bytes, &random)
      }
    }
    return bytes
  }

  /// A length field one more or less, with a byte put in or taken out to match, so that the framing stays whole.
  private func withChangedLength(_ blob: [UInt8], _ random: inout Random) -> [UInt8] {
    var offsets: [Int] = []
    for offset in 0..<max(0, blob.count - 4) where blob[offset] == 0 && blob[offset + 1] == 0 && blob[offset + 2] == 0 {
      offsets.append(offset + 3)
    }
    guard let offset = offsets.randomElement(using: &random) else { return blob }
    var bytes = blob
    if Bool.random(using: &random) {
      bytes[offset] &+= 1
      if Bool.random(using: &random) { bytes.insert(0, at: offset + 1) }
    } else {
      bytes[offset] &-= 1
      if Bool.random(using: &random) { bytes.remove(at: offset + 1) }
    }
    return bytes
  }
}
