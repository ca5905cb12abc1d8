internal import Core
internal import FoundationEssentials

/// Reads known_hosts strictly, line by line: a line that is not understood is reported and left out.
enum KnownHostsParser {
  /// As in OpenSSH, which reads lines of any length; ours hold one key, and the longest is a few thousand bytes.
  static let maximumLineLength = 32 << 10

  static func parse(_ bytes: [UInt8], file: String) -> KnownHosts {
    var entries: [KnownHostsEntry] = []
    var diagnostics: [Diagnostic] = []
    for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      do throws(Problem) {
        if let entry = try parse(line: line) { entries.append(entry) }
      } catch {
        diagnostics.append(
          Diagnostic(
            SourceLocation(file: file, line: index + 1, column: 1), "this line is left out: \(error.words)",
            hint: "write `host[,host…] keytype base64`, as ssh-keyscan prints it"))
      }
    }
    return KnownHosts(entries: entries, diagnostics: diagnostics)
  }

  private struct Problem: Error {
    let words: String
    init(_ words: String) { self.words = words }
  }

  private static func parse(line raw: ArraySlice<UInt8>) throws(Problem) -> KnownHostsEntry? {
    guard raw.count <= maximumLineLength else { throw Problem("longer than \(maximumLineLength) bytes") }
    var line = raw
    if line.last == UInt8(ascii: "\r") { line.removeLast() }
    guard !line.contains(0) else { throw Problem("it holds a NUL byte") }
    var fields = line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }[...]
    guard let first = fields.first, first.first != UInt8(ascii: "#") else { return nil }

    var isRevoked = false
    if first.first == UInt8(ascii: "@") {
      switch String(decoding: first, as: UTF8.self) {
      case "@revoked": isRevoked = true
      case "@cert-authority": return nil
      default: throw Problem("unknown marker \(SafeText.escape(first))")
      }
      fields.removeFirst()
    }
    guard fields.count >= 3 else { throw Problem("a host, a key type and a key are needed") }
    let hosts = try parse(hosts: fields[fields.startIndex])
    let type = SafeText.escape(fields[fields.startIndex + 1])
    guard let key = HostKey(base64: fields[fields.startIndex + 2]) else {
      throw Problem("the key is not one of a type we can verify, in base64")
    }
    guard key.type == type else { throw Problem("the key is of type \(key.type), not \(type)") }
    return KnownHostsEntry(hosts: hosts, key: key, isRevoked: isRevoked)
  }

  private static func parse(hosts field: ArraySlice<UInt8>) throws(Problem) -> KnownHostsEntry.Hosts {
    if field.first == UInt8(ascii: "|") {
      let parts = field.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
      guard parts.count == 4, parts[1].elementsEqual("1".utf8),
        let salt = Data(base64Encoded: Data(parts[2])), let digest = Data(base64Encoded: Data(parts[3])),
        salt.count == 20, digest.count == 20
      else { throw Problem("the hashed name is not |1|salt|hash") }
      return .hashed(salt: Array(salt), digest: Array(digest))
    }
    var patterns: [(negated: Bool, pattern: [UInt8])] = []
    for part in field.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      let negated = part.first == UInt8(ascii: "!")
      let pattern = part.dropFirst(negated ? 1 : 0).map(KnownHosts.lowered)
      guard !pattern.isEmpty else { throw Problem("an empty host name") }
      patterns.append((negated, pattern))
    }
    guard patterns.contains(where: { !$0.negated }) else { throw Problem("only negated host names match nothing") }
    return .patterns(patterns)
  }
}
