internal import Core
internal import Wire

/// Who is let in, and what he may ask for.
extension Daemon {
  /// A connection waits.
  func accept() {
    do throws(SystemCallError) {
      guard let listener, let socket = try UnixSocket.accept(listener) else { return }
      guard let user = UnixSocket.peerUser(socket), configuration.users.contains(user) else {
        return configuration.log("a connection by an unexpected user was closed")
      }
      let now = BootTime.now
      let open = connections.count { $0.socket != nil }
      guard open < configuration.limits.connections || makeRoom(now) else {
        let refusal = Refusal(code: .busy, detail: "\(open) connections are open; try again in a minute")
        // A socket that was just made takes a few hundred bytes without waiting.
        _ = Nonblocking.send(socket.number, AgentMessage.refused(refusal).encode()[...])
        return
      }
      connections.append(
        Connection(
          nextID, socket, isRoot: user == configuration.root, hello: hello, limits: configuration.limits, now: now))
      nextID += 1
    } catch {
      // Out of descriptors or memory: the waiting connection keeps the listener readable, so look away for a second.
      acceptAgain = .now + .seconds(1)
    }
  }

  /// Whoever holds most connections loses the oldest of them, so that a stolen login key, or a bastion full of
  /// connections that nobody ended, keeps no other controller out. False when nobody holds two.
  private func makeRoom(_ now: BootTime) -> Bool {
    let crowds = Dictionary(grouping: connections.filter { $0.socket != nil && !$0.isApplying }, by: \.source)
    // They are in the order they came.
    let crowd = crowds.values.max { ($0.count, $1[0].id) < ($1.count, $0[0].id) }
    guard let crowd, crowd.count > 1 else { return false }
    with(crowd[0].id) { connection, _ in
      connection.end(Refusal(code: .busy, detail: "closed: too many connections come from the same place"), now: now)
      connection.drop()
      return nil
    }
    return true
  }

  /// What is not done at all, without asking the worker.
  func refuse(_ work: Work, of connection: Connection) -> Answer? {
    switch work {
    case .apply:
      guard worker.hasApply else { return nil }
      return .applied(.failure(Refusal(code: .busy, detail: "another apply is running on this host")))
    case .local(let order):
      guard !connection.isConsole else { return nil }
      let refusal = Refusal(code: .notLocal, detail: "only root on the host itself may order this, never over SSH")
      let answer = Answer.obeyed(order, .failure(refusal))
      note(answer, from: connection.id)
      return answer
    case .check, .confirm, .cancel, .order, .report, .text, .observe: return nil
    }
  }
}
