internal import CLibSSH
internal import Core
internal import Glibc

/// Everything a loop's thread owns: its sessions, descriptors and deadlines. Never seen by another thread; others send
/// commands through the mailbox.
///
/// Fairness: one turn hands each ready descriptor to its owner once, and owners do a bounded amount of work (64 KiB
/// read) before they return; what is left makes the descriptor ready again, since epoll is level-triggered.
final class LoopCore {
  let mailbox: Mailbox
  let helpers: HelperThreads
  let knownHosts: KnownHosts
  var connections: [UInt64: Connection] = [:]
  var channels: [UInt64: LoopChannel] = [:]
  var bastions: [HostEndpoint: Bastion] = [:]
  /// Whom an answer of the name service or a file is for.
  var resolving: [UInt64: (Result<[SocketAddress], Reason>) -> Void] = [:]
  var loading: [UInt64: (Result<IdentityFile, Reason>) -> Void] = [:]
  let keys = KeyCache()
  /// For bytes that are looked at and passed on within one call.
  let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

  private let epoll: Int32
  private var watches: [UInt64: (UInt32) -> Void] = [:]
  private var timers: [UInt64: () -> Void] = [:]
  private var heap = DeadlineHeap()

  init(mailbox: Mailbox, helpers: HelperThreads, knownHosts: KnownHosts) {
    self.mailbox = mailbox
    self.helpers = helpers
    self.knownHosts = knownHosts
    epoll = mailbox.epollDescriptor
  }

  deinit { scratch.deallocate() }

  /// Runs until the mailbox is closed and empty; then closes every connection.
  func run() {
    // Per thread in libssh; silent, because its text is the host's and belongs on nobody's terminal.
    ssh_set_log_level(Int32(SSH_LOG_NOLOG))
    var wake = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: 0))
    epoll_ctl(epoll, EPOLL_CTL_ADD, mailbox.eventDescriptor, &wake)
    var events = [epoll_event](repeating: epoll_event(), count: 256)
    while true {
      let now = ContinuousClock.now
      while let id = heap.popDue(now) { timers.removeValue(forKey: id)?() }
      if heap.count > 1024, heap.count > 4 * timers.count { heap.compact { timers[$0] != nil } }

      let count = epoll_wait(epoll, &events, Int32(events.count), timeout())
      for event in events.prefix(Int(max(0, count))) {
        if event.data.u64 != 0 {
          watches[event.data.u64]?(event.events)
        } else if obeyCommands() {
          for connection in connections.values { connection.close() }
          return
        }
      }
    }
  }

  /// True when there will be no more.
  private func obeyCommands() -> Bool {
    let (commands, isClosed) = mailbox.take()
    for command in commands { command(self) }
    return isClosed
  }

  /// In milliseconds, rounded up, for epoll_wait.
  private func timeout() -> Int32 {
    guard let earliest = heap.earliest else { return -1 }
    let left = (earliest - ContinuousClock.now).components
    guard left.seconds >= 0, left.attoseconds >= 0 else { return 0 }
    guard left.seconds < 3600 else { return 3_600_000 }
    return Int32(left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000 + 1)
  }

  // MARK: Descriptors

  /// Hands `events` of a descriptor to `handler` until unwatched. Zero when the system refuses.
  func watch(_ descriptor: Int32, _ events: EPOLL_EVENTS..., handler: @escaping (UInt32) -> Void) -> UInt64 {
    let token = mailbox.makeID()
    var event = epoll_event(events: Self.mask(events), data: epoll_data_t(u64: token))
    guard epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 else { return 0 }
    watches[token] = handler
    return token
  }

  func rearm(_ token: UInt64, _ descriptor: Int32, events: UInt32) {
    var event = epoll_event(events: events, data: epoll_data_t(u64: token))
    epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event)
  }

  /// `descriptor` is nil when it was closed by somebody else, which took it out of epoll too.
  func unwatch(_ token: UInt64, _ descriptor: Int32?) {
    guard watches.removeValue(forKey: token) != nil, let descriptor else { return }
    var event = epoll_event()
    epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event)
  }

  static func mask(_ events: [EPOLL_EVENTS]) -> UInt32 { events.reduce(0) { $0 | $1.rawValue } }

  // MARK: Deadlines

  func schedule(at due: ContinuousClock.Instant, _ action: @escaping () -> Void) -> UInt64 {
    let id = mailbox.makeID()
    timers[id] = action
    heap.insert(due, id: id)
    return id
  }

  func cancel(timer: UInt64) { timers[timer] = nil }

  // MARK: Memory

  /// Channels that have a handle.
  private var busyChannels = 0
  private var trimTimer: UInt64 = 0

  func channelStarted() { busyChannels += 1 }

  /// Two seconds after a burst the allocator gives back what it kept of it: a fleet's connections stay open for days.
  func channelEnded() {
    busyChannels -= 1
    guard busyChannels == 0, trimTimer == 0 else { return }
    trimTimer = schedule(at: .now + .seconds(2)) { [weak self] in
      guard let self else { return }
      trimTimer = 0
      if busyChannels == 0 { malloc_trim(0) }
    }
  }
}

/// Private keys already read, so that a thousand hosts with one key parse it once.
final class KeyCache {
  private var keys: [(text: [UInt8], key: SSHKey)] = []

  func key(for text: [UInt8]) -> SSHKey? {
    if let known = keys.first(where: { $0.text == text }) { return known.key }
    guard let key = SSHKey(privateKey: text) else { return nil }
    if keys.count >= 16 { keys.removeFirst() }
    keys.append((text, key))
    return key
  }
}
