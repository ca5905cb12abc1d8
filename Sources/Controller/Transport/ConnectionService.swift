internal import CLibSSH
internal import Core

/// An open connection: its channels are served in turn, and what they receive is counted.
extension Connection {
  // MARK: Open

  func serve() {
    guard let session else { return }
    isServing = true
    for _ in 0..<Self.readsPerTurn {
      let before = session.receivedBytes
      session.pump()
      let count = session.receivedBytes - before
      if session.isBroken { break }
      // What is no channel's payload has a limit too: four bytes for each, for hosts that send a few at a time.
      guard session.receivedBytes - receivedAtLogin <= UInt64(limits.receivedBytes.clamped) * 4 + 1 << 20 else {
        return overBudget()
      }
      serve(take(unsettled: true))
      guard phase == .open else { return }
      if count < SSHSession.readSize { break }
    }
    if session.isBroken { serve(take(unsettled: true)) }
    isServing = false
    flush()
  }

  /// Who is to be served now, each once.
  private func take(unsettled includesUnsettled: Bool) -> [UInt64] {
    var ids = changed
    changed = []
    for id in socketWaiters where canWrite && isChanged.insert(id).inserted { ids.append(id) }
    if canWrite { socketWaiters = [] }
    for id in unsettled where includesUnsettled && isChanged.insert(id).inserted { ids.append(id) }
    isChanged = []
    return ids
  }

  func serve(_ ids: [UInt64]) {
    for id in ids {
      guard phase == .open else { return }
      users[id]?.serve()
    }
  }

  /// To be called after anything was written: libssh writes on only after it was told that the socket takes more. Who
  /// waited for that is served, within bounds; what is left is for another turn.
  func flush() {
    guard phase == .open, !isServing, let session else { return }
    isServing = true
    var ids: [UInt64] = []
    for _ in 0..<8 {
      if session.hasUnsentBytes { session.pump() }
      if session.isBroken { return lost() }
      ids = take(unsettled: false)
      if ids.isEmpty { break }
      serve(ids)
      guard phase == .open else { return }
    }
    isServing = false
    if !ids.isEmpty { _ = core.schedule(at: .now) { [weak self] in self?.flush() } }
    rearm()
  }

  var canWrite: Bool { phase == .open && session?.hasUnsentBytes == false }

  /// Serves the user again once `canWrite`.
  func awaitSocket(_ id: UInt64) { socketWaiters.insert(id) }

  /// A channel whose changes `user` is told of, by `serve()`.
  func makeChannel(for user: some ChannelUser) -> SSHChannel? {
    let id = user.id
    guard phase == .open,
      let channel = session?.makeChannel(onChange: { [weak self] in
        guard let self, isChanged.insert(id).inserted else { return }
        changed.append(id)
      })
    else { return nil }
    users[id] = user
    unsettled.insert(id)
    return channel
  }

  /// While a user waits for an answer or for room to write, it is served at each turn.
  func settle(_ id: UInt64, _ isSettled: Bool) {
    if isSettled { unsettled.remove(id) } else { unsettled.insert(id) }
  }

  func forget(_ id: UInt64) {
    users[id] = nil
    unsettled.remove(id)
    socketWaiters.remove(id)
  }

  /// Counts bytes a channel gave; false, and the connection is gone, when they are more than the budget.
  func count(_ bytes: Int, buffered: Int = 0) -> Bool {
    receivedPayload += bytes
    guard receivedPayload + buffered <= limits.receivedBytes else {
      overBudget()
      return false
    }
    return true
  }

  private func overBudget() {
    fail(
      .tooMuchData, "it sent more than the \(limits.receivedBytes) bytes allowed for a connection")
  }
}

/// Who has a channel in a connection.
protocol ChannelUser: AnyObject {
  var id: UInt64 { get }
  /// Something about its channel changed, or it asked to be served.
  func serve()
  /// Its channel must be abandoned now: the session is about to be freed.
  func connectionEnded(_ error: TransportError)
}

extension Int {
  /// Small enough to be multiplied by four.
  fileprivate var clamped: Int { Swift.min(self, Int.max >> 8) }
}
