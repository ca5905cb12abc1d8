package import Core
internal import Glibc
internal import Inventory

/// The agent's executables that this controller can install, one for each architecture.
package struct AgentExecutable: Sendable {
  package let bytes: [UInt8]
  package let digest: Digest

  /// `portcullis-agent-ARCH`, or `portcullis-agent` when that is for this very architecture.
  package static func load(architecture: String, folder: String) throws -> AgentExecutable {
    let specific = "\(folder)/portcullis-agent-\(architecture)"
    let path = Files.exists(specific) ? specific : "\(folder)/portcullis-agent"
    guard path == specific || architecture == ownArchitecture else {
      throw Failure(
        "find an agent for \(SafeText.escape(architecture))", because: Reason("there is no \(specific)"),
        hint: "build it on such a machine, and put it there under that name")
    }
    let bytes = try Files.read(path, atMost: 128 << 20)
    guard bytes.starts(with: [0x7f, UInt8(ascii: "E"), UInt8(ascii: "L"), UInt8(ascii: "F")]) else {
      throw Failure("read \(path)", because: Reason("it is not an executable"))
    }
    return AgentExecutable(bytes: bytes, digest: Digest(of: bytes))
  }

  /// Where `portcullis` itself is.
  package static var ownFolder: String {
    directory(of: BoundedFile.resolved("/proc/self/exe") ?? "/usr/local/bin/portcullis")
  }

  private static var ownArchitecture: String {
    var facts = utsname()
    uname(&facts)
    return withUnsafeBytes(of: facts.machine) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
