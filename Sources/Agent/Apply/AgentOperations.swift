package import Core
package import Wire

/// Everything the daemon can ask of the host's state, one call at a time, on its worker thread. The calls block while
/// programs run; each has a hard limit of its own.
package protocol AgentOperations: AnyObject {
  var host: HostID { get }
  var fleet: FleetID { get }

  /// Brings the host to a state the journal knows: ends a transaction that was cut short, removes what it left.
  /// Called once, before anything else.
  func recover() throws

  /// Verifies, rehearses, journals and applies a bundle whose files arrived whole. A refusal means nothing changed.
  func apply(
    _ files: [BundleFile: [UInt8]], transaction: TransactionID, manifest: Digest
  ) throws(Refusal) -> Outcome

  /// Verifies what was staged as far as it can be without programs, so that an operator learns of a bad bundle early.
  func check(_ files: [BundleFile: [UInt8]]) throws(Refusal)

  func report(_ nonce: Nonce, managementSource: String) throws(Refusal) -> Report

  /// The canonical text asked for.
  func text(_ request: TextRequest) throws(Refusal) -> [UInt8]
}
