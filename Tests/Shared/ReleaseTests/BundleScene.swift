import Core
import Release

/// One delivery of a bundle to one host: release 42 to h3 of five hosts, signed by anna, onto release 41. All of it is
/// right until an attack changes something.
struct BundleScene {
  static let anna = TestSigner(.ed25519)
  /// Anna's second key, on a token.
  static let annasToken = TestSigner(.securityKeyEd25519)
  static let bert = TestSigner(.ecdsaP256)
  /// Signs lockdowns only.
  static let carl = TestSigner(.ed25519)
  static let ended = TestSigner(.ed25519)
  static let coming = TestSigner(.securityKeyECDSAP256)
  static let stranger = TestSigner(.ed25519)

  static let namespace = SigningNamespace.release.rawValue
  static let now = ReleaseFixture.now

  var files: [BundleFile: [UInt8]]
  var signers: AllowedSigners
  var host = HostID("h3")!
  var fleet = ReleaseFixture.fleet
  var threshold = 1
  var now = Self.now
  var installed: InstalledRelease?

  init() throws {
    signers = try Self.signers(bertToo: true)
    installed = try Self.installed(41)
    files = try ReleaseFixture.bundle(ReleaseFixture.release(), signers: [Self.anna])
  }

  static func signers(bertToo: Bool) throws -> AllowedSigners {
    let all = try [
      AllowedSigner(principal: "anna", namespaces: [namespace, "unlock@portcullis"], key: anna.publicKey),
      AllowedSigner(principal: "anna", namespaces: [namespace], key: annasToken.publicKey),
      AllowedSigner(principal: "carl", namespaces: ["lockdown@portcullis"], key: carl.publicKey),
      AllowedSigner(principal: "dora", namespaces: [namespace], validBefore: now, key: ended.publicKey),
      AllowedSigner(principal: "eva", namespaces: [namespace], validAfter: now + 1, key: coming.publicKey),
    ]
    let bert = try AllowedSigner(principal: "bert", namespaces: [namespace], key: Self.bert.publicKey)
    return AllowedSigners(bertToo ? all + [bert] : all)!
  }

  /// What a host remembers of a release made for h3.
  static func installed(_ serial: UInt64, note: String = "") throws -> InstalledRelease {
    let release = try ReleaseFixture.release(serial: serial, note: note)
    return InstalledRelease(
      serial: Serial(serial), manifest: Digest(of: release.hosts[2].manifest.encode()),
      statement: Digest(of: release.statement.encode()))
  }

  func verify() throws(BundleProblem) -> VerifiedBundle {
    try BundleVerifier(allowedSigners: signers, fleet: fleet, host: host, threshold: threshold)
      .verify(UnverifiedBundle(files: files), now: now, installed: installed)
  }

  /// Signs whatever the statement holds now.
  mutating func resign(_ signers: TestSigner...) throws {
    for (index, signer) in signers.enumerated() { files[.signature(index)] = try signer.sign(files[.statement]!) }
  }

  mutating func edit(_ file: BundleFile, _ old: String, _ new: String) {
    files[file] = replacingFirst(Array(old.utf8), with: Array(new.utf8), in: files[file]!)
  }

  /// A statement changed and properly signed: what only a signer with a strange tool could make.
  mutating func editSigned(_ old: String, _ new: String) throws {
    edit(.statement, old, new)
    try resign(Self.anna)
  }

  /// A release whose only leaf is this text, properly signed: what only a signer with a strange tool could make.
  mutating func signManifest(_ text: [UInt8]) throws {
    let tree = MerkleTree(leaves: [text])!
    let statement = try ReleaseStatement(
      fleet: fleet, serial: Serial(42), issued: Self.now, expires: Self.now + 100, hosts: 1, root: tree.root)
    files[.manifest] = text
    files[.statement] = statement.encode()
    files[.proof] = tree.proof(ofLeaf: 0)!.encode()
    try resign(Self.anna)
  }

  mutating func editManifest(_ old: String, _ new: String) throws {
    try signManifest(replacingFirst(Array(old.utf8), with: Array(new.utf8), in: files[.manifest]!))
  }

  mutating func replace(with release: BuiltRelease, host: String = "h3", note: String = "") throws {
    files = try ReleaseFixture.bundle(release, host: host, signers: [Self.anna], note: note)
  }

  /// The same delivery with two lockdown profiles.
  mutating func lock() throws {
    let release = try ReleaseFixture.release(profiles: ["no-egress": 10, "isolate": 30])
    files = try ReleaseFixture.bundle(release, signers: [Self.anna])
  }

  mutating func flip(_ file: BundleFile, at index: Int) { files[file]![index] ^= 1 }
}
