internal import Core
internal import Glibc

/// One connection to a jump host, shared by all hosts behind it while any of them uses it, and closed a little after.
final class Bastion {
  /// Long enough for the next host of a sweep, too short to look like a session left open.
  static let idleTime = Duration.seconds(5)

  private let core: LoopCore
  private let endpoint: HostEndpoint
  private var connection: Connection?
  private var failure: TransportError?
  private var waiters: [UInt64: (Result<Connection, TransportError>) -> Void] = [:]
  private var users = Set<UInt64>()
  private var idleTimer: UInt64 = 0
  private var isOpen = false

  private init(core: LoopCore, endpoint: HostEndpoint) {
    self.core = core
    self.endpoint = endpoint
  }

  /// The bastion for `endpoint`, connecting if it is the first use. Each lease is released once.
  static func lease(
    _ endpoint: HostEndpoint, core: LoopCore, limits: ConnectionLimits, lease: UInt64,
    completion: @escaping (Result<Connection, TransportError>) -> Void
  ) -> Bastion {
    let bastion: Bastion
    if let known = core.bastions[endpoint] {
      bastion = known
    } else {
      bastion = Bastion(core: core, endpoint: endpoint)
      core.bastions[endpoint] = bastion
      bastion.connect(limits)
    }
    bastion.add(lease, completion)
    return bastion
  }

  private func connect(_ limits: ConnectionLimits) {
    // Budgets are kept for each host behind it; the sum of them is nobody's business here.
    let own = ConnectionLimits(connectTimeout: limits.connectTimeout, receivedBytes: Int.max)
    let connection = Connection(core: core, id: core.mailbox.makeID(), endpoint: endpoint, limits: own) {
      [weak self] in self?.connected($0)
    }
    connection.onEnd = { [weak self] in self?.ended($0) }
    self.connection = connection
    connection.start()
  }

  private func connected(_ result: Result<Connection, TransportError>) {
    switch result {
    case .success: isOpen = true
    case .failure(let error): ended(error)
    }
    let waiters = waiters
    self.waiters = [:]
    for waiter in waiters.values { waiter(result) }
  }

  private func ended(_ error: TransportError) {
    failure = error
    connection = nil
    core.cancel(timer: idleTimer)
    if core.bastions[endpoint] === self { core.bastions[endpoint] = nil }
  }

  private func add(_ lease: UInt64, _ completion: @escaping (Result<Connection, TransportError>) -> Void) {
    users.insert(lease)
    core.cancel(timer: idleTimer)
    if let failure {
      completion(.failure(failure))
    } else if isOpen, let connection {
      completion(.success(connection))
    } else {
      waiters[lease] = completion
    }
  }

  func release(_ lease: UInt64) {
    waiters[lease] = nil
    guard users.remove(lease) != nil, users.isEmpty, connection != nil else { return }
    idleTimer = core.schedule(at: .now + Self.idleTime) { [weak self] in self?.connection?.close() }
  }
}

/// The way to a host through a bastion: its addresses are tried in turn from there.
final class BastionRoute {
  typealias Reached = (descriptor: Int32, address: String)

  private let core: LoopCore
  private let bastion: HostEndpoint
  private let addresses: [String]
  private let endpoint: HostEndpoint
  private let limits: ConnectionLimits
  private let lease: UInt64
  private var completion: ((Result<Reached, TransportError>) -> Void)?
  private var shared: Bastion?
  private var tunnel: Tunnel?
  private var failures: [String] = []

  init(
    core: LoopCore, bastion: HostEndpoint, addresses: [String], endpoint: HostEndpoint, limits: ConnectionLimits,
    completion: @escaping (Result<Reached, TransportError>) -> Void
  ) {
    self.core = core
    self.bastion = bastion
    self.addresses = addresses
    self.endpoint = endpoint
    self.limits = limits
    self.completion = completion
    lease = core.mailbox.makeID()
  }

  var progress: String { (["through \(SafeText.escape(bastion.name))"] + failures).joined(separator: "; ") }

  func start() {
    shared = Bastion.lease(bastion, core: core, limits: limits, lease: lease) { [weak self] result in
      guard let self else { return }
      switch result {
      case .success(let connection): open(0, through: connection)
      case .failure(let error):
        finish(
          .failure(
            TransportError(
              error.kind, host: endpoint.name, "through \(SafeText.escape(bastion.name)): \(error.detail)",
              hint: error.hint)))
      }
    }
    // Its answer may have come, and ended this, before there was anything to release.
    if completion == nil, tunnel == nil { release() }
  }

  private func open(_ index: Int, through connection: Connection) {
    guard completion != nil else { return }
    guard index < addresses.count else {
      let error = TransportError(
        .unreachable, host: endpoint.name,
        "\(SafeText.escape(bastion.name)) does not reach it: \(failures.joined(separator: "; "))")
      return finish(.failure(error))
    }
    let address = addresses[index]
    let tunnel = Tunnel(connection: connection, host: address, port: endpoint.port) { [weak self] result in
      guard let self else { return }
      switch result {
      case .success(let descriptor):
        let shown = address.contains(":") ? "[\(address)]" : address
        finish(.success((descriptor, "\(SafeText.escape(shown)):\(endpoint.port)")))
      case .failure(let reason):
        failures.append("\(SafeText.escape(address)): \(reason)")
        open(index + 1, through: connection)
      }
    }
    self.tunnel = tunnel
    tunnel.start()
  }

  private func finish(_ result: Result<Reached, TransportError>) {
    let completion = completion
    self.completion = nil
    completion?(result)
  }

  func release() {
    completion = nil
    tunnel?.close()
    tunnel = nil
    shared?.release(lease)
    shared = nil
  }
}
