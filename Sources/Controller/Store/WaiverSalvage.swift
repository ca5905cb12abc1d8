package import Audit
internal import Core
internal import Foundation
internal import GRDB

/// Waivers are people's words, which no host can say again: what a damaged store still has of them is taken over. One
/// that cannot be believed is lost, and what it waived is drift again.
package struct SalvagedWaivers: Hashable, Sendable {
  package fileprivate(set) var kept: [Waiver] = []
  /// They were read and not taken over: altered, or ended since.
  package fileprivate(set) var refused = 0
  /// Reading came to its end.
  package fileprivate(set) var isWhole = false

  /// For an operator.
  package var words: String {
    let taken =
      kept.isEmpty ? "none of its waivers was" : kept.count == 1 ? "1 waiver was" : "\(kept.count) waivers were"
    let left =
      (refused == 0 ? "" : ", \(refused) altered or ended since \(refused == 1 ? "was" : "were") not")
      + (isWhole ? "" : ", others could not be read")
    return "\(taken) taken over from it\(left); what no waiver of 'portcullis drift waivers' covers is drift again"
  }
}

extension FleetStore {
  /// - Parameter isBelieved: whether what is known besides does not say that it was ended since.
  static func salvageWaivers(from path: String, _ isBelieved: (Waiver) -> Bool) -> SalvagedWaivers {
    var salvaged = SalvagedWaivers()
    var configuration = Configuration()
    configuration.readonly = true
    do {
      try DatabaseQueue(path: path, configuration: configuration).read { db in
        let rows = try Row.fetchCursor(db, sql: "SELECT * FROM waivers")
        while let row = try rows.next() {
          guard let waiver = whole(row), isBelieved(waiver) else {
            salvaged.refused += 1
            continue
          }
          salvaged.kept.append(waiver)
        }
      }
      salvaged.isWhole = true
    } catch {
      // What was read before the damage counts.
    }
    return salvaged
  }

  /// Damage may look like content: a later day, another difference. In a store of before waivers have no seal.
  private static func whole(_ row: Row) -> Waiver? {
    // A damaged row may have anything in any column.
    guard let host = String.fromDatabaseValue(row["host"]).flatMap({ HostID($0) }),
      let difference = Data.fromDatabaseValue(row["difference"]).flatMap({ Digest(bytes: $0) }),
      let words = String.fromDatabaseValue(row["words"]), let ends = Int64.fromDatabaseValue(row["ends"]),
      let reason = String.fromDatabaseValue(row["reason"]), let actor = String.fromDatabaseValue(row["actor"]),
      let made = Int64.fromDatabaseValue(row["made"]), let seal = Data.fromDatabaseValue(row["seal"])
    else { return nil }
    let waiver = Waiver(
      host: host, difference: difference, words: words, ends: UTCTime(column: ends), reason: reason, actor: actor,
      made: UTCTime(column: made))
    return self.seal(of: waiver).column == seal ? waiver : nil
  }

  static func seal(of waiver: Waiver) -> Digest {
    var out = ByteWriter()
    out.text(waiver.host.description)
    out.raw(waiver.difference.bytes)
    out.text(waiver.words)
    out.uint64(UInt64(bitPattern: waiver.ends.column))
    out.text(waiver.reason)
    out.text(waiver.actor)
    out.uint64(UInt64(bitPattern: waiver.made.column))
    return Digest(of: out.bytes)
  }
}
