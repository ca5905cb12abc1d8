internal import CLibSSH
internal import Core
internal import Glibc
internal import Synchronization

/// A thread of ours. It ends when its body returns; nobody joins it.
enum SystemThread {
  /// Never on the cooperative pool: the body may block. Returns false when the system gives no thread.
  static func start(_ name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
    final class Box: Sendable {
      let name: String
      let body: @Sendable () -> Void
      init(_ name: String, _ body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
      }
    }
    let box = Unmanaged.passRetained(Box(name, body))
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, 1 << 20)
    var thread = pthread_t()
    let result = pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument else { return nil }
        let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
        portcullis_name_thread(String(box.name.prefix(15)))
        box.body()
        return nil
      }, box.toOpaque())
    if result != 0 { box.release() }
    return result == 0
  }
}

/// Earliest first. Removing is done by the owner forgetting the id: a due id that nobody knows is skipped.
struct DeadlineHeap {
  private var entries: [(due: ContinuousClock.Instant, id: UInt64)] = []

  var earliest: ContinuousClock.Instant? { entries.first?.due }
  var count: Int { entries.count }

  mutating func insert(_ due: ContinuousClock.Instant, id: UInt64) {
    entries.append((due, id))
    var child = entries.count - 1
    while child > 0, entries[child].due < entries[(child - 1) / 2].due {
      entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// The id of the earliest entry that is due at `now`, taken out.
  mutating func popDue(_ now: ContinuousClock.Instant) -> UInt64? {
    guard let first = entries.first, first.due <= now else { return nil }
    let last = entries.removeLast()
    if !entries.isEmpty {
      entries[0] = last
      sink(0)
    }
    return first.id
  }

  /// Drops the entries whose owners forgot them, once they are most of the heap.
  mutating func compact(keeping isAlive: (UInt64) -> Bool) {
    entries.removeAll { !isAlive($0.id) }
    for index in stride(from: entries.count / 2, through: 0, by: -1) where index < entries.count { sink(index) }
  }

  private mutating func sink(_ start: Int) {
    var parent = start
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < entries.count && entries[child].due < entries[least].due { least = child }
      if least == parent { return }
      entries.swapAt(parent, least)
      parent = least
    }
  }
}

/// Set once, from any thread: an operation was cancelled before its command reached the loop.
final class CancelFlag: Sendable {
  private let flag = Atomic<Bool>(false)
  var isSet: Bool { flag.load(ordering: .sequentiallyConsistent) }
  func set() { flag.store(true, ordering: .sequentiallyConsistent) }
}

/// The way into a loop from other threads: commands in order, and an eventfd that wakes the loop.
final class Mailbox: Sendable {
  typealias Command = @Sendable (LoopCore) -> Void

  private struct Contents {
    var commands: [Command] = []
    var isClosed = false
  }

  let eventDescriptor: Int32
  /// The loop waits with this one. Made here, so that a loop without it is never started.
  let epollDescriptor: Int32
  private let contents = Mutex(Contents())
  private let lastID = Atomic<UInt64>(0)

  /// Nil when the system gives no descriptor.
  init?() {
    eventDescriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    epollDescriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard eventDescriptor >= 0, epollDescriptor >= 0 else { return nil }
  }

  deinit {
    if eventDescriptor >= 0 { Glibc.close(eventDescriptor) }
    if epollDescriptor >= 0 { Glibc.close(epollDescriptor) }
  }

  /// Never used twice, so that a late command for something long gone finds nothing.
  func makeID() -> UInt64 { lastID.add(1, ordering: .relaxed).newValue }

  func post(_ command: @escaping Command) {
    let wasEmpty = contents.withLock { contents in
      contents.commands.append(command)
      return contents.commands.count == 1
    }
    if wasEmpty { wake() }
  }

  /// The loop ends after the commands posted so far.
  func close() {
    contents.withLock { $0.isClosed = true }
    wake()
  }

  private func wake() {
    var one: UInt64 = 1
    _ = write(eventDescriptor, &one, 8)
  }

  /// The commands posted since, and whether there will be no more.
  func take() -> (commands: [Command], isClosed: Bool) {
    var count: UInt64 = 0
    _ = read(eventDescriptor, &count, 8)
    return contents.withLock { contents in
      defer { contents.commands = [] }
      return (contents.commands, contents.isClosed)
    }
  }
}

/// What the C library says about an error number. glibc's strerror has been safe in threads since 2.32.
func systemMessage(_ number: Int32) -> String {
  guard let text = strerror(number) else { return "error \(number)" }
  return String(cString: text)
}
