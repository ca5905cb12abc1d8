import AgentTestSupport
import Apply
import Core
import Ruleset
import TestSupport
import Wire

/// A host in memory: its disks, its kernel, its clock, and whatever agent process runs on it.
final class FakeHost {
  final class Facts: HostFacts {
    var bootID = "8c5f1f0a-0000-4000-8000-000000000000"
    var started = BootTime(nanoseconds: 0)
    let architecture = "x86_64"
    let kernel = "6.1.0"
    let conflicts: [String] = []
    var sshPorts: [UInt16] = [22]
    var listeningSSHPorts: [UInt16] = [22]
    let leases = PerFamily(ipv4: true, ipv6: false)
    var listening: ListeningReport? = ListeningReport([.init(.tcp, [0, 0, 0, 0], port: 22)!])
    /// Below the root.
    var files: [String: [UInt8]] = [:]
    func digest(ofFile path: String) -> Digest? { files[path].map { Digest(of: $0) } }
    var dropIns: [String] { files.keys.filter { $0.contains(".d/") } }
    /// By source.
    var tunnels: [String: TunnelLink] = [:]
    func tunnel(towards source: String) -> TunnelLink? { tunnels[source] }
    /// Of peers to sshd's port.
    var connections: Result<Set<ConnectionEnds>, Reason> = .success([])
    func connections(to ports: Set<UInt16>) throws -> Set<ConnectionEnds> {
      try connections.get().filter { ports.contains($0.destinationPort) }
    }
  }

  final class Boot: BootClock {
    var time = BootTime(nanoseconds: 1_000_000_000_000)
    /// So much of that time the machine slept.
    var asleep = Duration.zero
    func now() -> BootTime { time }
    func running() -> RunningTime {
      RunningTime(nanoseconds: time.nanoseconds - UInt64(asleep / .nanoseconds(1)))
    }
    private(set) var sleeps: [Duration] = []
    func sleep(for duration: Duration) {
      sleeps.append(duration)
      time = time + duration
    }
  }

  /// Someone who promises; like a process of its own, he is there even when the agent is gone.
  final class Promise: DeadMan {
    let faults: Faults
    private(set) var armed: (transaction: TransactionID, deadline: BootTime)?
    init(faults: Faults) { self.faults = faults }

    func arm(_ transaction: TransactionID, until deadline: BootTime) throws {
      guard faults.verdict("arm") == .proceed else { throw Reason("nobody promises") }
      armed = (transaction, deadline)
    }

    func disarm() { if !faults.isDead { armed = nil } }
  }

  let faults = Faults()
  let facts = Facts()
  let boot = Boot()
  let promise: Promise
  let disk: MemoryDisk
  let trust: MemoryDisk
  let firewall: FakeFirewall
  let settings: FakeSettings
  let clock = SettableClock(SignedBundles.now)

  init() throws {
    promise = Promise(faults: faults)
    disk = MemoryDisk(faults: faults)
    trust = MemoryDisk(faults: Faults())
    firewall = FakeFirewall(faults: faults)
    settings = FakeSettings(faults: faults)
    try trust.create("host", SignedBundles.hostFile)
    try trust.create("allowed_signers", SignedBundles.allowedSigners)
  }

  /// A new agent process; it knows only what is on disk.
  func agent() throws -> HostAgent {
    try HostAgent(
      state: disk, trust: trust, firewall: firewall, settings: settings, facts: facts, clock: clock, bootClock: boot,
      deadMan: promise)
  }

  func recoveredAgent() throws -> HostAgent {
    let agent = try agent()
    try agent.recover()
    return agent
  }

  /// Some time passes; nobody waits for it.
  func pass(_ duration: Duration) { boot.time = boot.time + duration }

  func sleep(_ duration: Duration) {
    pass(duration)
    boot.asleep += duration
  }

  /// The next connection comes from another one; at random it would once in a while be the same.
  fileprivate var nextPort: UInt16 = 40000

  static func ends(_ port: UInt16) -> ConnectionEnds {
    ConnectionEnds(source: "192.0.2.7", sourcePort: port, destination: "192.0.2.1", destinationPort: 22)
  }

