import Core
import Release
import TestSupport
import Testing

private let namespace = SigningNamespace.release.rawValue

@Suite struct AllowedSignersTests {
  private static let key = TestSigner(.ed25519)
  private static let other = TestSigner(.securityKeyECDSAP256)

  private static func text(_ signer: TestSigner = key) throws -> String { try signer.publicKey.text }

  private func parse(_ text: String) throws -> AllowedSigners {
    try AllowedSigners.parse(Array(text.utf8), file: "allowed_signers")
  }

  @Test func whatIsWrittenIsReadAgain() throws {
    let signer = try AllowedSigner(
      principal: "anna@example.net", namespaces: [namespace, "unlock@portcullis"],
      validAfter: UTCTime("2026-01-01T00:00:00Z"),
      validBefore: UTCTime("2027-01-01T12:34:56Z"), key: Self.key.publicKey, comment: "anna's laptop")
    #expect(
      signer.line
        == "anna@example.net namespaces=\"release@portcullis,unlock@portcullis\",valid-after=\"20260101000000Z\","
        + "valid-before=\"20270101123456Z\" \(try Self.text()) anna's laptop\n")
    #expect(try parse(signer.line).all == [signer])
  }

  @Test func commentsBlanksTabsAndAnyOrderOfOptionsAreRead() throws {
    let signers = try parse(
      """
      # who may sign: größer als nichts

        \t
      anna\tvalid-before="20270101Z",namespaces="release@portcullis"  \(try Self.text())  Anna Größe \t
        bert namespaces="lockdown@portcullis" \(try Self.text(Self.other))
      """)
    #expect(signers.all.map(\.principal) == ["anna", "bert"])
    #expect(signers.all[0].comment == "Anna Größe")
    #expect(signers.all[0].validBefore == UTCTime("2027-01-01T00:00:00Z"))
  }

  @Test func reasonsAgainstAKeyAreToldApart() throws {
    let signers = try parse(
      "anna namespaces=\"release@portcullis\",valid-after=\"20260101Z\",valid-before=\"202701011200Z\" "
        + "\(try Self.text())\n"
    )
    let anna = signers.all[0]
    func look(_ time: String, _ namespace: String = namespace, _ blob: [UInt8] = Self.key.publicBlob) throws
      -> AllowedSigners.Lookup
    {
      signers.signer(of: blob, namespace: namespace, at: try #require(UTCTime(time)))
    }
    #expect(try look("2026-01-01T00:00:00Z") == .signer(anna))
    #expect(try look("2025-12-31T23:59:59Z") == .notYetValid(anna))
    #expect(try look("2027-01-01T11:59:59Z") == .signer(anna))
    #expect(try look("2027-01-01T12:00:00Z") == .expired(anna))
    #expect(try look("2026-06-01T00:00:00Z", "root@portcullis") == .otherNamespace(anna))
    #expect(try look("2026-06-01T00:00:00Z", "RELEASE@portcullis") == .otherNamespace(anna))
    #expect(try look("2026-06-01T00:00:00Z", namespace, Self.other.publicBlob) == .unknownKey)
  }

  /// `KEY` stands for a good key.
  static let refused: [(line: String, column: Int, says: String)] = [
    ("anna KEY", 6, "namespaces= is missing"),
    ("KEY", 1, "has no principal"),
    ("anna valid-before=\"20270101Z\" KEY", 6, "namespaces= is missing"),
    ("anna,bert namespaces=\"a\" KEY", 1, "names several principals"),
    ("* namespaces=\"a\" KEY", 1, "is a pattern"),
    ("ann? namespaces=\"a\" KEY", 1, "is a pattern"),
    ("!anna namespaces=\"a\" KEY", 1, "is a pattern"),
    ("\"anna\" namespaces=\"a\" KEY", 1, "may hold only letters"),
    ("änna namespaces=\"a\" KEY", 1, "may hold only letters"),
    ("-anna namespaces=\"a\" KEY", 1, "begins with '-'"),
    ("anna namespaces=\"*\" KEY", 18, "is a pattern"),
    ("anna namespaces=\"a,!b\" KEY", 20, "is a pattern"),
    ("anna namespaces=\"\" KEY", 18, "has 0 bytes"),
    ("anna namespaces=\"a,\" KEY", 20, "has 0 bytes"),
    ("anna namespaces=\"a,a\" KEY", 20, "stands twice"),
    ("anna namespaces=\"a b\" KEY", 18, "may hold only letters"),
    ("anna namespaces=\"a\\\"b\" KEY", 19, "'\\' has no place here"),
    ("anna namespaces=a KEY", 16, "=\"…\" must follow namespaces"),
    ("anna namespaces KEY", 16, "=\"…\" must follow namespaces"),
    ("anna namespaces=\"a KEY", 17, "is not closed"),
    ("anna namespaces=\"a\"x KEY", 20, "a space or a comma must follow"),
    ("anna namespaces=\"a\", KEY", 21, "an option must stand here"),
    ("anna namespaces=\"a\",namespaces=\"b\" KEY", 21, "namespaces= stands twice"),
    ("anna namespace=\"a\" KEY", 6, "unknown option 'namespace'"),
    ("anna NAMESPACES=\"a\" KEY", 6, "unknown option 'NAMESPACES'"),
    ("anna cert-authority,namespaces=\"a\" KEY", 6, "cert-authority is not accepted"),
    ("anna no-touch-required,namespaces=\"a\" KEY", 6, "unknown option"),
    ("anna namespaces=\"a\",valid-before=\"20270101\" KEY", 35, "would mean local time"),
    ("anna namespaces=\"a\",valid-before=\"20270101z\" KEY", 35, "is not a time"),
    ("anna namespaces=\"a\",valid-before=\"20270101UTC\" KEY", 35, "is not a time"),
    ("anna namespaces=\"a\",valid-before=\"20271301Z\" KEY", 35, "is not a time that exists"),
    ("anna namespaces=\"a\",valid-before=\"2027010112Z\" KEY", 35, "is not a time"),
    ("anna namespaces=\"a\",valid-after=\"19700101Z\" KEY", 34, "after the start of 1970"),
    ("anna namespaces=\"a\",valid-after=\"20270101Z\",valid-before=\"20270101Z\" KEY", 1, "is not after valid-after"),
    ("anna namespaces=\"a\"", 20, "a space or a comma must follow"),
    ("anna namespaces=\"a\" ", 21, "the key is missing"),
    ("anna namespaces=\"a\" ssh-ed25519", 21, "truncated"),
    ("anna namespaces=\"a\" ssh-rsa AAAA", 21, "RSA is not accepted"),
    ("anna namespaces=\"a\" ssh-ed25519 AAAA!", 21, "not canonical base64"),
    ("anna namespaces=\"a\" ecdsa-sha2-nistp256 BASE64", 21, "the line says ecdsa-sha2-nistp256"),
    ("anna namespaces=\"a\" KEY\r", 0, "Windows"),
    ("anna namespaces=\"a\" KEY \u{1b}[2J", 0, "byte 0x1b is a control character"),
    ("# nothing", 1, "no key stands in this file"),
    ("", 1, "no key stands in this file"),
  ]

  @Test(arguments: refused)
  func everythingElseIsRefusedByColumnAndReason(_ line: String, _ column: Int, _ says: String) throws {
    let key = try Self.text()
    let text = line.replacing("KEY", with: key).replacing("BASE64", with: key.split(separator: " ")[1])
    let diagnostics = #expect(throws: Diagnostics.self) { try parse(text + "\n") }
    let first = try #require(diagnostics?.all.first)
    #expect((first.message + (first.hint ?? "")).contains(says), "\(first)")
    #expect(first.location.line == 1)
    if column > 0 { #expect(first.location.column == column, "\(first)") }
  }

  @Test func allMistakesAreReportedAtOnceWithTheirLines() throws {
    let diagnostics = #expect(throws: Diagnostics.self) {
      try parse(
        "# x\nanna \(try Self.text())\n\nbert namespaces=\"a\" \(try Self.text(Self.other))\n"
          + "carl nope=\"a\" ssh-rsa x\n"
      )
    }
    #expect(diagnostics?.all.map(\.location.line) == [2, 5])
  }

  @Test func aKeyHasOneLine() throws {
    let diagnostics = #expect(throws: Diagnostics.self) {
      try parse("anna namespaces=\"a\" \(try Self.text())\nbert namespaces=\"b\" \(try Self.text())\n")
    }
    #expect(
      diagnostics?.all.map(\.message) == ["the key \(try Self.key.publicKey.fingerprint) already stands in line 1"])
  }

  /// What our writer and our reader call a good file, the real ssh-keygen reads the same way.
  @Test func sshKeygenReadsTheFilesWeAccept() throws {
    let directory = TemporaryDirectory()
    let message = directory.write("m", to: "message")
    let signature = try Self.key.sign([UInt8(ascii: "m")])
    let key = try Self.text()
    func theyAccept(_ text: String, as principal: String = "anna") -> Bool {
      SSHKeygen.accepts(
        signature, over: message, principal: principal, namespace: namespace,
        allowedSigners: directory.write(text, to: "allowed_signers"), in: directory)
    }
    let good = [
      "anna namespaces=\"release@portcullis\" \(key)",
      "anna namespaces=\"release@portcullis\" \(key) comment \"with\" words",
      "anna valid-before=\"99991231235959Z\",namespaces=\"x,release@portcullis\" \(key)",
      "\tanna \t namespaces=\"release@portcullis\",valid-after=\"20200101Z\"\t\(key)",
      "# c\n\nanna namespaces=\"release@portcullis\",valid-after=\"202001011200Z\" \(key)",
    ]
    let now = UTCTime("2026-11-21T00:00:00Z")!
    for text in good {
      guard case .signer = try parse(text + "\n").signer(of: Self.key.publicBlob, namespace: namespace, at: now) else {
        Issue.record("we refuse \(text)")
        continue
      }
      #expect(theyAccept(text + "\n"), "\(text)")
      #expect(!theyAccept(text + "\n", as: "bert"), "\(text)")
    }
    for text in [
      "anna namespaces=\"x\" \(key)\n", "anna namespaces=\"release@portcullis\",valid-before=\"20200101Z\" \(key)\n",
    ] {
      if case .signer = try parse(text).signer(of: Self.key.publicBlob, namespace: namespace, at: now) {
        Issue.record("we accept \(text)")
      }
      #expect(!theyAccept(text), "\(text)")
    }
  }

  /// Every mutant of the file that still lets the signature through here lets it through in ssh-keygen.
  @Test func mutatedFilesThatWeAcceptSSHKeygenAccepts() throws {
    let seed = Random.seed(for: "allowed_signers")
    var random = Random(seed: seed)
    let directory = TemporaryDirectory()
    let message = directory.write("m", to: "message")
    let signature = try Self.key.sign([UInt8(ascii: "m")])
    let original =
      "anna namespaces=\"release@portcullis,root@portcullis\",valid-after=\"20200101Z\",valid-before=\"20990101Z\" "
      + "\(try Self.text()) laptop\n"
    let alphabet = Array("anr01279Z\",=# \t@-*!?\\\n\r\u{0}".utf8)
    // The parts with rules of their own: all but the key's base64.
    let places = Array(0..<100) + Array((original.utf8.count - 12)..<original.utf8.count)
    var asked = 0
    for _ in 0..<20_000 {
      var bytes = Array(original.utf8)
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let at = places.randomElement(using: &random)!
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[min(at, bytes.count - 1)] = alphabet.randomElement(using: &random)!
        case 1: bytes.remove(at: min(at, bytes.count - 1))
        default: bytes.insert(alphabet.randomElement(using: &random)!, at: min(at, bytes.count))
        }
      }
      guard bytes != Array(original.utf8), asked < 50,
        let signers = try? AllowedSigners.parse(bytes, file: "allowed_signers"),
        case .signer(let signer) = signers.signer(
          of: Self.key.publicBlob, namespace: namespace, at: UTCTime("2026-11-21T00:00:00Z")!)
      else { continue }
      asked += 1
      let accepts = SSHKeygen.accepts(
        signature, over: message, principal: signer.principal, namespace: namespace,
        allowedSigners: directory.write(bytes, to: "allowed_signers"), in: directory)
      #expect(accepts, "seed \(seed): \(SafeText.escape(bytes))")
    }
    print("allowed_signers: ssh-keygen asked about \(asked) mutants that we accept")
    #expect(asked > 0)
  }

  @Test func theWriterRefusesWhatTheReaderWould() throws {
    let key = try Self.key.publicKey
    let bad: [(String, [String], String)] = [
      ("*", ["a"], ""), ("a b", ["a"], ""), ("", ["a"], ""), ("anna", [], ""), ("anna", ["a", "a"], ""),
      ("anna", ["a*"], ""), ("anna", ["a"], "two\nlines"), ("anna", ["a"], " x"), ("a\"", ["a"], ""),
    ]
    for (principal, namespaces, comment) in bad {
      #expect(throws: FormatProblem.self) {
        try AllowedSigner(principal: principal, namespaces: namespaces, key: key, comment: comment)
      }
    }
  }

  @Test func publicKeyFilesAreReadAsSSHKeygenWritesThem() throws {
    let text = try Self.text()
    #expect(try PublicKeyFile.parse(Array("\(text) anna@laptop\n".utf8), file: "a.pub").comment == "anna@laptop")
    #expect(try PublicKeyFile.parse(Array(text.utf8), file: "a.pub").key == Self.key.publicKey)
    #expect(try PublicKeyFile.parse(Array("\(text) a\u{1b}b \n".utf8), file: "a.pub").comment == "a\\u{1b}b")
    for (bad, says) in [
      ("", "one line"), ("ssh-ed25519", "one line"), ("ssh-rsa AAAA x\n", "RSA is not accepted"),
      ("\(text)\n\(text)\n", "more than one line"), ("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", "private one"),
      ("anna \(text)\n", "not a kind of key"),
    ] {
      let problem = #expect(throws: Diagnostics.self) { try PublicKeyFile.parse(Array(bad.utf8), file: "a.pub") }
      #expect(problem?.all[0].message.contains(says) == true, "\(bad)")
    }
  }
}
