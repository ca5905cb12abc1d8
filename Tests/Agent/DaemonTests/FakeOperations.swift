import Apply
import Core
import Foundation
import Synchronization
import Wire

/// A host in memory. It counts what it is asked, can be made to refuse or fail, and an apply or a report can be held up
/// until the test lets it go on.
final class FakeOperations: AgentOperations, Sendable {
  struct State {
    var log: [String] = []
    var checkRefusal: Refusal?
    var recoverError: Reason?
    var text: [UInt8] = []
    var chains = 0
  }

  let host = HostID("h001")!
  let fleet = FleetID("lab")!
  let state = Mutex(State())
  /// An apply says that it began, then waits for leave to go on, when `holdsApply`.
  let applyBegan = DispatchSemaphore(value: 0)
  let applyMayEnd = DispatchSemaphore(value: 0)
  let holdsApply: Bool

  init(holdsApply: Bool = false) { self.holdsApply = holdsApply }

  var log: [String] { state.withLock { $0.log } }
  private func note(_ what: String) { state.withLock { $0.log.append(what) } }

  func recover() throws {
    note("recover")
    if let error = state.withLock({ $0.recoverError }) { throw error }
  }

  func check(_ files: [BundleFile: [UInt8]]) throws(Refusal) {
    note("check \(files.values.reduce(0) { $0 + $1.count })")
    if let refusal = state.withLock({ $0.checkRefusal }) { throw refusal }
  }

  func apply(
    _ files: [BundleFile: [UInt8]], transaction: TransactionID, manifest: Digest
  ) throws(Refusal) -> Outcome {
    note("apply begins")
    if holdsApply {
      applyBegan.signal()
      applyMayEnd.wait()
    }
    note("apply ends")
    return Outcome(
      transaction: transaction, result: .committed, serial: Serial(1), manifest: manifest, detail: "")
  }

  func report(_ nonce: Nonce, managementSource: String) throws(Refusal) -> Report {
    note("report for \(managementSource)")
    let digest = Digest(of: [])
    let chains = (0..<state.withLock { $0.chains }).map {
      ChainDigest(table: "filter", chain: "chain-\($0)", digest: digest)
    }
    return Report(
      nonce: nonce, host: host, fleet: fleet, time: UTCTime(secondsSinceEpoch: 0), bootID: "b", agentVersion: "t",
      architecture: "a", kernel: "k", backend: .nft, iptablesVersion: "1", committed: nil, lastFailure: nil,
      families: PerFamily { _ in FamilyReport(expected: nil, observed: digest, save: digest, chains: chains) },
      otherBackendRules: 0, conflicts: [], degraded: false, managementSource: managementSource)
  }

  func text(_ request: TextRequest) throws(Refusal) -> [UInt8] {
    note("text")
    return state.withLock { $0.text }
  }
}
