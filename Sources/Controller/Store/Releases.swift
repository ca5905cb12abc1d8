package import Audit
package import Core
internal import Foundation
internal import GRDB

/// A signed release, as it is kept and as it is handed to hosts.
package struct StoredRelease: Hashable, Sendable {
  package var serial: Serial
  package var statement: [UInt8]
  /// Armored, in the order of their numbers.
  package var signatures: [[UInt8]]
  package var issued: UTCTime
  package var expires: UTCTime
  package var reason: String
  package var hosts: Int

  package var statementDigest: Digest { Digest(of: statement) }

  package init(
    serial: Serial, statement: [UInt8], signatures: [[UInt8]], issued: UTCTime, expires: UTCTime, reason: String,
    hosts: Int
  ) {
    self.serial = serial
    self.statement = statement
    self.signatures = signatures
    self.issued = issued
    self.expires = expires
    self.reason = reason
    self.hosts = hosts
  }
}

/// One host's part of a release; its rules are kept once for all hosts that share them.
package struct StoredBundle: Hashable, Sendable {
  package var serial: Serial
  package var host: HostID
  package var manifest: [UInt8]
  /// Of the manifest without its serial.
  package var content: Digest
  package var proof: [UInt8]
  /// Nil when the host is withdrawn.
  package var rules: PerFamily<Digest>?
  /// Nil when the bundle has no ipsets.
  package var sets: Digest?
  /// Nil when the bundle has no kernel settings.
  package var sysctl: Digest?
  /// The texts of its lockdown profiles, in the order of the manifest.
  package var profiles: [PerFamily<Digest>]
  /// Where each line of the rules comes from; nil when nobody said.
  package var traces: PerFamily<Digest>?

  package var manifestDigest: Digest { Digest(of: manifest) }

  package init(
    serial: Serial, host: HostID, manifest: [UInt8], content: Digest, proof: [UInt8], rules: PerFamily<Digest>?,
    sets: Digest? = nil, sysctl: Digest? = nil, profiles: [PerFamily<Digest>] = [], traces: PerFamily<Digest>? = nil
  ) {
    self.serial = serial
    self.host = host
    self.manifest = manifest
    self.content = content
    self.proof = proof
    self.rules = rules
    self.sets = sets
    self.sysctl = sysctl
    self.profiles = profiles
    self.traces = traces
  }

  /// Digests of every text it names.
  package var texts: [Digest] {
    [rules?.ipv4, rules?.ipv6, sets, sysctl, traces?.ipv4, traces?.ipv6].compactMap { $0 } + profileTexts
  }

  fileprivate var profileTexts: [Digest] { profiles.flatMap { [$0.ipv4, $0.ipv6] } }

  /// As a column holds it; nil for none.
  fileprivate var profilesColumn: Data? {
    profiles.isEmpty ? nil : Data(profileTexts.flatMap(\.bytes))
  }

  fileprivate static func profiles(_ column: Data?) throws -> [PerFamily<Digest>] {
    let bytes = [UInt8](column ?? Data())
    let digests = stride(from: 0, to: bytes.count, by: Digest.byteCount).compactMap { start in
      Digest(bytes: Array(bytes[start..<min(start + Digest.byteCount, bytes.count)]))
    }
    guard digests.count * Digest.byteCount == bytes.count, digests.count.isMultiple(of: 2) else {
      throw Reason("profiles in the store are not pairs of digests")
    }
    return stride(from: 0, to: digests.count, by: 2).map { PerFamily(ipv4: digests[$0], ipv6: digests[$0 + 1]) }
  }
}

