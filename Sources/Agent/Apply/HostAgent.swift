package import Core
internal import Release
internal import Ruleset
package import Wire

/// The host's state behind the protocol: verifies, rehearses, applies, goes back, reports. It owns the journal and the
/// bundles, and drives `ApplyMachine`; it runs nothing itself, but through its seams. One call at a time.
package final class HostAgent: AgentOperations {
  package var host: HostID { identity.host }
  package var fleet: FleetID { identity.fleet }

  let identity: HostIdentity
  /// `/var/lib/portcullis`
  let state: any Disk
  /// `/etc/portcullis`, only read
  let trust: any Disk
  let store: BundleStore
  let firewall: any HostFirewall
  let settings: any KernelSettings
  let facts: any HostFacts
  let clock: any WallClock
  let bootClock: any BootClock
  let deadMan: any DeadMan
  /// A change that is loaded and not confirmed.
  var waiting: WaitingChange?
  var sides = BundleSides()
  var watch = WatchMemory()
  var lastKnown = LastKnownFilters()
  /// Keys of the baseline's filters that were as they are in it at some time since this process began.
  var othersSeen: Set<String> = []
  /// By which the baseline was rehearsed, whatever came of it.
  var othersRenewalTried: FirewallPrograms?
  /// Of the plain files that this agent saw to, by name; nil inside for one that is not to be there.
  var plainDigests: [String: Digest?]?
  /// Nil for a process that only looks.
  var keptFiles: KeptFiles?
  var keptBundle: KeptBundle?
  var lockMemory = LockMemory()
  /// Nil until `recover` or `restore`.
  var journal: Journal?

  static let hostFile = "host"
  static let allowedSignersFile = "allowed_signers"

  package init(
    state: any Disk, trust: any Disk, firewall: any HostFirewall, settings: any KernelSettings, facts: any HostFacts,
    clock: any WallClock = SystemClock(), bootClock: any BootClock, deadMan: any DeadMan
  ) throws {
    self.state = state
    self.trust = trust
    store = BundleStore(on: state)
    self.firewall = firewall
    self.settings = settings
    self.facts = facts
    self.clock = clock
    self.bootClock = bootClock
    self.deadMan = deadMan
    identity = try Self.identity(from: trust)
  }

  static func identity(from trust: any Disk) throws -> HostIdentity {
    guard let bytes = try trust.read(hostFile, atMost: HostIdentity.maximumSize) else {
      throw Failure(
        "read host identity", because: Reason("there is no file \(hostFile)"), hint: "enroll the host again")
    }
    return try HostIdentity.parse(bytes, file: hostFile)
  }

  /// What the journal says; read afresh by a process that only looks.
  func ledger() throws -> Ledger {
    if let journal { return journal.ledger }
    return try Journal.read(from: state)
  }

  func append(_ record: JournalRecord) throws {
    guard journal != nil else { throw Reason("the journal is not open for writing") }
    if record.mayMoveRules { watch.hasActed = true }
    try journal?.append(record)
  }

  // MARK: - Verifying

  /// A bundle that may be installed here, with rules that can be parsed.
  ///
  /// Trust is read from disk each time: a key taken off the list counts no more from that moment on.
  func admit(_ files: [BundleFile: [UInt8]]) throws(Refusal) -> VerifiedBundle {
    let signers: AllowedSigners
    let installed: InstalledRelease?
    do {
      guard try Self.identity(from: trust) == identity else {
        throw Reason("the host's identity changed while the agent was running; restart the agent")
      }
      let file = Self.allowedSignersFile
      let bytes = try trust.read(file, atMost: AllowedSigners.maximumSize)
      guard let bytes else { throw Reason("there is no file \(file); enroll the host again") }
      signers = try AllowedSigners.parse(bytes, file: file)
      installed = try ledger().floor
    } catch {
      throw Refusal("read whom this host trusts", error)
    }
    let bundle: VerifiedBundle
    do throws(BundleProblem) {
      let unverified = try UnverifiedBundle(files: files)
      let verifier = BundleVerifier(allowedSigners: signers, fleet: fleet, host: host)
      bundle = try verifier.verify(unverified, now: clock.now(), installed: installed)
    } catch {
      throw Refusal(error)
    }
    _ = try sides.side(of: bundle)
    try BundleSides.judge(bundle.profiles)
    return bundle
  }

  package func check(_ files: [BundleFile: [UInt8]]) throws(Refusal) {
    _ = try admit(files)
  }
}
