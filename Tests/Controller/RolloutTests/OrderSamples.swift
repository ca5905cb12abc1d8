import Core
import Rollout
import Wire

/// An order and what a host says of it.
enum OrderSample {
  static let host = HostID("web1")!
  static let fleet = FleetID("example")!
  static let isolate = ProfileName("isolate")!
  static let digest = Digest(of: Array("order 7".utf8))
  static let arriveBy = UTCTime("2026-11-22T03:11:09Z")!
  static let hello = AgentHello(version: ProtocolVersion.current, agentVersion: "0.1.0", host: host, fleet: fleet)

  static func target(_ deed: OrderTarget.Deed = .lock(isolate), isMeant: Bool = true) -> OrderTarget {
    OrderTarget(
      host: host, fleet: fleet, epoch: Epoch(7), order: digest, deed: deed, arriveBy: arriveBy, isMeant: isMeant)
  }

  static func lock(
    epoch: UInt64 = 7, order: Digest = digest, profile: ProfileName = isolate, phase: LockReport.Phase = .locked,
    differing: String? = nil, uncut: String? = nil
  ) -> LockReport {
    LockReport(
      epoch: Epoch(epoch), order: order, profile: profile, rank: LockRank(30)!, principals: ["anna@example.net"],
      reason: "-", phase: phase, since: UTCTime("2026-11-22T02:11:10Z")!, secondsLeft: nil, serial: Serial(11),
      differences: PerFamily(ipv4: nil, ipv6: differing), uncut: uncut)
  }

  static func obeyed(_ result: Obeyed.Result, _ lock: LockReport? = nil, epoch: UInt64 = 7) -> Obeyed {
    Obeyed(epoch: Epoch(epoch), result: result, lock: lock)
  }
}