extension FleetStore {
  /// Keeps a signed release with all its bundles, all or nothing. The same release again is a no-op; another one with
  /// its serial, or a serial that was never allocated, is an error.
  /// - Parameter texts: the rules that the bundles name, by digest; those the store has may be left out.
  package func save(
    _ release: StoredRelease, bundles: [StoredBundle], texts: [Digest: [UInt8]]
  ) async throws(Failure) {
    try await write("save release \(release.serial)") { db in
      let serial = try release.serial.column()
      let known = try Row.fetchOne(db, sql: "SELECT digest FROM releases WHERE serial = ?", arguments: [serial])
      if let known {
        guard try known.digest("digest") == release.statementDigest else {
          throw Reason("there is another release with this serial")
        }
        return
      }
      guard serial > 0, serial <= (try Self.lastSerial(db)) else { throw Reason("its serial was never allocated") }
      guard bundles.count == release.hosts else {
        throw Reason("it names \(release.hosts) hosts and comes with \(bundles.count) bundles")
      }
      for (digest, text) in texts {
        guard Digest(of: text) == digest else { throw Reason("a rules text does not have the digest \(digest.short)") }
        try db.execute(literal: "INSERT OR IGNORE INTO texts (digest, body) VALUES (\(digest.column), \(Data(text)))")
      }
      try db.execute(
        literal: """
          INSERT INTO releases (serial, digest, statement, issued, expires, reason, hosts)
          VALUES (\(serial), \(release.statementDigest.column), \(Data(release.statement)), \(release.issued.column),
            \(release.expires.column), \(release.reason), \(release.hosts))
          """)
      for (position, signature) in release.signatures.enumerated() {
        try db.execute(
          literal:
            "INSERT INTO signatures (serial, position, armored) VALUES (\(serial), \(position), \(Data(signature)))")
      }
      let insert = try db.cachedStatement(
        sql: """
          INSERT INTO bundles (serial, host, manifest_digest, content, ipv4, ipv6, sets, sysctl, ipv4_trace,
            ipv6_trace, profiles, manifest, proof)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
          """)
      for bundle in bundles {
        guard bundle.serial == release.serial else { throw Reason("the bundle of \(bundle.host) has another serial") }
        try insert.execute(arguments: [
          serial, bundle.host.description, bundle.manifestDigest.column, bundle.content.column,
          bundle.rules?.ipv4.column, bundle.rules?.ipv6.column, bundle.sets?.column, bundle.sysctl?.column,
          bundle.traces?.ipv4.column, bundle.traces?.ipv6.column, bundle.profilesColumn, Data(bundle.manifest),
          Data(bundle.proof),
        ])
      }
      for digest in Set(bundles.flatMap(\.profileTexts)) {
        try db.execute(literal: "INSERT INTO profile_texts (serial, digest) VALUES (\(serial), \(digest.column))")
      }
    }
  }

  /// - Parameter serial: nil asks for the newest.
  /// - Returns: nil when there is none.
  package func release(_ serial: Serial? = nil) async throws(Failure) -> StoredRelease? {
    try await read("read release \(serial?.description ?? "last")") { db in
      let rows =
        if let serial {
          try Row.fetchOne(db, sql: "SELECT * FROM releases WHERE serial = ?", arguments: [try serial.column()])
        } else {
          try Row.fetchOne(db, sql: "SELECT * FROM releases ORDER BY serial DESC LIMIT 1")
        }
      return try rows.map { try Self.release($0, in: db) }
    }
  }

  /// The newest first.
  package func releases(limit: Int = 100) async throws(Failure) -> [StoredRelease] {
    try await read("read the releases") { db in
      try Row.fetchAll(db, sql: "SELECT * FROM releases ORDER BY serial DESC LIMIT ?", arguments: [limit])
        .map { try Self.release($0, in: db) }
    }
  }

  private static func release(_ row: Row, in db: Database) throws -> StoredRelease {
    let serial: Int64 = row["serial"]
    let signatures = try Data.fetchAll(
      db, sql: "SELECT armored FROM signatures WHERE serial = ? ORDER BY position", arguments: [serial])
    return StoredRelease(
      serial: Serial(column: serial), statement: try row.bytes("statement"), signatures: signatures.map { [UInt8]($0) },
      issued: row.time("issued"), expires: row.time("expires"), reason: row["reason"], hosts: row["hosts"])
  }

  /// - Parameter serial: nil asks for the newest release that names the host.
  /// - Returns: nil when there is none.
  package func bundle(for host: HostID, serial: Serial? = nil) async throws(Failure) -> StoredBundle? {
    try await read("read the bundle of \(host)") { db in
      try Self.bundleRow(db, host, serial).map(Self.bundle)
    }
  }

  /// The bundle by what it says, whichever release said so last.
  package func bundle(for host: HostID, content: Digest) async throws(Failure) -> StoredBundle? {
    try await read("read the bundle of \(host)") { db in
      try Row.fetchOne(
        db, sql: "SELECT * FROM bundles WHERE host = ? AND content = ? ORDER BY serial DESC LIMIT 1",
        arguments: [host.description, content.column]
      ).map(Self.bundle)
    }
  }

