extension Schema {
  /// Lockdown and unlock orders, who signed them, and what came of them on each host. What people signed is never
  /// changed nor forgotten; only what a host answered is replaced by what it answers later.
  static let orders = [
    // The highest epoch ever given out, as with serials.
    """
    CREATE TABLE epoch_counter (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL CHECK (last >= 0)) STRICT
    """,
    "INSERT INTO epoch_counter VALUES (1, 0)",
    """
    CREATE TRIGGER epoch_never_falls BEFORE UPDATE ON epoch_counter WHEN NEW.last < OLD.last
    BEGIN SELECT RAISE(ABORT, 'the epoch counter never goes back'); END
    """,
    """
    CREATE TRIGGER epoch_never_forgotten BEFORE DELETE ON epoch_counter
    BEGIN SELECT RAISE(ABORT, 'the epoch counter never goes back'); END
    """,

    // The last order that a host says it heard, so that nobody has to decode reports while a lockdown waits.
    "ALTER TABLE latest_reports ADD COLUMN heard INTEGER",

    """
    CREATE TABLE orders (
      epoch INTEGER PRIMARY KEY CHECK (epoch > 0), kind TEXT NOT NULL CHECK (kind IN ('lockdown', 'drill', 'unlock')),
      statement BLOB NOT NULL, threshold INTEGER NOT NULL CHECK (threshold BETWEEN 1 AND 16), made INTEGER NOT NULL,
      actor TEXT NOT NULL, sent INTEGER) STRICT
    """,
    """
    CREATE TRIGGER orders_never_change BEFORE UPDATE ON orders
      WHEN OLD.sent IS NOT NULL OR NEW.sent IS NULL OR NEW.epoch <> OLD.epoch OR NEW.kind <> OLD.kind
        OR NEW.statement <> OLD.statement OR NEW.threshold <> OLD.threshold OR NEW.made <> OLD.made
        OR NEW.actor <> OLD.actor
    BEGIN SELECT RAISE(ABORT, 'an order is never changed'); END
    """,
    """
    CREATE TRIGGER orders_never_vanish BEFORE DELETE ON orders
    BEGIN SELECT RAISE(ABORT, 'an order is never forgotten'); END
    """,
    // INSERT OR REPLACE deletes without a word to the trigger above.
    """
    CREATE TRIGGER orders_never_replaced BEFORE INSERT ON orders
      WHEN EXISTS (SELECT 1 FROM orders WHERE epoch = NEW.epoch)
    BEGIN SELECT RAISE(ABORT, 'an order is never changed'); END
    """,

    """
    CREATE TABLE order_signatures (
      epoch INTEGER NOT NULL REFERENCES orders, principal TEXT NOT NULL, armored BLOB NOT NULL, added INTEGER NOT NULL,
      actor TEXT NOT NULL, PRIMARY KEY (epoch, principal)) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TRIGGER order_signatures_never_change BEFORE UPDATE ON order_signatures
    BEGIN SELECT RAISE(ABORT, 'a signature is never changed'); END
    """,
    """
    CREATE TRIGGER order_signatures_never_vanish BEFORE DELETE ON order_signatures
    BEGIN SELECT RAISE(ABORT, 'a signature is never forgotten'); END
    """,
    """
    CREATE TRIGGER order_signatures_never_replaced BEFORE INSERT ON order_signatures
      WHEN EXISTS (SELECT 1 FROM order_signatures WHERE epoch = NEW.epoch AND principal = NEW.principal)
    BEGIN SELECT RAISE(ABORT, 'a signature is never changed'); END
    """,

    // Whom an order is brought to. The columns after the host are its last outcome; it has none before it was asked.
    """
    CREATE TABLE order_hosts (
      epoch INTEGER NOT NULL REFERENCES orders, host TEXT NOT NULL, at INTEGER,
      outcome TEXT CHECK (outcome IN ('acknowledged', 'verified', 'refused', 'unreachable', 'unsure')),
      code TEXT, words TEXT, result INTEGER, lock_epoch INTEGER, lock_order BLOB CHECK (length(lock_order) = 32),
      flows INTEGER NOT NULL DEFAULT 0, microseconds INTEGER, warnings TEXT NOT NULL DEFAULT '',
      PRIMARY KEY (epoch, host), CHECK ((outcome IS NULL) = (at IS NULL))) STRICT, WITHOUT ROWID
    """,
  ]
}
