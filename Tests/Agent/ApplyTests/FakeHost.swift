import Apply
import Core
import Wire

/// A host in memory: its disks, its kernel, its clock, and whatever agent process runs on it.
final class FakeHost {
  final class Facts: HostFacts {
    let bootID = "8c5f1f0a-0000-4000-8000-000000000000"
    let architecture = "x86_64"
    let kernel = "6.1.0"
    let conflicts: [String] = []
    let sshPorts: [UInt16] = [22]
  }

  final class Clock: WallClock, @unchecked Sendable {
    // Only ever used from the one thread of its test.
    var time = SignedBundles.now
    func now() -> UTCTime { time }
  }

  let faults = Faults()
  let disk: MemoryDisk
  let trust: MemoryDisk
  let firewall: FakeFirewall
  let clock = Clock()

  init() throws {
    disk = MemoryDisk(faults: faults)
    trust = MemoryDisk(faults: Faults())
    firewall = FakeFirewall(faults: faults)
    try trust.create("host", SignedBundles.hostFile)
    try trust.create("allowed_signers", SignedBundles.allowedSigners)
  }

  /// A new agent process; it knows only what is on disk.
  func agent() throws -> HostAgent {
    try HostAgent(state: disk, trust: trust, firewall: firewall, facts: Facts(), clock: clock)
  }

  func recoveredAgent() throws -> HostAgent {
    let agent = try agent()
    try agent.recover()
    return agent
  }

  var canonical: PerFamily<String> { PerFamily { firewall.canonical($0) } }

  func ledger() throws -> Ledger { try Journal.read(from: disk) }
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

extension HostAgent {
  @discardableResult
  func apply(_ bundle: Result<Samples.Bundle, any Error>, _ transaction: TransactionID = .random()) throws -> Outcome {
    let bundle = try bundle.get()
    return try apply(bundle.files, transaction: transaction, manifest: bundle.manifest)
  }
}
