internal import Core
internal import Foundation
internal import GRDB

// How our types stand in columns.

extension Digest {
  var column: Data { Data(bytes) }
}

extension UTCTime {
  var column: Int64 { secondsSinceEpoch }
  init(column: Int64) { self.init(secondsSinceEpoch: column) }
}

extension Serial {
  /// For what hosts claim: a serial beyond the column's range becomes the largest that fits.
  var clampedColumn: Int64 { Int64(clamping: value) }

  /// For what we issue.
  func column() throws -> Int64 {
    guard let column = Int64(exactly: value) else { throw Reason("serial \(self) is beyond what a store holds") }
    return column
  }

  init(column: Int64) { self.init(UInt64(clamping: column)) }
}

extension Epoch {
  /// For what hosts claim, as with serials.
  var clampedColumn: Int64 { Int64(clamping: value) }

  /// For what we issue.
  func column() throws -> Int64 {
    guard let column = Int64(exactly: value) else { throw Reason("epoch \(self) is beyond what a store holds") }
    return column
  }

  init(column: Int64) { self.init(UInt64(clamping: column)) }
}

extension Row {
  func bytes(_ name: String) throws -> [UInt8] {
    guard let data = self[name] as Data? else { throw Reason("the store has no \(name) where one must be") }
    return [UInt8](data)
  }

  func digest(_ name: String) throws -> Digest {
    guard let digest = Digest(bytes: try bytes(name)) else { throw Reason("\(name) in the store is not a digest") }
    return digest
  }

  func optionalDigest(_ name: String) throws -> Digest? {
    let data: Data? = self[name]
    return data == nil ? nil : try digest(name)
  }

  func host(_ name: String = "host") throws -> HostID {
    guard let host = (self[name] as String?).flatMap({ HostID($0) }) else {
      throw Reason("\(name) in the store is not a host's name")
    }
    return host
  }

  func time(_ name: String) -> UTCTime { UTCTime(column: self[name]) }
}
