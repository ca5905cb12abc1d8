/// "Did you mean": the known name closest to a mistyped one.
package enum NearestName {
  /// The nearest of `names` by edit distance, or nil when none is near (more than a third of the letters differ, at
  /// least two are allowed).
  package static func to(_ name: String, among names: some Sequence<String>) -> String? {
    let wanted = Array(name.utf8)
    let limit = max(2, wanted.count / 3)
    return
      names
      .map { (name: $0, distance: distance(wanted, Array($0.utf8))) }
      .filter { $0.distance <= limit && $0.distance < max(wanted.count, $0.name.utf8.count) }
      .min { ($0.distance, $0.name) < ($1.distance, $1.name) }?
      .name
  }

  private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var row = Array(0...b.count)
    for i in 0..<a.count {
      var diagonal = row[0]
      row[0] = i + 1
      for j in 0..<b.count {
        let replaced = diagonal + (a[i] == b[j] ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[b.count]
  }
}
