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

  /// Verifies, rehearses, arms, journals and applies a bundle whose files arrived whole. A refusal means nothing changed.
  /// Either it ended, or it waits for `confirm`; the same transaction asked for again gets the same answer.
  func apply(
    _ files: [BundleFile: [UInt8]], transaction: TransactionID, manifest: Digest, terms: ConfirmationTerms,
    from connection: ManagementConnection
  ) throws(Refusal) -> ApplyAnswer

  /// Makes the waiting change permanent, if that is what this names and it came over another TCP connection than the
  /// apply. Repeated it gets the outcome again.
  func confirm(_ confirmation: ChangeConfirmation, from connection: ManagementConnection) throws(Refusal) -> Outcome

  /// Takes the waiting change back now. One that ended gets its outcome.
  func cancel(_ transaction: TransactionID) throws(Refusal) -> Outcome

  /// When the waiting change must be taken back, or nil when none waits.
  var confirmBy: BootTime? { get }

  /// Takes the waiting change back: its deadline passed, or the agent is to stop. Returns how that ended; nil when none
  /// waited.
  @discardableResult func expire(because why: String) -> Result<Outcome, Refusal>?

  /// Does what root on this host orders. In words what was done.
  func obey(_ order: LocalOrder) throws(Refusal) -> String

  /// Verifies a signed order, judges whether it is for this host, and does it. What waits to be confirmed is taken back by a
  /// lock. A refusal means nothing changed.
  func obey(_ delivery: OrderDelivery, from connection: ManagementConnection) throws(Refusal) -> Obeyed

  /// When `lockTick` is to be called though nothing else happens, or nil.
  var lockDue: BootTime? { get }

  /// What a lock needs as time passes.
  ///
  /// - Returns: whether the rules may be others now.
  func lockTick() -> Bool

  /// Verifies what was staged as far as it can be without programs, so that an operator learns of a bad bundle early.
  func check(_ files: [BundleFile: [UInt8]]) throws(Refusal)

  func report(_ nonce: Nonce, managementSource: String) throws(Refusal) -> Report

  /// The canonical text asked for.
  func text(_ request: TextRequest) throws(Refusal) -> [UInt8]

  /// What the committed policy, where it only observes, would have dropped.
  func observe() throws(Refusal) -> Observations

  /// The changes of the rules that were seen so far.
  var changes: ChangeLog { get }

  /// Reads the rules, because somebody may have changed them, and adds what is new to `changes`.
  ///
  /// - Parameter actors: who asked the kernel for changes since the last time.
  /// - Returns: whether the kernel announces whatever else is to be seen; where it does not, one has to look from time to
  ///   time.
  func look(for actors: [HostChange.Actor]) throws(Refusal) -> Bool

  /// A report saw something else than the last look did.
  var isBehind: Bool { get }

  /// Makes `changes` durable.
  func keepChanges() throws(Refusal)
}
