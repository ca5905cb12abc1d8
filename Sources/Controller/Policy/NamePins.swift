internal import Core
internal import Inventory
package import Ruleset

/// `policies/dns.lock`: the addresses that DNS names stand for. Names are looked up only when somebody asks for it, so
/// that the same files always make the same rules, and a changed answer is a change people see.
package struct NamePins: Sendable {
  package static let fileName = "dns.lock"
  private static let sizeLimit = 1 << 20

  package private(set) var byName: [String: [AddressPrefix]] = [:]

  package init() {}

  func addresses(of name: String) -> [AddressPrefix]? { byName[name.lowercased()] }

  package mutating func pin(_ name: String, to addresses: [AddressPrefix]) {
    byName[name.lowercased()] = AddressPrefix.merged(addresses)
  }

  /// Empty when there is no such file.
  static func load(_ path: String) throws(Diagnostics) -> NamePins {
    guard BoundedFile.exists(path) else { return NamePins() }
    let bytes: [UInt8]
    do throws(BoundedFile.Problem) {
      bytes = try BoundedFile.read(path, limit: sizeLimit)
    } catch {
      throw Diagnostics(Diagnostic(SourceLocation(file: path, line: 1, column: 1), error.description))
    }
    return try parse(bytes, file: path)
  }

  /// A name and its addresses on each line.
  static func parse(_ bytes: [UInt8], file: String) throws(Diagnostics) -> NamePins {
    var pins = NamePins()
    var problems = Problems()
    for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      let words = String(decoding: line, as: UTF8.self).split(separator: " ").map(String.init)
      guard let name = words.first, !name.hasPrefix("#") else { continue }
      let place = SourceLocation(file: file, line: index + 1, column: 1)
      let addresses = words.dropFirst().compactMap(NumericAddress.init)
      guard HostID(name) != nil, !addresses.isEmpty, addresses.count == words.count - 1 else {
        problems.add(
          place, "expected a name and its numeric addresses",
          hint: "'portcullis resolve' writes this file anew, also after a merge left its marks in it")
        continue
      }
      guard pins.byName[name.lowercased()] == nil else {
        problems.add(place, "\(quoted(name)) is pinned twice")
        continue
      }
      pins.pin(name, to: addresses.map { AddressPrefix($0) })
    }
    try problems.throwIfAny()
    return pins
  }

  package func encode() -> [UInt8] {
    var text =
      "# The addresses of DNS names in policies and inventory. 'portcullis resolve' writes this file; review it.\n"
    for (name, prefixes) in byName.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
      text += ([name] + prefixes.map(\.description)).joined(separator: " ") + "\n"
    }
    return Array(text.utf8)
  }
}
