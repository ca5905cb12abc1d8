package import Core

// A layer found again in a file that loads it.

extension LockLayer {
  /// Where in a longer text the one that loads a layer begins, if there is one in it; it goes on to the end.
  package static func start(in text: [UInt8]) -> Int? {
    text.firstRange(of: Array("*\(table)\n:\(prefix)".utf8))?.lowerBound
  }

  /// From what `first` gave. Whoever changed it since: it is read like any profile, so it can only shut.
  package init(loadedBy text: some Sequence<UInt8>, _ family: Family) throws(Refused) {
    var profile: [[UInt8]] = []
    for line in Array(text).split(separator: newline) {
      let line = Array(line)
      if line.starts(with: ":\(Self.prefix)".utf8) {
        profile.append(Array(":".utf8) + line.dropFirst(1 + Self.prefix.utf8.count).prefix { $0 != space } + Self.open)
      } else if line.starts(with: "-A \(Self.prefix)".utf8) {
        profile.append(Array("-A ".utf8) + line.dropFirst(3 + Self.prefix.utf8.count))
      } else if !Self.hooked.contains(where: { line == Self.insertion($0) }) {
        profile.append(line)
      }
    }
    try self.init(parsing: Array(profile.joined(separator: [newline])) + [newline], family)
  }

  private static let open = Array(" ACCEPT [0:0]".utf8)
}
