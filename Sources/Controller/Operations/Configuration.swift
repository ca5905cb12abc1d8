package import Core
internal import Inventory
internal import Release

/// `portcullis.yaml`: which fleet, where its files are, and how its hosts are reached. Relative paths are relative to
/// the file.
package struct Configuration: Sendable {
  /// Of the file itself.
  package var path: String
  package var fleet: FleetID
  /// Files, folders, programs and lists of hosts, later ones over earlier ones.
  package var inventory: [String]
  package var policies: String
  package var state: String
  package var keys: SigningKeys
  package var login: Login
  /// Numeric addresses that hosts may also be managed from: standbys.
  package var controllers: [String]
  /// How long after its issue a release may still be installed, in seconds.
  package var releaseValidity: Int64
  /// Reports older than this many seconds are `stale`.
  package var staleAfter: Int64
  package var retention: Retention
  /// A folder with the agent's executables, `portcullis-agent-ARCH` or `portcullis-agent`; nil: beside `portcullis`.
  package var agents: String?
  /// The lab this configuration belongs to: verbs then run in its controller's network namespace.
  package var lab: String?

  /// The controller's own SSH identity: it can log in as the agent's user, and speak the protocol only.
  package struct Login: Sendable {
    package var identity: String
    package var knownHosts: String
    /// For enrolment, when the inventory names no key; nil: keys of the ssh-agent.
    package var adminIdentity: String?
  }

  package static let fileName = "portcullis.yaml"
  package static let defaultValidity: Int64 = 30 * 86_400
  package static let defaultStaleAfter: Int64 = 3600

  package static func load(_ path: String) throws(Diagnostics) -> Configuration {
    let root = try StrictYAML.load(path: path)
    var problems = Problems()
    let loaded = read(root, path: path, &problems)
    try problems.throwIfAny()
    return loaded!
  }

  private static func read(_ root: YAMLNode, path: String, _ problems: inout Problems) -> Configuration? {
    let keys = [
      "fleet", "inventory", "policies", "state", "keys", "ssh", "controllers", "release", "report", "retention",
      "agents", "lab",
    ]
    guard let top = root.mapping(allowing: keys, &problems) else { return nil }
    let base = directory(of: path)
    func resolve(_ file: String) -> String { file.hasPrefix("/") || base == "." ? file : base + "/" + file }
    func file(_ node: YAMLNode?, _ fallback: String) -> String {
      resolve(node.flatMap { $0.string(&problems) } ?? fallback)
    }

    var fleet: FleetID?
    if let node = top.required("fleet", &problems), let text = node.string(&problems) {
      fleet = FleetID(text)
      if fleet == nil {
        problems.add(node.location, "a fleet's name is 1–63 letters, digits, '.', '_' or '-'")
      }
    }
    let keyNames = ["allowed_signers", "signing_key", "lockdown_key", "unlock_key", "thresholds"]
    let keyFiles = top["keys"].flatMap { $0.mapping(allowing: keyNames, &problems) }
    let people = thresholds(keyFiles?["thresholds"], &problems)
    let ssh = top["ssh"].flatMap { $0.mapping(allowing: ["identity", "known_hosts", "admin_identity"], &problems) }
    let release = top["release"].flatMap { $0.mapping(allowing: ["valid_for"], &problems) }
    let report = top["report"].flatMap { $0.mapping(allowing: ["stale_after"], &problems) }
    let validity = release?["valid_for"].flatMap { $0.duration(&problems) }
    let staleAfter = report?["stale_after"].flatMap { $0.duration(&problems) }
    var controllers: [String] = []
    for node in top["controllers"].flatMap({ $0.list(&problems) }) ?? [] {
      guard let text = node.string(&problems) else { continue }
      if let address = NumericAddress(text) {
        controllers.append(address.description)
      } else {
        problems.add(node.location, "\(quoted(text)) is not a numeric address")
      }
    }
    guard let fleet else { return nil }
    return Configuration(
      path: path, fleet: fleet,
      inventory: sources(top["inventory"], &problems).map { $0.contains(",") ? $0 : resolve($0) },
      policies: file(top["policies"], "policies"),
      state: file(top["state"], "state"),
      keys: SigningKeys(
        allowedSignersPath: file(keyFiles?["allowed_signers"], "keys/allowed_signers"),
        signingKeyPath: file(keyFiles?["signing_key"], "keys/release"),
        lockdownKeyPath: file(keyFiles?["lockdown_key"], "keys/lockdown"),
        unlockKeyPath: (keyFiles?["unlock_key"]).flatMap { $0.string(&problems) }.map(resolve),
        thresholds: people),
      login: Login(
        identity: file(ssh?["identity"], "keys/controller"), knownHosts: file(ssh?["known_hosts"], "keys/known_hosts"),
        adminIdentity: ssh?["admin_identity"].flatMap { $0.string(&problems) }.map(resolve)),
      controllers: controllers,
      releaseValidity: validity.map { $0.components.seconds } ?? defaultValidity,
      staleAfter: staleAfter.map { $0.components.seconds } ?? defaultStaleAfter,
      retention: retention(top["retention"], &problems),
      agents: top["agents"].flatMap { $0.string(&problems) }.map(resolve),
      lab: top["lab"].flatMap { $0.string(&problems) }.map(resolve))
  }

  private static func retention(_ node: YAMLNode?, _ problems: inout Problems) -> Retention {
    var retention = Retention()
    guard let map = node.flatMap({ $0.mapping(allowing: ["reports", "events", "releases"], &problems) }) else {
      return retention
    }
    if let span = map["reports"].flatMap({ $0.duration(&problems) }) { retention.reports = span.components.seconds }
    if let span = map["events"].flatMap({ $0.duration(&problems) }) { retention.events = span.components.seconds }
    if let count = map["releases"].flatMap({ $0.integer(in: 2...10_000, &problems) }) { retention.releases = count }
    return retention
  }

  private static func thresholds(_ node: YAMLNode?, _ problems: inout Problems) -> Thresholds {
    let names = [OrderKind.lockdown.rawValue, OrderKind.unlock.rawValue]
    guard let map = node.flatMap({ $0.mapping(allowing: names, &problems) }) else { return .one }
    func people(_ kind: OrderKind) -> Int {
      map[kind.rawValue].flatMap { $0.integer(in: 1...UnverifiedOrder.maximumSignatures, &problems) } ?? 1
    }
    // Both are in range, or there was a problem.
    return (try? Thresholds(lockdown: people(.lockdown), unlock: people(.unlock))) ?? .one
  }

  /// One source, or a list of them.
  private static func sources(_ node: YAMLNode?, _ problems: inout Problems) -> [String] {
    guard let node else { return ["inventory"] }
    guard case .list = node.content else { return node.string(&problems).map { [$0] } ?? [] }
    let sources = node.strings(&problems) ?? []
    if sources.isEmpty { problems.add(node.location, "the list names no inventory") }
    return sources
  }

  /// The text of a new configuration with every key at its default.
  package static func template(fleet: FleetID) -> String {
    """
    # Portcullis: one fleet. Paths are relative to this file; docs/configuration.md explains every key.
    fleet: \(fleet)
    inventory: inventory
    policies: policies
    state: state
    keys:
      allowed_signers: keys/allowed_signers   # what hosts trust
      signing_key: keys/release               # a .pub file if an ssh-agent or a token holds the key
      lockdown_key: keys/lockdown             # can only shut hosts, never open or change them
    ssh:
      identity: keys/controller               # logs in as the agent's user; can speak the protocol only
      known_hosts: keys/known_hosts           # strict: a host that is not in it is refused
    release:
      valid_for: 30d
    report:
      stale_after: 1h

    """
  }
}
