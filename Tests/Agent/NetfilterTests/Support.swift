import AgentTestSupport
import Apply
import CLinux
import Core
import Glibc
import Ruleset
import Wire

@testable import Netfilter

/// Real namespaces need root. Where there is none these tests are skipped, and say so.
let isRoot = geteuid() == 0

/// Runs the body on a thread of its own in an empty network namespace and a private mount namespace, which are gone
/// afterwards with all that was loaded and mounted in them. Programs that the body runs are in there too.
func inNamespace<Value>(_ body: @escaping () throws -> Value) throws -> Value {
  var value: Value?
  let box = ThreadBody {
    // CLONE_NEWNET and CLONE_NEWNS (clone(2)).
    guard clinux_unshare(0x4000_0000 | 0x0002_0000) == 0 else { throw SystemCallError.last("unshare", "") }
    _ = try SignedBundles.run("/usr/bin/mount", ["--make-rprivate", "/"])
    value = try body()
  }
  var thread = pthread_t()
  let status = pthread_create(
    &thread, nil,
    { argument in
      let box = Unmanaged<ThreadBody>.fromOpaque(argument!).takeUnretainedValue()
      do { try box.body() } catch { box.problem = error }
      return nil
    }, Unmanaged.passUnretained(box).toOpaque())
  guard status == 0 else { throw SystemCallError.of("pthread_create", "", errno: status) }
  pthread_join(thread, nil)
  if let problem = box.problem { throw problem }
  return value!
}

private final class ThreadBody {
  let body: () throws -> Void
  var problem: (any Error)?
  init(_ body: @escaping () throws -> Void) { self.body = body }
}

/// The real rehearsal, in a thread's namespace instead of a child's.
func rehearseInThread(_ request: RehearsalRequest) throws(FirewallProblem) -> Rehearsed {
  let answer = try? inNamespace { request.perform() }
  switch answer {
  case .rehearsed(let rehearsed): return rehearsed
  case .failed(let problem): throw problem
  case nil: throw FirewallProblem(.unavailable, program: "unshare", family: nil, words: "no namespace")
  }
}

/// A host whose disk is a temporary directory and whose kernel is the namespace that the test runs in.
final class RealHost {
  let root: String
  private(set) var backend: Backend
  let programs: String

  init(_ root: String, _ backend: Backend) throws {
    self.root = root
    self.backend = backend
    programs = "\(root)/sbin"
    for path in ["\(root)/sbin", "\(root)/etc/portcullis", "\(root)/state"] { try LinuxDisk.makePath(path) }
    try use(programsIn: "/usr/sbin")
    let trust = try LinuxDisk("\(root)/etc/portcullis")
    try trust.create("host", SignedBundles.hostFile)
    try trust.create("allowed_signers", SignedBundles.allowedSigners)
  }

  /// From now on its own programs are those of the other backend, and those it had have its names.
  func switchBackend() throws {
    backend = backend.other
    try use(programsIn: "/usr/sbin")
  }

  /// From now on these are the host's, as after an upgrade.
  func use(programsIn directory: String) throws {
    let links = try LinuxDisk(programs)
    for name in try links.list(".") { try links.remove(name) }
    for (own, other) in [("nft", "legacy"), ("legacy", "nft")] where own == backend.name {
      for family in ["iptables", "ip6tables"] {
        for suffix in ["", "-restore", "-save"] {
          try links.link(family + suffix, to: "\(directory)/xtables-\(own)-multi")
        }
        for suffix in ["-restore", "-save"] {
          try links.link("\(family)-\(other)\(suffix)", to: "\(directory)/xtables-\(other)-multi")
        }
      }
    }
    try links.link("ipset", to: "\(directory)/ipset")
  }

  func firewall(lock: AgentLock? = nil) -> LinuxFirewall {
    LinuxFirewall(
      directories: [programs], lock: lock, rehearsalLockFile: "\(root)/rehearsal.lock", rehearse: rehearseInThread)
  }

  func agent(_ decorate: (LinuxFirewall) -> any HostFirewall = { $0 }) throws -> HostAgent {
    let agent = try HostAgent(
      state: LinuxDisk("\(root)/state"), trust: LinuxDisk("\(root)/etc/portcullis"), firewall: decorate(firewall()),
      settings: LinuxSettings(),
      facts: LinuxFacts(root: root), clock: FixedClock(), bootClock: LinuxBootClock(), deadMan: NoDeadMan())
    try agent.recover()
    return agent
  }

  func run(_ program: String, _ arguments: String...) throws -> String {
    String(decoding: try SignedBundles.run("\(programs)/\(program)", arguments), as: UTF8.self)
  }

