package import Core
internal import Synchronization

/// A wall clock that stands still until a test sets it.
package final class SettableClock: WallClock {
  private let value: Mutex<UTCTime>

  package init(_ time: UTCTime) { value = Mutex(time) }

  package var time: UTCTime {
    get { value.withLock { $0 } }
    set { value.withLock { $0 = newValue } }
  }

  package func now() -> UTCTime { time }
}
