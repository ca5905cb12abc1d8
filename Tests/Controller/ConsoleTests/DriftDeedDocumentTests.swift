import Audit
import Core
import Rollout
import Store
import Testing

@testable import Console
@testable import Operations

/// What a repair and a waiver say that they did not do.
struct DriftDeedDocumentTests {
  private static let now = UTCTime(secondsSinceEpoch: 1_700_000_000)

  @Test func `what a repair could not put back is named by its sides, with what helps`() {
    let outcome = DriftRepair.Outcome(
      differing: [
        .init(host: HostID("h1")!, sides: [.running]), .init(host: HostID("h4")!, sides: [.disk]),
        .init(host: HostID("h5")!, sides: []),
      ], silent: [HostID("h3")!])
    let applied = Applying.Applied(
      release: nil, hosts: [], tally: RunTally(), awaiting: [], withdrawn: [], leftOut: [], unreachable: nil)
    let text = ApplyDocument(applied, left: outcome).text(TextStyle())
    #expect(text.contains("still drifted (running rules): h1\n  hint: somebody changes the running rules back"))
    #expect(text.contains("still drifted (on disk): h4\n  hint: a repair writes our rules only"))
    #expect(text.contains("still drifted: h5\n  hint: portcullis drift -l 'h5'"))
    #expect(text.hasSuffix("did not say how they stand now: h3\n"))
  }

  @Test(arguments: [([], 0), (["h2"], 2)] as [([String], Int32)])
  func `a host that may differ and got no waiver is a finding`(
    leftOut: [String], code: Int32
  ) {
    let waiver = Waiver(
      host: HostID("h1")!, difference: Digest(of: []), words: "", ends: Self.now + 9, reason: "INC-1", actor: "alice",
      made: Self.now)
    let waived = Waiving.Waived(
      waivers: [waiver], leftOut: Dictionary(uniqueKeysWithValues: leftOut.map { (HostID($0)!, "not enrolled") }),
      intact: [HostID("h4")!], unreachable: [])
    #expect(WaiveDocument(waived, now: Self.now).exitCode == code)
  }
}
