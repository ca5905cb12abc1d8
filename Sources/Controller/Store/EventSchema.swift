extension Schema {
  /// What happened to hosts. Only retention deletes, what is older than the moment it names, and takes its leave back in
  /// the same transaction.
  static let events = [
    """
    CREATE TABLE events (
      id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
      cause TEXT NOT NULL, serial INTEGER, details TEXT NOT NULL) STRICT
    """,
    "CREATE INDEX events_by_host ON events (host, id)",
    "CREATE INDEX events_by_time ON events (at)",

    "CREATE TABLE forgetting (one INTEGER PRIMARY KEY CHECK (one = 1), before INTEGER) STRICT",
    "INSERT INTO forgetting VALUES (1, NULL)",
    """
    CREATE TRIGGER events_never_change BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'what happened is never changed'); END
    """,
    """
    CREATE TRIGGER events_never_vanish BEFORE DELETE ON events
      WHEN (SELECT before FROM forgetting) IS NULL OR OLD.at >= (SELECT before FROM forgetting)
    BEGIN SELECT RAISE(ABORT, 'what happened is forgotten by retention only'); END
    """,

    // INSERT OR REPLACE deletes without a word to the trigger above.
    """
    CREATE TRIGGER events_never_replaced BEFORE INSERT ON events WHEN EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'what happened is never changed'); END
    """,

    // What a host said stays as it was said; only how long it said so, and its clock, go on.
    """
    CREATE TRIGGER reports_never_change BEFORE UPDATE OF id, host, first_seen, sameness, serial, manifest, content,
      ipv4_expected, ipv4_observed, ipv4_save, ipv6_expected, ipv6_observed, ipv6_save ON reports
    BEGIN SELECT RAISE(ABORT, 'what a host said is never changed'); END
    """,
    """
    CREATE TRIGGER report_bodies_never_change BEFORE UPDATE ON report_bodies
    BEGIN SELECT RAISE(ABORT, 'what a host said is never changed'); END
    """,

    // Has a row when this store was begun because another was damaged: its hosts may be enrolled all the same.
    "CREATE TABLE rebuilt (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL, damaged TEXT NOT NULL) STRICT",
  ]

  /// Changes that agents told of, each once however often it is told, and up to where each host was asked.
  static let changes = [
    "ALTER TABLE events ADD COLUMN origin BLOB",
    "CREATE UNIQUE INDEX events_by_origin ON events (host, origin) WHERE origin IS NOT NULL",
    "CREATE TABLE change_marks (host TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID",
  ]

  /// Hosts that were removed while a store that was begun anew still asks for those it knows nothing of.
  static let departed = "CREATE TABLE departed (host TEXT PRIMARY KEY) STRICT, WITHOUT ROWID"
}