  /// By host, what its last report says it runs; those that are not kept any more are left out.
  package func committedBundles(of hosts: [HostID]) async throws(Failure) -> [HostID: StoredBundle] {
    guard !hosts.isEmpty else { return [:] }
    return try await read("read what \(hosts.count) hosts committed") { db in
      let find = try db.cachedStatement(
        sql: """
          SELECT bundles.* FROM latest_reports JOIN reports ON reports.id = latest_reports.report
          JOIN bundles ON bundles.host = latest_reports.host AND bundles.content = reports.content
          WHERE latest_reports.host = ? ORDER BY bundles.serial DESC LIMIT 1
          """)
      var bundles: [HostID: StoredBundle] = [:]
      for host in hosts {
        bundles[host] = try Row.fetchOne(find, arguments: [host.description]).map(Self.bundle)
      }
      return bundles
    }
  }

  /// What each host was released since its own release, serials apart.
  package func contents(releasedAbove hosts: [HostID: Serial]) async throws(Failure) -> [HostID: Set<Digest>] {
    try await read("read what \(hosts.count) hosts were released") { db in
      let find = try db.cachedStatement(sql: "SELECT DISTINCT content FROM bundles WHERE host = ? AND serial > ?")
      var contents: [HostID: Set<Digest>] = [:]
      for (host, serial) in hosts {
        contents[host] = Set(
          try Row.fetchAll(find, arguments: [host.description, try serial.column()]).map { row in
            try row.digest("content")
          })
      }
      return contents
    }
  }

  /// What a host is sent, ready to go: statement, signatures, manifest, proof and rules.
  package func bundleFiles(for host: HostID, serial: Serial? = nil) async throws(Failure) -> [BundleFile: [UInt8]]? {
    try await read("read the bundle of \(host)") { db in
      guard let bundle = try Self.bundleRow(db, host, serial).map(Self.bundle) else { return nil }
      guard
        let row = try Row.fetchOne(
          db, sql: "SELECT * FROM releases WHERE serial = ?", arguments: [try bundle.serial.column()])
      else { return nil }
      let release = try Self.release(row, in: db)
      var files: [BundleFile: [UInt8]] = [
        .statement: release.statement, .manifest: bundle.manifest, .proof: bundle.proof,
      ]
      for (number, signature) in release.signatures.enumerated() { files[.signature(number)] = signature }
      for family in Family.allCases {
        guard let digest = bundle.rules?[family] else { continue }
        files[.rules(family)] = try Self.text(db, digest)
      }
      files[.sets] = try bundle.sets.flatMap { try Self.text(db, $0) }
      files[.sysctl] = try bundle.sysctl.flatMap { try Self.text(db, $0) }
      for (index, digests) in bundle.profiles.enumerated() {
        for family in Family.allCases { files[.lockdown(index, family)] = try Self.text(db, digests[family]) }
      }
      return files
    }
  }

  private static func bundleRow(_ db: Database, _ host: HostID, _ serial: Serial?) throws -> Row? {
    if let serial {
      return try Row.fetchOne(
        db, sql: "SELECT * FROM bundles WHERE host = ? AND serial = ?",
        arguments: [host.description, try serial.column()])
    }
    return try Row.fetchOne(
      db, sql: "SELECT * FROM bundles WHERE host = ? ORDER BY serial DESC LIMIT 1", arguments: [host.description])
  }

  private static func bundle(_ row: Row) throws -> StoredBundle {
    let ipv4: Data? = row["ipv4"]
    let bundle = StoredBundle(
      serial: Serial(column: row["serial"]), host: try row.host(), manifest: try row.bytes("manifest"),
      content: try row.digest("content"), proof: try row.bytes("proof"),
      rules: ipv4 == nil ? nil : PerFamily(ipv4: try row.digest("ipv4"), ipv6: try row.digest("ipv6")),
      sets: try row.optionalDigest("sets"), sysctl: try row.optionalDigest("sysctl"),
      profiles: try StoredBundle.profiles(row["profiles"]),
      traces: PerFamily(ipv4: try row.optionalDigest("ipv4_trace"), ipv6: try row.optionalDigest("ipv6_trace")).whole())
    guard bundle.manifestDigest == (try row.digest("manifest_digest")) else {
      throw Reason("the stored manifest of \(bundle.host) was altered")
    }
    return bundle
  }

  /// What the newest release that names a host wants of it.
  package func desiredHosts() async throws(Failure) -> [HostID: DesiredHost] {
    try await read("read what the releases want") { db in
      var desired: [HostID: DesiredHost] = [:]
      // SQLite takes the other columns from the row that has the maximum.
      let rows = try Row.fetchCursor(db, sql: "SELECT host, max(serial) AS serial, content FROM bundles GROUP BY host")
      while let row = try rows.next() {
        let host = try row.host()
        desired[host] = DesiredHost(
          host: host, content: try row.digest("content"), serial: Serial(column: row["serial"]))
      }
      return desired
    }
  }

