package import Core
internal import Glibc
internal import Netfilter
package import Release
internal import Wire

/// Bundles signed by the real ssh-keygen, with a key that exists for this run only.
package enum SignedBundles {
  package static let host = HostID("h001")!
  package static let fleet = FleetID("lab")!
  package static let issued = UTCTime("2026-11-01T00:00:00Z")!
  package static let expires = UTCTime("2027-11-01T00:00:00Z")!
  package static let now = UTCTime("2026-11-21T00:00:00Z")!

  private struct Key {
    let privateKey: [UInt8]
    let publicKey: [UInt8]
  }

  private static let key = Result { try makeKey() }

  package static var allowedSigners: [UInt8] {
    get throws { Array("admin namespaces=\"release@portcullis\" ".utf8) + (try key.get().publicKey) }
  }

  package static var hostFile: [UInt8] { Array("host \(host)\nfleet \(fleet)\n".utf8) }

  /// A release of this one host.
  package static func bundle(
    serial: UInt64, ipv4: String, ipv6: String, mode: Manifest.Mode = .exclusive, sources: [String] = ["192.0.2.7"],
    grants: [Grant] = [], forwardsForeign: Bool = false, deniesForeign: Bool = false, foreignAllowed: [String] = [],
    sets: [UInt8]? = nil,
    sysctl: [UInt8]? = nil, labels: [String] = [],
    profiles: [(name: String, rank: UInt16, rules: PerFamily<String>)] = []
  ) throws -> (files: [BundleFile: [UInt8]], manifest: Digest) {
    let rules = PerFamily(ipv4: Array(ipv4.utf8), ipv6: Array(ipv6.utf8))
    let manifest = try Manifest(
      fleet: fleet, host: host, serial: Serial(serial), grants: grants, mode: mode, forwardsForeign: forwardsForeign,
      deniesForeign: deniesForeign, foreignAllowed: foreignAllowed, labels: labels, sources: sources,
      files: mode == .withdrawn ? nil : rules.map { _, bytes in Manifest.File(describing: bytes) },
      sets: sets.map(Manifest.File.init), sysctl: sysctl.map(Manifest.File.init),
      profiles: profiles.map {
        try ProfileEntry(
          name: ProfileName($0.name)!, rank: LockRank($0.rank)!,
          files: $0.rules.map { _, text in Manifest.File(describing: Array(text.utf8)) })
      })
    let release = try ReleaseBuilder.build(
      fleet: fleet, serial: Serial(serial), issued: issued, expires: expires, manifests: [manifest])
    let signature = try sign(release.statement.encode())
    let files = release.bundle(
      for: host, rules: mode == .withdrawn ? nil : rules, sets: sets, sysctl: sysctl,
      profiles: Dictionary(
        uniqueKeysWithValues: profiles.map { (ProfileName($0.name)!, $0.rules.map { _, text in Array(text.utf8) }) }),
      signatures: [signature])
    guard let files else {
      throw Reason("the release has no bundle for \(host)")
    }
    return (files, Digest(of: manifest.encode()))
  }

  package static func run(_ path: String, _ arguments: [String], input: [UInt8] = []) throws -> [UInt8] {
    let result = try ProgramRunner().run(ProgramRequest(path, arguments, input: input))
    guard result.end == .exited(0) else {
      throw Reason("\(path) \(arguments): \(result.end) \(String(decoding: result.errors, as: UTF8.self))")
    }
    return result.output
  }

  private static func sign(_ message: [UInt8]) throws -> [UInt8] {
    let key = try key.get()
    return try withTemporaryDirectory { directory in
      try write(key.privateKey, to: "\(directory)/key")
      return try run(
        "/usr/bin/ssh-keygen", ["-q", "-Y", "sign", "-n", "release@portcullis", "-f", "\(directory)/key"],
        input: message)
    }
  }

  private static func makeKey() throws -> Key {
    try withTemporaryDirectory { directory in
      _ = try run(
        "/usr/bin/ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "\(directory)/key"])
      let disk = try LinuxDisk(directory)
      guard let secret = try disk.read("key", atMost: 4096), let open = try disk.read("key.pub", atMost: 4096) else {
        throw Reason("ssh-keygen wrote no key")
      }
      // Without the comment's trailing space.
      let words = open.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }
      return Key(privateKey: secret, publicKey: Array(words.joined(separator: [UInt8(ascii: " ")])) + [10])
    }
  }

  private static func write(_ bytes: [UInt8], to path: String) throws {
    let parts = path.split(separator: "/")
    let disk = try LinuxDisk("/" + parts.dropLast().joined(separator: "/"))
    try disk.create(String(parts.last!), bytes)
  }
}

/// Made for the body, and gone after it whatever happened.
package func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
  var template = Array("/tmp/portcullis-test-XXXXXX".utf8CString)
  guard let made = mkdtemp(&template) else { throw SystemCallError.last("mkdtemp", "/tmp") }
  let path = String(cString: made)
  defer { _ = try? SignedBundles.run("/usr/bin/rm", ["-rf", "--", path]) }
  return try body(path)
}
