internal import Core
internal import FoundationEssentials
internal import Glibc

/// What an identity file turned out to hold.
enum IdentityFile: Hashable, Sendable {
  /// Text libssh can sign with.
  case privateKey([UInt8])
  /// Only ssh-agent can sign with it: it is encrypted, on a security key, or just a public key. The blob says which of
  /// the agent's keys it is; nil when there is no `.pub` to tell.
  case agentKey(publicBlob: [UInt8]?, why: String)

  static let maximumSize = 64 << 10

  /// Blocks: on a helper thread only.
  static func load(_ path: String) -> Result<IdentityFile, Reason> {
    switch read(path) {
    case .success(let bytes):
      return .success(classify(bytes, publicFile: { (try? read(path + ".pub").get()) ?? nil }))
    case .failure(let reason):
      // OpenSSH's habit: a name without its private half means the agent's key of that name.
      if case .success(let bytes) = read(path + ".pub"), let blob = publicBlob(line: bytes) {
        return .success(.agentKey(publicBlob: blob, why: "\(path) itself is not readable"))
      }
      return .failure(reason)
    }
  }

  static func classify(_ bytes: [UInt8], publicFile: () -> [UInt8]?) -> IdentityFile {
    if let blob = publicBlob(line: bytes) { return .agentKey(publicBlob: blob, why: "the file is a public key") }
    if let container = OpenSSHKeyFile(bytes) {
      if container.isEncrypted { return .agentKey(publicBlob: container.publicBlob, why: "the key is encrypted") }
      if container.type.hasPrefix("sk-") {
        return .agentKey(publicBlob: container.publicBlob, why: "the key is on a security key")
      }
    } else if String(decoding: bytes, as: UTF8.self).contains("ENCRYPTED") {
      return .agentKey(publicBlob: publicFile().flatMap(publicBlob(line:)), why: "the key is encrypted")
    }
    return .privateKey(bytes)
  }

  /// `keytype base64 comment`; nil for anything else.
  static func publicBlob(line bytes: [UInt8]) -> [UInt8]? {
    let fields = bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }.split(
      separator: UInt8(ascii: " "))
    guard fields.count >= 2, let data = Data(base64Encoded: Data(fields[1])) else { return nil }
    var reader = ByteReader(Array(data))
    guard let type = try? reader.string("type", atMost: 64), type.elementsEqual(fields[0]) else { return nil }
    return Array(data)
  }

  private static func read(_ path: String) -> Result<[UInt8], Reason> {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return .failure(Reason(systemMessage(errno))) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      return .failure(Reason("not a regular file"))
    }
    guard status.st_size <= maximumSize else { return .failure(Reason("too large for a key")) }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    var filled = 0
    while filled < bytes.count {
      let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + filled, $0.count - filled) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return .failure(Reason(systemMessage(errno))) }
      if count == 0 { break }
      filled += count
    }
    return .success(Array(bytes.prefix(filled)))
  }
}

/// The plain-text part of OpenSSH's private key format (PROTOCOL.key): what the key is, and whether it is encrypted.
struct OpenSSHKeyFile {
  let isEncrypted: Bool
  let type: String
  let publicBlob: [UInt8]

  // In bytes, not characters: every connection reads it.
  init?(_ text: [UInt8]) {
    let lines = text.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
      .map { $0.filter { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") } }
    guard let start = lines.firstIndex(where: { $0.elementsEqual("-----BEGINOPENSSHPRIVATEKEY-----".utf8) }) else {
      return nil
    }
    let body = lines[(start + 1)...].prefix { !$0.starts(with: "-----".utf8) }.joined()
    guard let data = Data(base64Encoded: Data(body)) else { return nil }
    do throws(ByteReader.Problem) {
      var reader = ByteReader(Array(data))
      guard try reader.raw(15, field: "magic").elementsEqual(Array("openssh-key-v1".utf8) + [0]) else { return nil }
      let cipher = try reader.text("cipher", atMost: 64)
      _ = try reader.string("kdf", atMost: 64)
      _ = try reader.string("kdf options", atMost: 1024)
      guard try reader.uint32("number of keys") == 1 else { return nil }
      publicBlob = Array(try reader.string("public key", atMost: 16 << 10))
      var key = ByteReader(publicBlob)
      type = try key.text("type", atMost: 64)
      isEncrypted = cipher != "none"
    } catch {
      return nil
    }
  }
}