  /// Every host's bundle as of that release: of the newest one, up to it, that names the host.
  /// - Parameter serial: nil asks for the newest of all.
  package func bundles(upTo serial: Serial? = nil) async throws(Failure) -> [HostID: StoredBundle] {
    try await read("read the bundles of release \(serial?.description ?? "last")") { db in
      var bundles: [HostID: StoredBundle] = [:]
      let rows = try Row.fetchCursor(
        db,
        sql: """
          SELECT * FROM bundles WHERE id IN (
            SELECT id FROM (SELECT id, max(serial) FROM bundles WHERE serial <= ? GROUP BY host))
          """, arguments: [try serial?.column() ?? .max])
      while let row = try rows.next() {
        let bundle = try Self.bundle(row)
        bundles[bundle.host] = bundle
      }
      return bundles
    }
  }

  /// The hosts that the newest release naming them withdraws, with those bundles.
  package func withdrawn() async throws(Failure) -> [HostID: StoredBundle] {
    try await read("read which hosts are withdrawn") { db in
      let rows = try Row.fetchAll(
        db,
        sql: """
          SELECT * FROM bundles WHERE ipv4 IS NULL AND id IN (
            SELECT id FROM (SELECT id, max(serial) FROM bundles GROUP BY host))
          """)
      return Dictionary(uniqueKeysWithValues: try rows.map { ($0, try Self.bundle($0)) }.map { ($0.1.host, $0.1) })
    }
  }

  /// Rules by their digest; nil when the store never had them.
  package func text(_ digest: Digest) async throws(Failure) -> [UInt8]? {
    try await read("read rules \(digest.short)") { db in try Self.text(db, digest, required: false) }
  }

  package func texts(_ digests: Set<Digest>) async throws(Failure) -> [Digest: [UInt8]] {
    try await read("read \(digests.count) rules texts") { db in
      var texts: [Digest: [UInt8]] = [:]
      for digest in digests { texts[digest] = try Self.text(db, digest, required: false) }
      return texts
    }
  }

  private static func text(_ db: Database, _ digest: Digest, required: Bool = true) throws -> [UInt8]? {
    let find = try db.cachedStatement(sql: "SELECT body FROM texts WHERE digest = ?")
    guard let body = try Data.fetchOne(find, arguments: [digest.column]) else {
      guard !required else { throw Reason("rules \(digest.short) are missing from the store") }
      return nil
    }
    let text = [UInt8](body)
    guard Digest(of: text) == digest else { throw Reason("the stored rules \(digest.short) were altered") }
    return text
  }

  /// Forgets the bundles of old releases; statements and signatures stay. What stays of bundles: the newest `releases`
  /// releases, the newest bundle of every host, and each that a host's last report says it runs.
  package func pruneBundles(keepingReleases releases: Int) async throws(Failure) {
    try await write("forget old bundles") { db in
      try db.execute(
        sql: """
          DELETE FROM bundles WHERE serial < ifnull(
            (SELECT serial FROM releases ORDER BY serial DESC LIMIT 1 OFFSET ?), 0)
          AND id NOT IN (SELECT id FROM (SELECT id, max(serial) FROM bundles GROUP BY host))
          AND NOT EXISTS (
            SELECT 1 FROM latest_reports JOIN reports ON reports.id = latest_reports.report
            WHERE reports.host = bundles.host AND reports.manifest = bundles.manifest_digest)
          """, arguments: [max(0, releases - 1)])
      try db.execute(sql: "DELETE FROM profile_texts WHERE serial NOT IN (SELECT serial FROM bundles)")
      try db.execute(
        sql: """
          DELETE FROM texts WHERE digest NOT IN (SELECT ipv4 FROM bundles WHERE ipv4 IS NOT NULL)
          AND digest NOT IN (SELECT ipv6 FROM bundles WHERE ipv6 IS NOT NULL)
          AND digest NOT IN (SELECT sets FROM bundles WHERE sets IS NOT NULL)
          AND digest NOT IN (SELECT sysctl FROM bundles WHERE sysctl IS NOT NULL)
          AND digest NOT IN (SELECT ipv4_trace FROM bundles WHERE ipv4_trace IS NOT NULL)
          AND digest NOT IN (SELECT ipv6_trace FROM bundles WHERE ipv6_trace IS NOT NULL)
          AND digest NOT IN (SELECT digest FROM profile_texts)
          AND digest NOT IN (SELECT body FROM differences)
          """)
    }
  }
}
