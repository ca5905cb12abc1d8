import Core
import Release

/// Releases for tests: small, signed by keys made here, all the same but for what a test names.
enum ReleaseFixture {
  static let fleet = FleetID("example")!
  static let now = UTCTime("2026-11-21T12:00:00Z")!

  static func rules(_ family: Family, _ host: String, _ note: String = "") -> [UInt8] {
    Array("*filter\n:INPUT DROP [0:0]\n-A INPUT -m comment --comment \"\(host) \(family) \(note)\"\nCOMMIT\n".utf8)
  }

  static func rules(of host: String, _ note: String = "") -> PerFamily<[UInt8]> {
    PerFamily { rules($0, host, note) }
  }

  static let profileRules = PerFamily(
    ipv4: Array("*mangle\nCOMMIT\n".utf8), ipv6: Array("*mangle\n\nCOMMIT\n".utf8))

  static func profile(_ name: String, rank: UInt16) throws -> ProfileEntry {
    try ProfileEntry(
      name: ProfileName(name)!, rank: LockRank(rank)!,
      files: profileRules.map { _, content in Manifest.File(describing: content) })
  }

  static func manifest(
    _ host: String, serial: UInt64 = 42, fleet: FleetID = fleet, mode: Manifest.Mode = .exclusive, note: String = "",
    labels: [String] = [], sources: [String] = [], profiles: [String: UInt16] = [:]
  ) throws(FormatProblem) -> Manifest {
    try Manifest(
      fleet: fleet, host: HostID(host)!, serial: Serial(serial), mode: mode, labels: labels, sources: sources,
      files: mode == .withdrawn
        ? nil : rules(of: host, note).map { _, content in Manifest.File(describing: content) },
      profiles: profiles.map { (name, rank) throws(FormatProblem) in
        try ProfileEntry(
          name: ProfileName(name)!, rank: LockRank(rank)!,
          files: rules(of: name).map { _, content in Manifest.File(describing: content) })
      })
  }

  static func release(
    hosts: [String] = ["h1", "h2", "h3", "h4", "h5"], serial: UInt64 = 42, fleet: FleetID = fleet,
    expires: UTCTime = now + 7 * 86_400, mode: Manifest.Mode = .exclusive, note: String = "",
    profiles: [String: UInt16] = [:]
  ) throws -> BuiltRelease {
    try ReleaseBuilder.build(
      fleet: fleet, serial: Serial(serial), issued: now, expires: expires, reason: note.isEmpty ? "-" : note,
      manifests: hosts.map {
        try manifest($0, serial: serial, fleet: fleet, mode: mode, note: note, profiles: profiles)
      })
  }

  /// The whole bundle of one host.
  static func bundle(
    _ release: BuiltRelease, host: String = "h3", signers: [TestSigner], note: String = ""
  ) throws -> [BundleFile: [UInt8]] {
    let statement = release.statement.encode()
    let manifest = release.hosts.first { $0.manifest.host == HostID(host) }?.manifest
    let names = manifest?.profiles.map(\.name) ?? []
    return release.bundle(
      for: HostID(host)!, rules: manifest?.mode == .withdrawn ? nil : rules(of: host, note),
      profiles: Dictionary(uniqueKeysWithValues: names.map { ($0, rules(of: $0.description)) }),
      signatures: try signers.map { try $0.sign(statement) })!
  }
}
