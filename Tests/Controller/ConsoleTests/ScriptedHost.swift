import Core
import Wire

/// What a host would say, and the rules behind its digests.
struct ScriptedHost {
  private static let committed = """
    *filter
    :INPUT DROP [0:0]
    :FORWARD DROP [0:0]
    :OUTPUT ACCEPT [0:0]
    -A INPUT -i lo -j ACCEPT
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
    -A INPUT -p tcp -m tcp --dport 5432 -j ACCEPT
    COMMIT

    """

  var report: Report
  var expected = PerFamily<String> { _ in committed }
  var observed = PerFamily<String> { _ in committed }
  /// Seconds of its clock.
  var ahead: Int64 = 0

  /// Enrolled, and nothing committed yet.
  init(_ host: HostID) {
    report = Report(
      nonce: Nonce(bytes: [UInt8](repeating: 1, count: 32))!, host: host, fleet: FleetID("shop")!,
      time: UTCTime(secondsSinceEpoch: 0), bootID: "b1", agentVersion: ProductVersion.current, architecture: "x86_64",
      kernel: "6.1.0", backend: .nft, iptablesVersion: "1.8.9", committed: nil, lastFailure: nil,
      families: PerFamily { _ in
        FamilyReport(expected: nil, observed: Digest(of: []), save: Digest(of: []), chains: [])
      }, otherBackendRules: 0, conflicts: [], degraded: nil, managementSource: "192.0.2.1")
  }

  mutating func commit(_ committed: Committed) {
    report.committed = committed
    if committed.serial > Serial(11) { tellProfiles() }
    tellRules()
  }

  mutating func tellProfiles(problem: String? = nil, lock: LockReport? = nil) {
    let profiles: [(String, UInt16, String?)] = [("isolate", 30, problem), ("no-egress", 10, nil)]
    report.lockdown = LockdownReport(
      lock: lock, heard: lock?.epoch ?? .none,
      profiles: profiles.map { .init(name: ProfileName($0)!, rank: LockRank($1)!, problem: $2) }, lastLift: nil)
  }

  /// In both families, at the end.
  mutating func add(_ rule: String) { replace("COMMIT\n", rule + "\nCOMMIT\n") }

  mutating func replace(_ old: String, _ new: String) {
    observed = observed.map { $1.replacing(old, with: new) }
  }

  /// A kernel setting of IPv4 that is not what was committed.
  mutating func set(_ key: String, from old: String, to new: String) {
    func table(_ value: String) -> String { "*sysctl\n:\(key) - [0:0]\n-A \(key) \(value)\nCOMMIT\n" }
    expected.ipv4 += table(old)
    observed.ipv4 += table(new)
  }

  mutating func tellRules() {
    guard report.committed != nil else { return }
    for family in Family.allCases {
      report.families[family] = FamilyReport(
        expected: Digest(of: expected[family].utf8), observed: Digest(of: observed[family].utf8),
        save: Digest(of: observed[family].utf8),
        chains: [
          ChainDigest(table: "filter", chain: "FORWARD", digest: Digest(of: [])),
          ChainDigest(table: "filter", chain: "INPUT", digest: Digest(of: observed[family].utf8)),
        ])
    }
  }
}
