package import Core
package import Wire

/// Someone who outlives this process and takes a change back when nobody else can any more.
package protocol DeadMan: AnyObject {
  /// Returns when the promise is given: from then on the change is taken back, both families, when `deadline` passes or
  /// this process is gone before the journal says how the transaction ended. Throws when nobody promises; then nothing
  /// may be changed.
  func arm(_ transaction: TransactionID, until deadline: BootTime) throws

  /// The journal says how it ended. Not an error when nothing is armed.
  func disarm()
}

/// CLOCK_BOOTTIME, and beside it CLOCK_MONOTONIC.
package protocol BootClock {
  func now() -> BootTime
  func running() -> RunningTime
  func sleep(for duration: Duration)
}
