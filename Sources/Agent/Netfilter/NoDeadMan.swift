internal import Apply
internal import Core
internal import Wire

/// For those who change nothing that waits to be confirmed: readers, and the guard itself.
final class NoDeadMan: DeadMan {
  init() {}
  func arm(_ transaction: TransactionID, until deadline: BootTime) throws {}
  func disarm() {}
}
