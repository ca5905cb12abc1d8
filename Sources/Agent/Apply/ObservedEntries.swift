internal import Core
internal import Ruleset
internal import Wire

/// Reads `add PCL-OBSERVE-4 192.0.2.1,tcp:22 packets 5 bytes 300`, as `ipset save` prints it.
enum ObservedEntries {
  /// New entries take the place of others in a set that holds as many as it may: there was more than it tells.
  static func isFull(_ saved: [UInt8], name: String) -> Bool {
    let lines = saved.split(separator: UInt8(ascii: "\n"))
    guard let header = lines.first(where: { $0.starts(with: "create \(name) ".utf8) }) else { return false }
    let words = String(decoding: header, as: UTF8.self).split(separator: " ")
    guard let at = words.firstIndex(of: "maxelem"), at + 1 < words.endIndex, let most = Int(words[at + 1]) else {
      return false
    }
    return lines.count { $0.starts(with: "add \(name) ".utf8) } >= most
  }

  /// Lines of another form are left out: nothing is judged by them.
  static func read(_ saved: [UInt8], name: String, _ family: Family) -> [Observations.Entry] {
    let beginning = Array("add \(name) ".utf8)
    return saved.split(separator: UInt8(ascii: "\n")).compactMap { line in
      guard line.starts(with: beginning) else { return nil }
      let words = String(decoding: line.dropFirst(beginning.count), as: UTF8.self).split(separator: " ")
      guard words.count == 5, words[1] == "packets", words[3] == "bytes", let packets = UInt64(words[2]),
        let bytes = UInt64(words[4]), let comma = words[0].firstIndex(of: ","),
        let colon = words[0][comma...].firstIndex(of: ":"),
        let source = AddressPrefix(words[0][..<comma]), source.family == family
      else { return nil }
      return Observations.Entry(
        family: family, source: source.description,
        proto: SafeText.escape(words[0][words[0].index(after: comma)..<colon]),
        port: SafeText.escape(words[0][words[0].index(after: colon)...]), packets: packets, bytes: bytes)
    }
  }
}
