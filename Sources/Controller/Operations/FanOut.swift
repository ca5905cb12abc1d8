/// How many hosts are talked to at once, and for how long each.
package struct ContactLimits: Sendable, Hashable {
  package var parallel: Int
  /// For everything said to one host, connecting included.
  package var timeout: Duration

  package init(parallel: Int = 64, timeout: Duration = .seconds(60)) {
    self.parallel = parallel
    self.timeout = timeout
  }
}

package enum FanOut {
  /// Does `work` for every item, at most `parallel` at a time, and hands each result over as it comes, one at a time.
  /// After a cancellation no new item is started; those in flight are told and waited for.
  package static func each<Item: Sendable, Result: Sendable>(
    _ items: [Item], parallel: Int,
    work: @escaping @Sendable (Item) async -> Result,
    finished: (Item, Result) throws -> Void
  ) async rethrows {
    try await withThrowingTaskGroup(of: (Item, Result).self) { group in
      var rest = items.makeIterator()
      func startNext() -> Bool {
        guard !Task.isCancelled, let item = rest.next() else { return false }
        group.addTask { (item, await work(item)) }
        return true
      }
      for _ in 0..<max(1, parallel) where !startNext() { break }
      while let (item, result) = try await group.next() {
        try finished(item, result)
        _ = startNext()
      }
    }
  }
}