  /// A new TCP connection from where the managers are.
  func connection(port: UInt16? = nil) -> ManagementConnection {
    nextPort = nextPort == .max ? 1024 : nextPort + 1
    pass(.milliseconds(1))
    return ManagementConnection(ends: Self.ends(port ?? nextPort), opened: boot.now())
  }

  /// The machine starts anew: the kernel is empty, the boot clock begins again, what was not synced is gone.
  func cutPower() {
    disk.cutPower()
    firewall.kernel = .init(ipv4: [:], ipv6: [:])
    firewall.sets.all = [:]
    settings.reset()
    boot.time = BootTime(nanoseconds: 5_000_000_000)
    boot.asleep = .zero
    facts.bootID = "8c5f1f0a-0000-4000-8000-\(String(UInt64.random(in: 1 << 44 ..< 1 << 48), radix: 16))"
  }

  /// Applies and, over another connection, confirms.
  @discardableResult
  func apply(
    _ agent: HostAgent, _ bundle: Result<Samples.Bundle, any Error>, _ transaction: TransactionID = .random()
  ) throws -> Outcome {
    let bundle = try bundle.get()
    let answer = try agent.apply(
      bundle.files, transaction: transaction, manifest: bundle.manifest, terms: .standard, from: connection())
    switch answer {
    case .outcome(let outcome): return outcome
    case .applied(let change):
      return try agent.confirm(
        ChangeConfirmation(transaction: transaction, manifest: bundle.manifest, nonce: change.nonce),
        from: connection())
    }
  }

  var canonical: PerFamily<String> { PerFamily { firewall.canonical($0) } }

  func ledger() throws -> Ledger { try Journal.read(from: disk) }
}

/// A host as it is between two calls of its agent, to begin many tests with.
struct HostImage: Sendable {
  fileprivate let disk: MemoryDisk.Image
  fileprivate let trust: MemoryDisk.Image
  fileprivate let backend: Backend
  fileprivate let kernel: FakeFirewall.Kernel
  fileprivate let sets: FakeSets
  fileprivate let settings: [String: Int]
  fileprivate let ownSettings: Set<String>
  fileprivate let time: BootTime
  fileprivate let nextPort: UInt16
}

extension FakeHost {
  func image() -> HostImage {
    HostImage(
      disk: disk.image(), trust: trust.image(), backend: firewall.backend, kernel: firewall.kernel,
      sets: firewall.sets, settings: settings.values, ownSettings: settings.own, time: boot.time,
      nextPort: nextPort)
  }

  convenience init(_ image: HostImage) throws {
    try self.init()
    disk.load(image.disk)
    trust.load(image.trust)
    firewall.backend = image.backend
    firewall.kernel = image.kernel
    firewall.sets = image.sets
    settings.values = image.settings
    settings.own = image.ownSettings
    boot.time = image.time
    nextPort = image.nextPort
  }
}

/// Two bundles that differ in both families and in their tables, signed once for all tests.
enum Samples {
  static let old4 =
    "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"
  static let old6 = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
  static let new4 = """
    *filter
    :INPUT DROP [0:0]
    :FORWARD DROP [0:0]
    -A INPUT -i lo -j ACCEPT
    -A INPUT -p tcp -m tcp --dport 443 -j ACCEPT
    COMMIT
    *nat
    :POSTROUTING ACCEPT [0:0]
    -A POSTROUTING -o eth0 -j MASQUERADE
    COMMIT

    """
  static let new6 = "*filter\n:INPUT DROP [0:0]\n:extra - [0:0]\n-A INPUT -j extra\n-A extra -i lo -j ACCEPT\nCOMMIT\n"

  typealias Bundle = (files: [BundleFile: [UInt8]], manifest: Digest)

  static let old = Result { try SignedBundles.bundle(serial: 7, ipv4: old4, ipv6: old6) }
  static let new = Result { try SignedBundles.bundle(serial: 8, ipv4: new4, ipv6: new6) }
  /// The same content as `old` under a later serial.
  static let oldAgain = Result { try SignedBundles.bundle(serial: 9, ipv4: old4, ipv6: old6) }
}
