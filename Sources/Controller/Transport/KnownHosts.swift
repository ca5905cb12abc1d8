package import Core
internal import Crypto

/// What we know of hosts' keys: OpenSSH's known_hosts, read by our own parser because libssh skips `@revoked` lines and
/// gives a whole file up over one bad line. Host certificates are not supported: `@cert-authority` lines are skipped.
package struct KnownHosts: Sendable {
  /// Lines that were left out, by file and line. A line that cannot be read pins nothing and revokes nothing.
  package let diagnostics: [Diagnostic]
  private let entries: [KnownHostsEntry]
  /// Where the entries of plain names are, so that a file of ten thousand hosts is not walked for each connection.
  private let byName: [String: [Int]]
  /// Entries that must be tried against every name: patterns and hashed names.
  private let others: [Int]

  /// The keys of one host, and those that nobody may present.
  package struct Keys: Sendable {
    package var pinned: [HostKey] = []
    package var revoked: Set<HostKey> = []
  }

  init(entries: [KnownHostsEntry], diagnostics: [Diagnostic]) {
    self.entries = entries
    self.diagnostics = diagnostics
    var byName: [String: [Int]] = [:]
    var others: [Int] = []
    for (index, entry) in entries.enumerated() {
      if let names = entry.plainNames {
        for name in names { byName[name, default: []].append(index) }
      } else {
        others.append(index)
      }
    }
    self.byName = byName
    self.others = others
  }

  /// Knows nobody: every host is refused.
  package static let empty = KnownHosts(entries: [], diagnostics: [])

  package static func parse(_ bytes: [UInt8], file: String) -> KnownHosts {
    KnownHostsParser.parse(bytes, file: file)
  }

  /// The keys pinned for a host: under its name if there are any, else under its addresses, so that a key left behind
  /// by an address's former owner never stands in for a host that is pinned by name. Revocations count under each.
  package func keys(name: String, addresses: [String], port: UInt16) -> Keys {
    var keys = Keys()
    for alias in [name] + addresses {
      let found = matches(Self.lookupName(alias, port: port))
      keys.revoked.formUnion(found.lazy.filter(\.isRevoked).map(\.key))
      if keys.pinned.isEmpty { keys.pinned = found.filter { !$0.isRevoked }.map(\.key) }
    }
    var seen = Set<HostKey>()
    keys.pinned = keys.pinned.filter { seen.insert($0).inserted && !keys.revoked.contains($0) }
    return keys
  }

  /// How known_hosts writes a host: lower case, and `[host]:port` unless the port is 22.
  package static func lookupName(_ host: String, port: UInt16) -> String {
    let lower = String(decoding: host.utf8.map(Self.lowered), as: UTF8.self)
    return port == 22 ? lower : "[\(lower)]:\(port)"
  }

  static func lowered(_ byte: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
  }

  private func matches(_ name: String) -> [KnownHostsEntry] {
    let candidates = (byName[name] ?? []) + others
    return candidates.sorted().map { entries[$0] }.filter { $0.matches(name) }
  }
}

/// One line of known_hosts.
struct KnownHostsEntry: Sendable {
  enum Hosts: Sendable {
    /// Patterns with `*` and `?`, lower case; one that is negated and matches rules the line out.
    case patterns([(negated: Bool, pattern: [UInt8])])
    /// `|1|salt|HMAC-SHA1(salt, name)`: the name is not to be read from a stolen file.
    case hashed(salt: [UInt8], digest: [UInt8])
  }

  let hosts: Hosts
  let key: HostKey
  let isRevoked: Bool

  /// The names, when none of them is a pattern.
  var plainNames: [String]? {
    guard case .patterns(let patterns) = hosts else { return nil }
    var names: [String] = []
    for (negated, pattern) in patterns {
      guard !negated, !pattern.contains(where: { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }) else {
        return nil
      }
      names.append(String(decoding: pattern, as: UTF8.self))
    }
    return names
  }

  func matches(_ name: String) -> Bool {
    let bytes = Array(name.utf8)
    switch hosts {
    case .hashed(let salt, let digest):
      return Array(HMAC<Insecure.SHA1>.authenticationCode(for: bytes, using: SymmetricKey(data: salt))) == digest
    case .patterns(let patterns):
      let matching = patterns.filter { Glob.matches($0.pattern, bytes) }
      return !matching.isEmpty && !matching.contains { $0.negated }
    }
  }
}

/// OpenSSH's patterns: `*` is any run of bytes, `?` any one.
enum Glob {
  /// Linear in the text for each star: after a mismatch only the last star takes one byte more.
  static func matches(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
    var p = 0
    var t = 0
    var lastStar: (pattern: Int, text: Int)?
    while t < text.count {
      if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
        lastStar = (p, t)
        p += 1
      } else if p < pattern.count, pattern[p] == UInt8(ascii: "?") || pattern[p] == text[t] {
        p += 1
        t += 1
      } else if let star = lastStar {
        lastStar = (star.pattern, star.text + 1)
        p = star.pattern + 1
        t = star.text + 1
      } else {
        return false
      }
    }
    return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}
