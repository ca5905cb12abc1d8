import Core
import Wire

@testable import Audit

let wanted = Digest(of: "wanted".utf8)
let other = Digest(of: "other".utf8)
let web1 = HostID("web1")!
let start = UTCTime("2026-11-21T00:00:00Z")!

func committed(_ content: Digest, serial: UInt64 = 7) -> Committed {
  Committed(serial: Serial(serial), manifest: Digest(of: content.bytes + [1]), content: content, at: start)
}

func makeReport(
  _ host: HostID = web1, committed: Committed? = committed(wanted), lastFailure: LastFailure? = nil,
  expected: PerFamily<String?> = PerFamily(ipv4: "a", ipv6: "b"),
  observed: PerFamily<String> = PerFamily(ipv4: "a", ipv6: "b"), degraded: String? = nil, conflicts: [String] = [],
  pending: PendingChange? = nil, localAct: LocalAct? = nil, owners: [ForeignOwner] = []
) -> Report {
  Report(
    nonce: Nonce(bytes: [UInt8](repeating: 1, count: 32))!, host: host, fleet: FleetID("lab")!, time: start,
    bootID: "boot", agentVersion: "0.1.0", architecture: "x86_64", kernel: "6.1", backend: .nft,
    iptablesVersion: "1.8.9", committed: committed, lastFailure: lastFailure, pending: pending,
    localAct: localAct,
    families: PerFamily { family in
      FamilyReport(
        expected: expected[family].map { Digest(of: $0.utf8) }, observed: Digest(of: observed[family].utf8),
        save: Digest(of: "save".utf8), chains: [])
    }, owners: owners, otherBackendRules: 0, conflicts: conflicts, degraded: degraded, managementSource: "192.0.2.1")
}

func desired(_ content: Digest = wanted, serial: UInt64 = 8) -> DesiredHost {
  DesiredHost(host: web1, content: content, serial: Serial(serial))
}

func attempt(_ result: DeliveryAttempt.Result, _ content: Digest = wanted, at seconds: Int64) -> DeliveryAttempt {
  DeliveryAttempt(content: content, serial: Serial(8), result: result, detail: "why", at: start + seconds)
}