  struct FixedClock: WallClock {
    func now() -> UTCTime { SignedBundles.now }
  }
}

func onRealHost<Value>(_ backend: Backend, _ body: @escaping (RealHost) throws -> Value) throws -> Value {
  try inNamespace { try withTemporaryDirectory { try body(RealHost($0, backend)) } }
}

extension HostAgent {
  @discardableResult
  func apply(
    _ serial: UInt64, _ ipv4: String, _ ipv6: String, _ transaction: TransactionID = .random()
  ) throws -> Outcome {
    let bundle = try SignedBundles.bundle(serial: serial, ipv4: ipv4, ipv6: ipv6)
    return try applyAndConfirm(bundle.files, transaction, bundle.manifest)
  }

  /// Confirmed over another connection, where that is asked for.
  func applyAndConfirm(
    _ files: [BundleFile: [UInt8]], _ transaction: TransactionID, _ manifest: Digest
  ) throws -> Outcome {
    func connection(_ port: UInt16) -> ManagementConnection {
      ManagementConnection(
        ends: ConnectionEnds(
          source: "192.0.2.7", sourcePort: port, destination: "192.0.2.1", destinationPort: 22),
        opened: LinuxBootClock().now())
    }
    let answer = try apply(
      files, transaction: transaction, manifest: manifest, terms: .standard, from: connection(40001))
    switch answer {
    case .outcome(let outcome): return outcome
    case .applied(let change):
      return try confirm(
        ChangeConfirmation(transaction: transaction, manifest: manifest, nonce: change.nonce),
        from: connection(40002))
    }
  }
}

/// The real firewall, with a fault or a stopwatch in front of it.
final class TamperedFirewall: HostFirewall {
  let real: LinuxFirewall
  /// Loads of this family get a line that no program takes, while the input holds these words.
  var poison: (family: Family, words: String)?
  private(set) var loaded: [(family: Family, at: ContinuousClock.Instant)] = []

  init(_ real: LinuxFirewall, poison: (family: Family, words: String)? = nil) {
    self.real = real
    self.poison = poison
  }

  func programs() throws(FirewallProblem) -> FirewallPrograms { try real.programs() }
  func rehearse(_ rehearsal: Rehearsal) throws(FirewallProblem) -> Rehearsed { try real.rehearse(rehearsal) }
  func save(_ family: Family, table: String?) throws(FirewallProblem) -> [UInt8] { try real.save(family, table: table) }
  func saveOtherBackend(_ family: Family) throws(FirewallProblem) -> [UInt8]? { try real.saveOtherBackend(family) }
  func loadOtherBackend(
    _ text: RestoreText, into family: Family, within limit: Duration
  ) throws(FirewallProblem) {
    try real.loadOtherBackend(text, into: family, within: limit)
  }

  func unprintedTables(_ family: Family) throws(FirewallProblem) -> [String] { try real.unprintedTables(family) }
  func nftables(sets scope: SetScope) throws(FirewallProblem) -> NftablesState? { try real.nftables(sets: scope) }
  func setNames(within limit: Duration) throws(FirewallProblem) -> [String] { try real.setNames(within: limit) }
  func saveSet(_ name: String, within limit: Duration) throws(FirewallProblem) -> [UInt8] {
    try real.saveSet(name, within: limit)
  }
  func setLists(within limit: Duration) throws(FirewallProblem) -> [String: [String]] {
    try real.setLists(within: limit)
  }
  func changeSets(_ text: [UInt8], within limit: Duration) throws(FirewallProblem) {
    try real.changeSets(text, within: limit)
  }

  func cutFlows(sparing patterns: [FlowPattern], within limit: Duration) throws(FirewallProblem) -> Int {
    try real.cutFlows(sparing: patterns, within: limit)
  }

  func listFlows(within limit: Duration) throws(FirewallProblem) { try real.listFlows(within: limit) }

  func load(_ text: RestoreText, into family: Family, within limit: Duration) throws(FirewallProblem) {
    var text = text
    if let poison, poison.family == family, text.bytes.firstRange(of: Array(poison.words.utf8)) != nil {
      // After the first table, so that the family is left half changed.
      text.bytes += Array("*filter\n-A NOWHERE -j NOTHING\nCOMMIT\n".utf8)
    }
    try real.load(text, into: family, within: limit)
    loaded.append((family, ContinuousClock.now))
  }
}

extension PerFamily<RestoreText> {
  init(_ ipv4: String, _ ipv6: String, keepsOthers: Bool = false) {
    self.init(
      ipv4: RestoreText(Array(ipv4.utf8), keepsOthers: keepsOthers),
      ipv6: RestoreText(Array(ipv6.utf8), keepsOthers: keepsOthers))
  }
}
