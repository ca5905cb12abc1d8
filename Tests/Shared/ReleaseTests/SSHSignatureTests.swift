import Core
import Release
import Testing

private let namespace = SigningNamespace.release.rawValue

@Suite struct SSHSignatureTests {
  private static let message = Array("a message\n".utf8)

  private static func verdict(_ armored: [UInt8], over message: [UInt8] = message) throws -> SSHSignature.Verdict {
    try SSHSignature.parse(armored: armored).verify(message: message, namespace: namespace)
  }

  @Test(arguments: ["ed25519", "ecdsa"], ["sha512", "sha256"])
  func whatSSHKeygenSignsVerifies(_ type: String, _ hash: String) throws {
    let directory = TemporaryDirectory()
    let key = try SSHKeygen.makeKey("signer", type: type, in: directory)
    // 20 times, since an ECDSA number is one byte shorter or longer now and then.
    for count in 0..<20 {
      let message = [UInt8](repeating: UInt8(count), count: count * 100)
      let armored = SSHKeygen.sign(message, with: "signer", namespace: namespace, hash: hash, in: directory)
      let signature = try SSHSignature.parse(armored: armored)
      #expect(signature.key == key)
      #expect(signature.hash.rawValue == hash)
      #expect(try signature.verify(message: message, namespace: namespace) == .valid)
      #expect(try signature.verify(message: message + [0], namespace: namespace) == .invalid)
      #expect(
        try signature.verify(message: message, namespace: "root@portcullis") == .otherNamespace(namespace))
      #expect(try armored == SSHSignatureArmor.encode(SSHSignatureArmor.decode(armored)))
    }
  }

  /// ssh-keygen makes no tokens' keys without a token, but verifies their signatures; so it judges our signer first.
  @Test(arguments: SSHKeyKind.allCases, ["sha512", "sha256"])
  func everyKindVerifiesHereAndInSSHKeygen(_ kind: SSHKeyKind, _ hash: String) throws {
    let directory = TemporaryDirectory()
    let signer = TestSigner(kind)
    let line = try AllowedSigner(principal: "anna", namespaces: [namespace], key: signer.publicKey).line
    let allowed = directory.write(line, to: "allowed_signers")
    let message = directory.write(Self.message, to: "message")
    for _ in 0..<5 {
      let armored = try signer.sign(Self.message, hash: hash)
      #expect(
        SSHKeygen.accepts(
          armored, over: message, principal: "anna", namespace: namespace, allowedSigners: allowed, in: directory))
      #expect(try Self.verdict(armored) == .valid)
    }
    #expect(try Self.verdict(signer.sign(Self.message, hash: hash), over: [1]) == .invalid)
  }

  @Test func theFingerprintIsSSHKeygens() throws {
    let directory = TemporaryDirectory()
    let key = try SSHKeygen.makeKey("signer", type: "ed25519", in: directory)
    #expect(run(SSHKeygen.path, ["-l", "-f", directory.file("signer.pub")], output: directory.file("out")) == 0)
    let printed = String(decoding: directory.read("out"), as: UTF8.self)
    #expect(printed.split(separator: " ")[1] == key.fingerprint)
  }

  struct Wrong: Sendable, CustomStringConvertible {
    let description: String
    let kind: SSHKeyKind
    let wrong: TestSigner.Deviations
    let says: String
    init(
      _ description: String, _ says: String, _ kind: SSHKeyKind = .ed25519,
      _ change: (inout TestSigner.Deviations) -> Void
    ) {
      self.description = description
      self.says = says
      self.kind = kind
      var wrong = TestSigner.Deviations()
      change(&wrong)
      self.wrong = wrong
    }
  }

  static let wrong = [
    Wrong("version 0", "version (only 1 is known)") { $0.version = 0 },
    Wrong("version 2", "version (only 1 is known)") { $0.version = 2 },
    Wrong("reserved in use", "reserved field") { $0.reserved = [1] },
    Wrong("byte after the blob", "1 bytes after the last field") { $0.trailing = [0] },
    Wrong("byte after the signature", "1 bytes after the last field") { $0.innerTrailing = [0] },
    Wrong("signature type rsa", "RSA is not accepted") { $0.type = "rsa-sha2-512" },
    Wrong("signature type webauthn", "made by a web browser") {
      $0.type = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"
    },
    Wrong("signature type of another kind", "of type ecdsa-sha2-nistp256, its key of type ssh-ed25519") {
      $0.type = "ecdsa-sha2-nistp256"
    },
    Wrong("token not touched", "was not touched", .securityKeyEd25519) { $0.flags = 0 },
    Wrong("PIN but no touch", "was not touched", .securityKeyECDSAP256) { $0.flags = 0x04 },
    Wrong("byte after r and s", "1 bytes after the last field", .ecdsaP256) { $0.numbersTrailing = [0] },
    Wrong("byte after r and s, token", "1 bytes after the last field", .securityKeyECDSAP256) {
      $0.numbersTrailing = [0]
    },
    Wrong("byte after the counter", "1 bytes after the last field", .securityKeyEd25519) { $0.innerTrailing = [0] },
    Wrong("negative r and s", "is malformed", .ecdsaP256) { $0.negativeNumbers = true },
    Wrong("r and s with a zero too many", "is malformed", .ecdsaP256) { $0.paddedNumbers = true },
  ]

  @Test(arguments: wrong) func aSignatureWithOnePartWrongIsRefused(_ case: Wrong) throws {
    let signer = TestSigner(`case`.kind)
    // Numbers are drawn anew for every signature, so one alone would show little.
    for _ in 0..<20 {
      let armored = try signer.sign(Self.message, `case`.wrong)
      let problem = #expect(throws: SSHFormatProblem.self) { try Self.verdict(armored) }
      #expect(problem?.description.contains(`case`.says) == true, "\(String(describing: problem))")
    }
  }

  @Test(arguments: [
    ("ssh-rsa", "RSA is not accepted"), ("ssh-dss", "DSA is not accepted"),
    ("ecdsa-sha2-nistp384", "curve other than nistp256"), ("ssh-mldsa44-ed25519@openssh.com", "not a kind of key"),
    ("ssh-ed25519-cert-v01@openssh.com", "certificates are not accepted"),
    ("sk-ssh-ed25519-cert-v01@openssh.com", "certificates are not accepted"),
    ("webauthn-sk-ecdsa-sha2-nistp256@openssh.com", "web browser"), ("\u{1b}[2J", "\\u{1b}[2J"),
  ])
  func otherKindsOfKeyAreRefusedByName(_ type: String, _ says: String) throws {
    var blob = ByteWriter()
    blob.text(type)
    blob.string([1, 0, 1])
    blob.string([UInt8](repeating: 0xab, count: 256))
    let problem = #expect(throws: SSHFormatProblem.self) { try SSHPublicKey(blob: blob.bytes) }
    #expect(problem?.description.contains(says) == true, "\(String(describing: problem))")
    let armored = try TestSigner(.ed25519).sign(
      Self.message,
      {
        var d = TestSigner.Deviations(); d.publicBlob = blob.bytes; return d
      }())
    #expect(throws: SSHFormatProblem.self) { try SSHSignature.parse(armored: armored) }
  }

  @Test func keysWithOddPointsAreRefused() throws {
    func blob(_ kind: SSHKeyKind, curve: String? = nil, point: [UInt8], application: String? = nil) -> [UInt8] {
      var writer = ByteWriter()
      writer.text(kind.rawValue)
      if let curve { writer.text(curve) }
      writer.string(point)
      if let application { writer.text(application) }
      return writer.bytes
    }
    let good = TestSigner(.ecdsaP256).publicBlob.suffix(65)
    let bad: [[UInt8]] = [
      blob(.ed25519, point: [UInt8](repeating: 1, count: 31)), blob(.ed25519, point: [UInt8](repeating: 1, count: 33)),
      blob(.ed25519, point: []), blob(.ecdsaP256, curve: "nistp384", point: Array(good)),
      blob(.ecdsaP256, curve: "nistp256", point: [0x02] + good.dropFirst().prefix(32)),
      blob(.ecdsaP256, curve: "nistp256", point: [0x06] + good.dropFirst()),
      blob(.ecdsaP256, curve: "nistp256", point: [0x00]),
      blob(.ecdsaP256, curve: "nistp256", point: [0x04] + [UInt8](repeating: 1, count: 64)),
      blob(.securityKeyEd25519, point: Array(TestSigner(.ed25519).publicBlob.suffix(32)), application: "https://x"),
      blob(.securityKeyEd25519, point: Array(TestSigner(.ed25519).publicBlob.suffix(32)), application: ""),
      blob(.securityKeyEd25519, point: Array(TestSigner(.ed25519).publicBlob.suffix(32)), application: "ssh:\0x"),
      blob(.securityKeyEd25519, point: Array(TestSigner(.ed25519).publicBlob.suffix(32))),
      TestSigner(.ed25519).publicBlob + [0], [], [0, 0, 0], [0xff, 0xff, 0xff, 0xff],
      [UInt8](repeating: 0, count: 513),
    ]
    for blob in bad { #expect(throws: SSHFormatProblem.self, "\(blob)") { try SSHPublicKey(blob: blob) } }
    #expect(throws: Never.self) {
      try SSHPublicKey(blob: TestSigner(.securityKeyEd25519, application: "ssh:ops").publicBlob)
    }
  }

  @Test func anotherHashIsRefused() throws {
    let signature = try TestSigner(.ed25519).sign(Self.message, hash: "sha384")
    let problem = #expect(throws: SSHFormatProblem.self) { try SSHSignature.parse(armored: signature) }
    #expect(problem?.description.contains("'sha384' is neither sha512 nor sha256") == true)
  }

  @Test(arguments: ["", "release\u{1b}", "größe"]) func oddNamespacesAreRefused(_ namespace: String) throws {
    let blob = try TestSigner(.ed25519).signatureBlob(Self.message, namespace: namespace)
    #expect(throws: SSHFormatProblem.self) { try SSHSignature(blob: blob) }
  }

  struct ArmorEdit: Sendable, CustomStringConvertible {
    let description: String
    let edit: @Sendable ([UInt8]) -> [UInt8]
    init(_ description: String, _ edit: @escaping @Sendable ([UInt8]) -> [UInt8]) {
      self.description = description
      self.edit = edit
    }
  }

  static let armorEdits = [
    ArmorEdit("empty") { _ in [] },
    ArmorEdit("a line before") { [UInt8(ascii: "\n")] + $0 },
    ArmorEdit("a line after") { $0 + [UInt8(ascii: "\n")] },
    ArmorEdit("no last line feed") { $0.dropLast() },
    ArmorEdit("Windows line ends") { Array(String(decoding: $0, as: UTF8.self).replacing("\n", with: "\r\n").utf8) },
    ArmorEdit("an empty line within") {
      replacingFirst(Array("-----\n".utf8), with: Array("-----\n\n".utf8), in: $0)
    },
    ArmorEdit("a space within") { replacingFirst(Array("-----\n".utf8), with: Array("-----\n ".utf8), in: $0) },
    ArmorEdit("one long line") {
      Array(
        String(decoding: $0, as: UTF8.self).replacing(/([A-Za-z0-9+\/=])\n([A-Za-z0-9+\/=])/) { "\($0.1)\($0.2)" }.utf8)
    },
    ArmorEdit("other words") { replacingFirst(Array("SSH SIG".utf8), with: Array("PGP SIG".utf8), in: $0) },
    ArmorEdit("two signatures") { $0 + $0 },
    ArmorEdit("no base64") { _ in
      Array("-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n".utf8)
    },
    ArmorEdit("over 4 KiB") { _ in
      SSHSignatureArmor.encode([UInt8](repeating: 0, count: 4096))
    },
  ]

  @Test(arguments: armorEdits) func armorHasOneForm(_ edit: ArmorEdit) throws {
    let armored = try TestSigner(.ed25519).sign(Self.message)
    #expect(edit.edit(armored) != armored)
    #expect(throws: SSHFormatProblem.self) { try SSHSignature.parse(armored: edit.edit(armored)) }
  }

  @Test func everyTruncationOfTheBlobIsRefused() throws {
    for kind in SSHKeyKind.allCases {
      let blob = try TestSigner(kind).signatureBlob(Self.message, namespace: namespace)
      for count in 0..<blob.count {
        #expect(throws: SSHFormatProblem.self) {
          try SSHSignature(blob: Array(blob[..<count])).verify(message: Self.message, namespace: namespace)
        }
      }
    }
  }
}
