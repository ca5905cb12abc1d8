package import Audit
package import Core
package import Inventory
package import Policy
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
