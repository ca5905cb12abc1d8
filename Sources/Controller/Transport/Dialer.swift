internal import CLibSSH
internal import Core
internal import Glibc

/// Connects to the first of several addresses that answers (RFC 8305 in spirit): they are tried in order, the next one
/// when the last failed or did not answer within 250 ms, and the first to connect wins.
final class Dialer {
  static let stagger = Duration.milliseconds(250)

  private enum Slot {
    /// The name service has not answered.
    case waiting
    case addresses([SocketAddress])
  }

  private let core: LoopCore
  private var slots: [Slot] = []
  private var attempts: [UInt64: (descriptor: Int32, address: SocketAddress)] = [:]
  private var failures: [String] = []
  private var timer: UInt64 = 0
  /// Until then a name that comes earlier in the list is waited for.
  private let patience: ContinuousClock.Instant
  private var completion: ((Result<(descriptor: Int32, address: String), Reason>) -> Void)?

  init(
    core: LoopCore, addresses: [String], port: UInt16,
    completion: @escaping (Result<(descriptor: Int32, address: String), Reason>) -> Void
  ) {
    self.core = core
    self.completion = completion
    patience = .now + Self.stagger
    for (index, text) in addresses.enumerated() {
      if let address = SocketAddress(numeric: text, port: port) {
        slots.append(.addresses([address]))
      } else {
        slots.append(.waiting)
        resolve(text, port: port, slot: index)
      }
    }
  }

  /// Who waits for the name service, by id, so that an answer that comes too late finds nobody.
  private func resolve(_ name: String, port: UInt16, slot: Int) {
    let ticket = core.mailbox.makeID()
    let mailbox = core.mailbox
    core.resolving[ticket] = { [weak self] in self?.resolved(name, slot: slot, $0) }
    core.helpers.submit {
      let result = SocketAddress.lookUp(name, port: port)
      mailbox.post { $0.resolving.removeValue(forKey: ticket)?(result) }
    }
  }

  private func resolved(_ name: String, slot: Int, _ result: Result<[SocketAddress], Reason>) {
    guard completion != nil else { return }
    switch result {
    case .success(let found): slots[slot] = .addresses(found)
    case .failure(let reason):
      slots[slot] = .addresses([])
      failures.append("\(SafeText.escape(name)): \(reason)")
    }
    if attempts.isEmpty || timer == 0 { tryNext() }
  }

  func start() { tryNext() }

  private func tryNext() {
    core.cancel(timer: timer)
    timer = 0
    while completion != nil {
      guard let address = nextAddress() else {
        let isWaiting = slots.contains { if case .waiting = $0 { true } else { false } }
        if isWaiting, ContinuousClock.now < patience {
          timer = core.schedule(at: patience) { [weak self] in self?.tryNext() }
        } else if !isWaiting, attempts.isEmpty {
          finish(.failure(Reason(failures.isEmpty ? "it has no address" : failures.joined(separator: "; "))))
        }
        return
      }
      let (descriptor, number) = address.connect()
      if number == 0 { return finish(.success((descriptor, address.description))) }
      if number == EINPROGRESS {
        begin(descriptor, address)
        timer = core.schedule(at: .now + Self.stagger) { [weak self] in self?.tryNext() }
        return
      }
      failures.append("\(address): \(systemMessage(number))")
    }
  }

  private func nextAddress() -> SocketAddress? {
    for index in slots.indices {
      switch slots[index] {
      case .waiting: if ContinuousClock.now < patience { return nil }
      case .addresses(let addresses):
        guard let first = addresses.first else { continue }
        slots[index] = .addresses(Array(addresses.dropFirst()))
        return first
      }
    }
    return nil
  }

  private func begin(_ descriptor: Int32, _ address: SocketAddress) {
    var token: UInt64 = 0
    token = core.watch(descriptor, EPOLLOUT) { [weak self] _ in self?.answered(token) }
    if token == 0 {
      close(descriptor)
      failures.append("\(address): \(systemMessage(errno))")
    } else {
      attempts[token] = (descriptor, address)
    }
  }

  private func answered(_ token: UInt64) {
    guard let (descriptor, address) = attempts.removeValue(forKey: token) else { return }
    core.unwatch(token, descriptor)
    var number: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &length)
    if number == 0 { return finish(.success((descriptor, address.description))) }
    close(descriptor)
    failures.append("\(address): \(systemMessage(number))")
    tryNext()
  }

  private func finish(_ result: Result<(descriptor: Int32, address: String), Reason>) {
    guard let completion else { return }
    stop()
    completion(result)
  }

  /// What was tried so far, for the message of a deadline.
  var progress: String {
    let tried = attempts.values.map { "\($0.address): no answer" }.sorted()
    let waiting = slots.contains { if case .waiting = $0 { true } else { false } }
    return (failures + tried + (waiting ? ["the name service has not answered"] : [])).joined(separator: "; ")
  }

  /// Closes the attempts that are under way.
  func stop() {
    completion = nil
    core.cancel(timer: timer)
    for (token, attempt) in attempts {
      core.unwatch(token, attempt.descriptor)
      close(attempt.descriptor)
    }
    attempts = [:]
  }
}
