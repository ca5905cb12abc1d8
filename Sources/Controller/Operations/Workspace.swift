package import Audit
package import Core
package import Inventory
package import Policy
package import Store
package import Transport

/// One fleet as a verb sees it: its configuration, inventory, policies and memory. Nothing is read before it is asked
/// for, so that a verb fails only for what it needs.
package struct Workspace: Sendable {
  package let configuration: Configuration
  package let clock: any WallClock
  /// Hears what a person must know besides what a verb answers.
  package var told: @Sendable (String) -> Void = { _ in }
  private var files: (inventory: HostInventory, policies: PolicySet)?

  package init(configuration: Configuration, clock: any WallClock = SystemClock()) {
    self.configuration = configuration
    self.clock = clock
  }

  /// Finds and reads the configuration: the given file, else `$PORTCULLIS_CONFIG`, else ./portcullis.yaml.
  package static func open(config: String?, environment: String?, overrides: Overrides = Overrides()) throws
    -> Workspace
  {
    let path = config ?? environment ?? Configuration.fileName
    guard Files.exists(path) else {
      throw Failure(
        "read \(SafeText.escape(path))", because: Reason("there is no such file"),
        hint: config == nil ? "make one with 'portcullis init', or name one with --config" : nil)
    }
    var configuration = try Configuration.load(path)
    if !overrides.inventory.isEmpty { configuration.inventory = overrides.inventory }
    if let policies = overrides.policies { configuration.policies = policies }
    if let state = overrides.state { configuration.state = state }
    return Workspace(configuration: configuration)
  }

  /// What flags say over the file.
  package struct Overrides: Sendable {
    /// Empty: what the file says.
    package var inventory: [String]
    package var policies: String?
    package var state: String?

    package init(inventory: [String] = [], policies: String? = nil, state: String? = nil) {
      self.inventory = inventory
      self.policies = policies
      self.state = state
    }
  }

  /// The same, and what is asked of it is answered by the files as they are now: what was judged is what is sent.
  package func readingOnce() throws(Diagnostics) -> Workspace {
    var once = self
    once.files = (try inventory(), try policies())
    return once
  }

  package func inventory() throws(Diagnostics) -> HostInventory {
    if let files { return files.inventory }
    return try HostInventory.load(sources: configuration.inventory, running: InventoryProgramRunner().programs)
  }

  package func policies(toleratingLock: Bool = false) throws(Diagnostics) -> PolicySet {
    if let files { return files.policies }
    return try PolicySet.load(directory: configuration.policies, toleratingLock: toleratingLock)
  }

  package var storePath: String { configuration.state + "/fleet.sqlite" }

  /// Makes the store if there is none, and in place of a damaged one.
  package func store() throws -> FleetStore {
    try Files.makeDirectory(configuration.state, mode: 0o700)
    let opened = try FleetStore.replacingDamaged(
      path: storePath, fleet: configuration.fleet, at: clock.now(),
      keeping: { waiver in
        // A log that cannot be read says nothing for it.
        (try? audit.entries()).map { WaiverRecord($0).stillCounts(waiver) } ?? false
      },
      hadContent: { hadHosts })
    if let kept = opened.setAside { try tell(setAside: kept) }
    return opened.store
  }

  /// What is left to believe is the audit log, if its chain holds.
  private func tell(setAside: FleetStore.SetAside) throws {
    let words =
      setAside.path.map { "the store was damaged: it is kept as \(SafeText.escape($0)), and a new one was begun" }
      ?? "the store is missing or empty, although the audit log tells of hosts: a new one was begun"
    told("warning: \(words)")
    told("warning: \(setAside.waivers.words)")
    let verification = try audit.verify()
    told(
      verification.isIntact
        ? "the audit log holds: \(verification.lines) entries, each following from the one before"
        : "warning: the audit log does not hold; 'portcullis audit verify' tells where")
    try note("store", "\(words); \(setAside.waivers.words)")
    told(
      "releases of before cannot be gone back to; 'portcullis status --refresh' asks every host of the inventory what it "
        + "runs, and 'portcullis enroll' learns again where each is managed from; changes that wait for 'portcullis confirm' go "
        + "back by themselves")
  }

  /// A release or an enrolment leaves a store behind, whatever became of it since.
  private var hadHosts: Bool {
    // A log that cannot be read says nothing.
    ((try? audit.entries()) ?? []).contains { entry in
      entry.release != nil || entry.phase == .ended && entry.verb == "enroll" && entry.exitCode != nil
    }
  }

  /// Nil when there is none yet: for verbs that must not write.
  package func existingStore() throws -> FleetStore? {
    if FleetStore.isVoid(storePath), hadHosts {
      throw Failure(
        "open the store (\(SafeText.escape(storePath)))",
        because: Reason("it is missing or empty, although the audit log tells of hosts"),
        hint: "put back a backup, or run 'portcullis status --refresh', which begins a new one and asks the hosts")
    }
    return Files.exists(storePath) ? try FleetStore(path: storePath, fleet: configuration.fleet) : nil
  }

  package func connector() throws -> any HostConnector {
    let path = configuration.login.knownHosts
    guard Files.exists(path) else {
      throw Failure(
        "read \(SafeText.escape(path))", because: Reason("there is no such file"),
        hint: "host keys are never trusted on first sight: put them there, for example from 'ssh-keyscan HOST' after "
          + "comparing the fingerprints")
    }
    return try LibSSHConnector(knownHosts: KnownHosts.parse(try Files.read(path), file: path))
  }

  package func judge() -> StatusJudge { StatusJudge(now: clock.now(), staleAfter: configuration.staleAfter) }
}
