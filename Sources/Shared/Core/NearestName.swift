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

  /// Letters added, left out, changed, or swapped with their neighbour, which is the commonest slip: "wbe" is nearer to
  /// "web" than to "db".
  private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var before: [Int] = []
    var row = Array(0...b.count)
    for i in a.indices {
      var next = [i + 1]
      for j in b.indices {
        var best = min(row[j] + (a[i] == b[j] ? 0 : 1), row[j + 1] + 1, next[j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
        next.append(best)
      }
      (before, row) = (row, next)
    }
    return row[b.count]
  }
}
