internal import Apply
internal import Core
internal import Wire

/// Promises nothing.
final class NoDeadMan: DeadMan {
  init() {}
  func arm(_ transaction: TransactionID, until deadline: BootTime) throws {}
  func disarm() {}
}
