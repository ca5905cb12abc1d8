import Core
import Glibc
import Release
import Testing

/// The vectors of OpenSSH's own unit tests, which are fetched, not kept here: see fetch-openssh-vectors.sh.
private enum Vectors {
  static let directory =
    getenv("PORTCULLIS_OPENSSH_VECTORS").map { String(cString: $0) } ?? ".build/openssh-vectors"

  static var arePresent: Bool { access("\(directory)/signed-data", R_OK) == 0 }

  /// Continuous integration has them, or has a fault.
  static var isNeeded: Bool { getenv("CI").map { String(cString: $0) } == "true" }

  static func read(_ name: String) throws -> [UInt8] { try #require(contents(of: "\(directory)/\(name)")) }
}

@Suite(
  .enabled(
    if: Vectors.arePresent || Vectors.isNeeded,
    "OpenSSH's vectors are not in \(Vectors.directory); 'make vectors' fetches them"))
struct OpenSSHVectorTests {
  @Test(arguments: [
    ("ed25519", SSHKeyKind.ed25519), ("ecdsa", .ecdsaP256), ("ed25519_sk", .securityKeyEd25519),
    ("ecdsa_sk", .securityKeyECDSAP256),
  ])
  func everyKindWeKnowVerifies(_ name: String, _ kind: SSHKeyKind) throws {
    let key = try PublicKeyFile.parse(Vectors.read("\(name).pub"), file: "\(name).pub").key
    #expect(key.kind == kind)
    let message = try Vectors.read("signed-data")
    let namespace = String(decoding: try Vectors.read("namespace"), as: UTF8.self)
    let signature = try SSHSignature.parse(armored: Vectors.read("\(name).sig"))
    #expect(signature.key == key)
    #expect(try signature.verify(message: message, namespace: namespace) == .valid)
    #expect(try signature.verify(message: message + [10], namespace: namespace) == .invalid)
  }

  @Test(arguments: [
    ("rsa", "RSA is not accepted"), ("dsa", "DSA is not accepted"), ("ecdsa_sk_webauthn", "does not begin with 'ssh:'"),
  ])
  func whatWeDoNotTakeIsRefusedByName(_ name: String, _ says: String) throws {
    let message = try Vectors.read("signed-data")
    let namespace = String(decoding: try Vectors.read("namespace"), as: UTF8.self)
    // Newer OpenSSH has no DSA any more.
    guard let armored = contents(of: "\(Vectors.directory)/\(name).sig") else { return }
    let problem = #expect(throws: SSHFormatProblem.self) {
      try SSHSignature.parse(armored: armored).verify(message: message, namespace: namespace)
    }
    #expect(problem?.description.contains(says) == true, "\(String(describing: problem))")
  }
}
