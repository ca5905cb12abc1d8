internal import Core
internal import Release

/// The SSH key that the controller itself logs in to hosts with. It has no passphrase, because sweeps run unattended;
/// what it opens is the bridge, which speaks the protocol and nothing else.
package struct LoginKey: Sendable {
  package let path: String

  package init(path: String) { self.path = path }

  /// Makes it when it is not there.
  package func ensure() async throws -> (path: String, made: Bool) {
    guard !Files.exists(path) else { return (path, false) }
    try Files.makeDirectory(directory(of: path), mode: 0o700)
    _ = try await Program.sshKeygen.succeed(
      ["-q", "-t", "ed25519", "-N", "", "-C", "portcullis-controller", "-f", path], doing: "make login key \(path)")
    return (path, true)
  }

  /// `ssh-ed25519 AAAA… comment`
  package func publicKey() throws -> String {
    guard Files.exists(path + ".pub") else {
      throw Failure(
        "read the login key \(path).pub", because: Reason("there is no such file"),
        hint: "make it with 'portcullis keys init'")
    }
    let bytes = try Files.read(path + ".pub", atMost: 16 << 10)
    _ = try PublicKeyFile.parse(bytes, file: path + ".pub")
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").first.map(String.init) ?? ""
  }
}
