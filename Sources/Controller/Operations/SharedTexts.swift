internal import Core

/// Texts that hosts of one sweep have in common: each is asked for once, of the first host that has it, and believed of the
/// others because it hashes to what they report (docs/adr/0015-texts-are-shared.md).
actor SharedTexts {
  struct Name: Hashable, Sendable {
    let family: Family
    let digest: Digest
  }

  enum Found: Sendable {
    case text([UInt8])
    /// Whoever asks the host itself says what came of it to `settle`.
    case notKnown
  }

  private enum Entry {
    case known([UInt8])
    /// A host is being asked: these wait for its answer.
    case asked([Int: CheckedContinuation<Void, Never>])
    /// A host that reports it served something else, or there is no room for it.
    case notShared
  }

  /// Nobody waits longer for what another host says: it may be slow, or mean harm.
  static let patience = Duration.seconds(2)
  /// In bytes; what comes above is asked of each host.
  static let room = 64 << 20

  private let patience: Duration
  private var entries: [Name: Entry] = [:]
  private var waiters = 0
  private var held = 0

  init(patience: Duration = SharedTexts.patience) { self.patience = patience }

  func look(for name: Name) async -> Found {
    let end = ContinuousClock.now.advanced(by: patience)
    while true {
      switch entries[name] {
      case nil:
        entries[name] = .asked([:])
        return .notKnown
      case .known(let text): return .text(text)
      case .notShared: return .notKnown
      case .asked:
        guard end > .now else { return .notKnown }
        await wait(for: name, until: end)
      }
    }
  }

  /// - Parameter text: nil when it could not be had.
  func settle(_ name: Name, _ text: [UInt8]?) {
    let isServed = text.map { Digest(of: $0) == name.digest } ?? false
    switch entries[name] {
    case .known: return
    case .notShared where !isServed: return
    case nil, .asked, .notShared: break
    }
    var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    if case .asked(let some) = entries[name] { waiting = some }
    if let text, isServed, held + text.count <= Self.room {
      held += text.count
      entries[name] = .known(text)
    } else {
      // A host that says nothing is no reason not to ask the next one for all.
      entries[name] = text == nil ? nil : .notShared
    }
    for one in waiting.values { one.resume() }
  }

  private func wait(for name: Name, until end: ContinuousClock.Instant) async {
    waiters += 1
    let number = waiters
    let timer = Task {
      try? await Task.sleep(until: end, clock: .continuous)
      release(number, from: name)
    }
    await withCheckedContinuation { waiter in
      guard case .asked(var waiting) = entries[name] else { return waiter.resume() }
      waiting[number] = waiter
      entries[name] = .asked(waiting)
    }
    timer.cancel()
  }

  private func release(_ number: Int, from name: Name) {
    guard case .asked(var waiting) = entries[name], let waiter = waiting.removeValue(forKey: number) else { return }
    entries[name] = .asked(waiting)
    waiter.resume()
  }
}
