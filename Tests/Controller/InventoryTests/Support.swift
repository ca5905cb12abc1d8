import Core
import Foundation

@testable import Inventory

/// `LINE:COLUMN message` and `… (hint)` of everything wrong, in order; empty when nothing is.
func messages<Value>(_ body: () throws(Diagnostics) -> Value) -> [String] {
  do {
    _ = try body()
    return []
  } catch {
    return error.all.map { "\($0.location.line):\($0.location.column) \($0.message)" }
  }
}

func hints<Value>(_ body: () throws(Diagnostics) -> Value) -> [String] {
  do {
    _ = try body()
    return []
  } catch {
    return error.all.compactMap(\.hint)
  }
}

func inventory(_ text: String) throws -> HostInventory {
  try HostInventory.parse(Array(text.utf8), file: "hosts.yaml")
}

func inventoryMessages(_ text: String) -> [String] {
  messages { () throws(Diagnostics) in try HostInventory.parse(Array(text.utf8), file: "hosts.yaml") }
}

/// The folder that holds Sources and Tests.
let repository = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
  .appending(path: "../../..").standardized.path

/// A folder of its own for one test, gone afterwards.
final class TemporaryFolder {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "portcullis-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  @discardableResult
  func write(_ name: String, _ text: String) throws -> String {
    let file = path + "/" + name
    try FileManager.default.createDirectory(
      atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(filePath: file))
    return file
  }
}
