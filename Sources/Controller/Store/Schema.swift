internal import GRDB

/// The tables. A migration that was released is never edited; the next one is appended.
///
/// Times are seconds since 1970 in UTC, digests 32 raw bytes, serials signed integers (a report may claim a serial that
/// does not fit; its column then holds the largest one, and its bytes the truth).
enum Schema {
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { db in
      try db.execute(sql: "PRAGMA application_id = \(FleetStore.applicationID)")
      for statement in first { try db.execute(sql: statement) }
    }
    migrator.registerMigration("changes that wait for a person") { db in try db.execute(sql: awaiting) }
    migrator.registerMigration("files beside the rules") { db in
      for statement in beside { try db.execute(sql: statement) }
    }
    migrator.registerMigration("where rules come from") { db in
      for statement in traces { try db.execute(sql: statement) }
    }
    migrator.registerMigration("what differs, and who knows of it") { db in
      for statement in differences { try db.execute(sql: statement) }
    }
    migrator.registerMigration("what happened to hosts") { db in
      for statement in events { try db.execute(sql: statement) }
    }
    migrator.registerMigration("who changed hosts") { db in
      for statement in changes { try db.execute(sql: statement) }
    }
    // The digest of all of its row: what survives damage must not say more than it did.
    migrator.registerMigration("sealed waivers") { db in try db.execute(sql: "ALTER TABLE waivers ADD COLUMN seal BLOB")
    }
    migrator.registerMigration("hosts removed while others are learnt again") { db in try db.execute(sql: departed) }
    migrator.registerMigration("lockdown profiles") { db in
      for statement in profiles { try db.execute(sql: statement) }
    }
    migrator.registerMigration("lockdown orders") { db in
      for statement in orders { try db.execute(sql: statement) }
    }
    return migrator
  }

  // Of a bundle: the digests of each profile's texts, IPv4 then IPv6, in the order of its manifest. Of a release: which
  // texts those are, each once however many hosts share it.
  private static let profiles = [
    "ALTER TABLE bundles ADD COLUMN profiles BLOB CHECK (length(profiles) % 64 = 0)",
    """
    CREATE TABLE profile_texts (
      serial INTEGER NOT NULL REFERENCES releases ON DELETE CASCADE, digest BLOB NOT NULL REFERENCES texts,
      PRIMARY KEY (serial, digest)) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX profile_texts_by_digest ON profile_texts (digest)",
  ]

  // What a person needs to confirm or cancel a change: without the nonce nobody can.
  private static let awaiting = """
    CREATE TABLE awaiting (
      host TEXT PRIMARY KEY, txn BLOB NOT NULL CHECK (length(txn) = 16), manifest BLOB NOT NULL, nonce BLOB NOT NULL,
      content BLOB NOT NULL, serial INTEGER NOT NULL, until INTEGER NOT NULL) STRICT, WITHOUT ROWID
    """

  // Ipsets and kernel settings; most bundles have neither.
  private static let beside = [
    "ALTER TABLE bundles ADD COLUMN sets BLOB REFERENCES texts",
    "ALTER TABLE bundles ADD COLUMN sysctl BLOB REFERENCES texts",
    "CREATE INDEX bundles_by_sets ON bundles (sets) WHERE sets IS NOT NULL",
    "CREATE INDEX bundles_by_sysctl ON bundles (sysctl) WHERE sysctl IS NOT NULL",
  ]

  // Bundles of before have none.
  private static let traces = [
    "ALTER TABLE bundles ADD COLUMN ipv4_trace BLOB REFERENCES texts",
    "ALTER TABLE bundles ADD COLUMN ipv6_trace BLOB REFERENCES texts",
    "CREATE INDEX bundles_by_ipv4_trace ON bundles (ipv4_trace) WHERE ipv4_trace IS NOT NULL",
    "CREATE INDEX bundles_by_ipv6_trace ON bundles (ipv6_trace) WHERE ipv6_trace IS NOT NULL",
  ]

  // The last difference of each host that was worked out, and the digests of the report it belongs to. A waiver is of
  // one difference of one host.
  private static let differences = [
    """
    CREATE TABLE differences (
      host TEXT PRIMARY KEY, ipv4_expected BLOB NOT NULL, ipv4_observed BLOB NOT NULL, ipv6_expected BLOB NOT NULL,
      ipv6_observed BLOB NOT NULL, exact BLOB NOT NULL, body BLOB NOT NULL REFERENCES texts) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX differences_by_body ON differences (body)",
    """
    CREATE TABLE waivers (
      host TEXT PRIMARY KEY, difference BLOB NOT NULL CHECK (length(difference) = 32), words TEXT NOT NULL,
      ends INTEGER NOT NULL, reason TEXT NOT NULL, actor TEXT NOT NULL, made INTEGER NOT NULL) STRICT, WITHOUT ROWID
    """,
  ]

  private static let first = [
    "CREATE TABLE fleet (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL) STRICT",

    // The highest serial ever given out. It has one row, and the file itself refuses to let it fall.
    """
    CREATE TABLE serial_counter (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL CHECK (last >= 0)) STRICT
    """,
    "INSERT INTO serial_counter VALUES (1, 0)",
    """
    CREATE TRIGGER serial_never_falls BEFORE UPDATE ON serial_counter WHEN NEW.last < OLD.last
    BEGIN SELECT RAISE(ABORT, 'the serial counter never goes back'); END
    """,
    """
    CREATE TRIGGER serial_never_forgotten BEFORE DELETE ON serial_counter
    BEGIN SELECT RAISE(ABORT, 'the serial counter never goes back'); END
    """,

    // Rules texts, each once, whoever uses them.
    "CREATE TABLE texts (digest BLOB PRIMARY KEY CHECK (length(digest) = 32), body BLOB NOT NULL) STRICT",

    """
    CREATE TABLE releases (
      serial INTEGER PRIMARY KEY, digest BLOB NOT NULL, statement BLOB NOT NULL, issued INTEGER NOT NULL,
      expires INTEGER NOT NULL, reason TEXT NOT NULL, hosts INTEGER NOT NULL) STRICT
    """,
    """
    CREATE TABLE signatures (
      serial INTEGER NOT NULL REFERENCES releases ON DELETE CASCADE, position INTEGER NOT NULL, armored BLOB NOT NULL,
      PRIMARY KEY (serial, position)) STRICT
    """,
    """
    CREATE TABLE bundles (
      id INTEGER PRIMARY KEY, serial INTEGER NOT NULL REFERENCES releases, host TEXT NOT NULL,
      manifest_digest BLOB NOT NULL, content BLOB NOT NULL,
      ipv4 BLOB REFERENCES texts, ipv6 BLOB REFERENCES texts, manifest BLOB NOT NULL, proof BLOB NOT NULL) STRICT
    """,
    "CREATE UNIQUE INDEX bundles_by_host ON bundles (host, serial, content)",
    "CREATE INDEX bundles_by_serial ON bundles (serial)",
    "CREATE INDEX bundles_by_ipv4 ON bundles (ipv4)",
    "CREATE INDEX bundles_by_ipv6 ON bundles (ipv6)",

    // A row is a stretch of time in which a host said the same. `sameness` is the digest of what it said without the
    // nonce and its clock. The long part stands apart, so that prolonging a stretch does not rewrite it.
    """
    CREATE TABLE reports (
      id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL, first_seen INTEGER NOT NULL,
      last_seen INTEGER NOT NULL, host_time INTEGER NOT NULL, sameness BLOB NOT NULL,
      serial INTEGER, manifest BLOB, content BLOB,
      ipv4_expected BLOB, ipv4_observed BLOB NOT NULL, ipv4_save BLOB NOT NULL,
      ipv6_expected BLOB, ipv6_observed BLOB NOT NULL, ipv6_save BLOB NOT NULL) STRICT
    """,
    "CREATE INDEX reports_by_host ON reports (host, id)",
    """
    CREATE TABLE report_bodies (
      report INTEGER PRIMARY KEY REFERENCES reports ON DELETE CASCADE, body BLOB NOT NULL) STRICT
    """,
    "CREATE TABLE latest_reports (host TEXT PRIMARY KEY, report INTEGER NOT NULL REFERENCES reports) STRICT, WITHOUT ROWID",
    "CREATE INDEX latest_reports_by_report ON latest_reports (report)",

    "CREATE TABLE contact_failures (host TEXT PRIMARY KEY, at INTEGER NOT NULL, reason TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """
    CREATE TABLE attempts (
      host TEXT PRIMARY KEY, content BLOB NOT NULL, serial INTEGER NOT NULL, result TEXT NOT NULL,
      detail TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID
    """,

    """
    CREATE TABLE runs (
      id INTEGER PRIMARY KEY AUTOINCREMENT, verb TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL,
      serial INTEGER, started INTEGER NOT NULL, ended INTEGER, exit_code INTEGER) STRICT
    """,
    """
    CREATE TABLE run_hosts (
      run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, host TEXT NOT NULL, result TEXT NOT NULL,
      detail TEXT NOT NULL, PRIMARY KEY (run, host)) STRICT, WITHOUT ROWID
    """,

    """
    CREATE TABLE enrolments (
      host TEXT PRIMARY KEY, at INTEGER NOT NULL, agent BLOB NOT NULL, agent_version TEXT NOT NULL,
      architecture TEXT NOT NULL, backend INTEGER NOT NULL, generation_0 INTEGER NOT NULL) STRICT
    """,
    """
    CREATE TABLE controllers (
      host TEXT NOT NULL REFERENCES enrolments ON DELETE CASCADE, address TEXT NOT NULL, learnt INTEGER NOT NULL,
      PRIMARY KEY (host, address)) STRICT, WITHOUT ROWID
    """,
  ]
}
