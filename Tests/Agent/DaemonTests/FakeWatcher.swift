import Apply
import Glibc
import Synchronization
import Wire

/// A kernel that announces what the test says.
final class FakeWatcher: ChangeWatcher, Sendable {
  let descriptor: Int32
  private let writing: Int32
  private let announced = Mutex(Announced())
  /// What it does not announce.
  let silent = Mutex<(tables: [UInt8], asked: Int)>(([], 0))

  init() {
    var ends: [Int32] = [0, 0]
    pipe(&ends)
    for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    (descriptor, writing) = (ends[0], ends[1])
  }

  deinit {
    close(descriptor)
    close(writing)
  }

  func announce(_ actors: HostChange.Actor...) {
    announced.withLock {
      $0.isChange = true
      $0.actors += actors
    }
    write(writing, [0], 1)
  }

  func take() -> Announced {
    var bytes = [UInt8](repeating: 0, count: 256)
    while read(descriptor, &bytes, bytes.count) > 0 {}
    return announced.withLock { announced in
      defer { announced = Announced() }
      return announced
    }
  }

  func unannounced() -> [UInt8] {
    silent.withLock { silent in
      silent.asked += 1
      return silent.tables
    }
  }
}
