/// Which rules of one chain stay when it becomes another: a common subsequence, in time bounded by a constant times the
/// number of rules.
///
/// Common beginnings and ends go first. The rest is compared by Myers' algorithm (An O(ND) Difference Algorithm, 1986),
/// which is the best answer but takes time with the square of the number of differences. Past a limit of differences the
/// rules that occur once on both sides are taken as fixed points (as patience diff does), and only what lies between
/// them is compared. What is then still too different is shown as all removed and all added.
struct CommonRules {
  /// Differences that one run of Myers' algorithm looks for. Bounds its memory to about 1 MB, and its time to this many times
  /// the number of rules.
  static let maximumDifferences = 512

  private(set) var keptFrom: [Bool]
  private(set) var keptTo: [Bool]

  init(from: [Rule], to: [Rule]) {
    keptFrom = Array(repeating: false, count: from.count)
    keptTo = Array(repeating: false, count: to.count)
    var numbers: [Rule: Int32] = [:]
    func number(_ rule: Rule) -> Int32 {
      let next = Int32(truncatingIfNeeded: numbers.count)
      if let known = numbers[rule] { return known }
      numbers[rule] = next
      return next
    }
    // Only the part that differs is worth numbering.
    var low = 0
    while low < min(from.count, to.count), from[low] == to[low] { low += 1 }
    var highFrom = from.count
    var highTo = to.count
    while highFrom > low, highTo > low, from[highFrom - 1] == to[highTo - 1] {
      highFrom -= 1
      highTo -= 1
    }
    for index in 0..<low { keep(index, index) }
    for offset in 0..<(from.count - highFrom) { keep(highFrom + offset, highTo + offset) }
    let a = from[low..<highFrom].map(number)
    let b = to[low..<highTo].map(number)
    if compare(a[...], b[...], low, low) { return }
    var previous = (a: 0, b: 0)
    for anchor in Self.anchors(a, b) + [(a: a.count, b: b.count)] {
      _ = compare(a[previous.a..<anchor.a], b[previous.b..<anchor.b], low, low)
      if anchor.a < a.count { keep(low + anchor.a, low + anchor.b) }
      previous = (anchor.a + 1, anchor.b + 1)
    }
  }

  private mutating func keep(_ from: Int, _ to: Int) {
    keptFrom[from] = true
    keptTo[to] = true
  }

  /// Myers' greedy algorithm. False, and nothing kept, when there are too many differences.
  private mutating func compare(
    _ a: ArraySlice<Int32>, _ b: ArraySlice<Int32>, _ offsetA: Int, _ offsetB: Int
  ) -> Bool {
    let n = a.count
    let m = b.count
    guard n > 0, m > 0 else { return true }
    // furthest[d][k + d] is how far into `a` d differences reach on diagonal k = x - y.
    var furthest: [[Int32]] = []
    let startA = a.startIndex
    let startB = b.startIndex
    var found = -1
    search: for d in 0...min(n + m, Self.maximumDifferences) {
      var row = [Int32](repeating: -1, count: 2 * d + 1)
      for k in stride(from: -d, through: d, by: 2) {
        guard let entered = d == 0 ? (x: 0, from: 0) : Self.entry(furthest[d - 1], d - 1, k, n, m) else { continue }
        var x = entered.x
        while x < n, x - k < m, a[startA + x] == b[startB + x - k] { x += 1 }
        row[k + d] = Int32(truncatingIfNeeded: x)
        if x == n, x - k == m {
          found = d
          furthest.append(row)
          break search
        }
      }
      furthest.append(row)
    }
    guard found >= 0 else { return false }
    var x = n
    var k = n - m
    for d in stride(from: found, through: 0, by: -1) {
      let entered = d == 0 ? (x: 0, from: 0) : Self.entry(furthest[d - 1], d - 1, k, n, m)
      guard let entered else { break }
      while x > entered.x {
        x -= 1
        keep(startA + x + offsetA, startB + x - k + offsetB)
      }
      x -= entered.from < k ? 1 : 0
      k = entered.from
    }
    return true
  }

  /// Where diagonal k is entered by one difference more than `row` has, and from which diagonal: down from the one
  /// above, or right from the one below, whichever leads further and stays inside.
  private static func entry(
    _ row: [Int32], _ d: Int, _ k: Int, _ n: Int, _ m: Int
  ) -> (x: Int, from: Int)? {
    let down = reach(row, d, k + 1).flatMap { $0 - k <= m ? (x: $0, from: k + 1) : nil }
    let right = reach(row, d, k - 1).flatMap { $0 < n ? (x: $0 + 1, from: k - 1) : nil }
    guard let down else { return right }
    guard let right, right.x > down.x else { return down }
    return right
  }

  private static func reach(_ row: [Int32], _ d: Int, _ k: Int) -> Int? {
    let index = k + d
    return index >= 0 && index < row.count && row[index] >= 0 ? Int(row[index]) : nil
  }

  /// Pairs of rules that occur once on each side, as many as stand in the same order on both.
  private static func anchors(_ a: [Int32], _ b: [Int32]) -> [(a: Int, b: Int)] {
    var places: [Int32: (a: Int, b: Int, isUnique: Bool)] = [:]
    for (index, value) in a.enumerated() {
      places[value] = (a: index, b: -1, isUnique: places[value] == nil)
    }
    for (index, value) in b.enumerated() {
      guard let place = places[value] else { continue }
      places[value] = (a: place.a, b: index, isUnique: place.isUnique && place.b < 0)
    }
    let pairs = places.values.filter { $0.isUnique && $0.b >= 0 }.sorted { $0.a < $1.a }
    // The longest rising subsequence of `b`, by patience sorting.
    var tops: [Int] = []
    var before = [Int](repeating: -1, count: pairs.count)
    for index in pairs.indices {
      var low = 0
      var high = tops.count
      while low < high {
        let middle = (low + high) / 2
        if pairs[tops[middle]].b < pairs[index].b { low = middle + 1 } else { high = middle }
      }
      if low > 0 { before[index] = tops[low - 1] }
      if low == tops.count { tops.append(index) } else { tops[low] = index }
    }
    var chosen: [(a: Int, b: Int)] = []
    var next = tops.last ?? -1
    while next >= 0 {
      chosen.append((a: pairs[next].a, b: pairs[next].b))
      next = before[next]
    }
    return chosen.reversed()
  }
}
