package import Core
internal import Foundation
internal import GRDB
package import Wire

/// A change that a host takes back by itself unless a person confirms it.
package struct AwaitingChange: Hashable, Sendable {
  package var host: HostID
  package var confirmation: ChangeConfirmation
  /// Of the manifest without its serial.
  package var content: Digest
  package var serial: Serial
  /// By our clock: the host goes back then, or a little before.
  package var until: UTCTime
  package init(host: HostID, confirmation: ChangeConfirmation, content: Digest, serial: Serial, until: UTCTime) {
    self.host = host
    self.confirmation = confirmation
    self.content = content
    self.serial = serial
    self.until = until
  }
}

extension FleetStore {
  /// A host has one change at a time: a later one replaces it.
  package func save(awaiting changes: [AwaitingChange]) async throws(Failure) {
    guard !changes.isEmpty else { return }
    try await write("record \(changes.count) changes to be confirmed") { db in
      for change in changes {
        let named = change.confirmation
        try db.execute(
          literal: """
            INSERT OR REPLACE INTO awaiting (host, txn, manifest, nonce, content, serial, until)
            VALUES (\(change.host.description), \(Data(named.transaction.bytes)), \(named.manifest.column),
              \(Data(named.nonce.bytes)), \(change.content.column), \(change.serial.clampedColumn),
              \(change.until.column))
            """)
      }
    }
  }

  /// By host.
  package func awaiting() async throws(Failure) -> [AwaitingChange] {
    try await read("read the changes to be confirmed") { db in
      try Row.fetchAll(db, sql: "SELECT * FROM awaiting ORDER BY host").map { row in
        guard let transaction = TransactionID(bytes: try row.bytes("txn")),
          let nonce = Nonce(bytes: try row.bytes("nonce"))
        else { throw Reason("the change of \(try row.host()) in the store is no change") }
        return AwaitingChange(
          host: try row.host(),
          confirmation: ChangeConfirmation(
            transaction: transaction, manifest: try row.digest("manifest"), nonce: nonce),
          content: try row.digest("content"), serial: Serial(column: row["serial"]), until: row.time("until"))
      }
    }
  }

  /// It was confirmed, cancelled or taken back. One that replaced it meanwhile stays.
  package func forget(awaiting changes: [AwaitingChange]) async throws(Failure) {
    guard !changes.isEmpty else { return }
    try await write("forget \(changes.count) changes that were to be confirmed") { db in
      for change in changes {
        try db.execute(
          sql: "DELETE FROM awaiting WHERE host = ? AND txn = ?",
          arguments: [change.host.description, Data(change.confirmation.transaction.bytes)])
      }
    }
  }

  /// Something else was committed on these hosts, so nothing waits there.
  package func forgetAwaiting(of hosts: [HostID]) async throws(Failure) {
    guard !hosts.isEmpty else { return }
    try await write("forget changes that were overtaken") { db in
      for host in hosts {
        try db.execute(sql: "DELETE FROM awaiting WHERE host = ?", arguments: [host.description])
      }
    }
  }
}
