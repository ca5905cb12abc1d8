import Audit
import Core
import Store
import Testing

@testable import Operations

struct WaiverRecordTests {
  private static let made = FleetFolder.now
  private let waiver = Waiver(
    host: HostID("h2")!, difference: Digest(of: []), words: "-", ends: Self.made + 86_400, reason: "r", actor: "a",
    made: Self.made)

  private func entry(
    _ verb: String, _ seconds: Int64, _ hosts: [String]? = ["h1", "h2"], folded: String? = nil
  ) -> AuditEntry {
    var entry = AuditEntry(
      sequence: 1, time: Self.made + seconds, phase: .began, actor: .init(user: "a", uid: 0, host: "c"), verb: verb)
    entry.hosts = hosts.map { names in
      AuditEntry.Hosts(names.map { HostID($0)! }, folded: folded ?? names.joined(separator: ","))
    }
    return entry
  }

  private func counts(_ lines: AuditEntry?..., missing: String? = nil) -> Bool {
    var record = AuditRecord()
    (record.lines, record.missing) = (lines, missing)
    return WaiverRecord(record).stillCounts(waiver)
  }

  @Test func `a waiver counts as long as nothing was done about its host after it was made`() {
    #expect(counts())
    #expect(counts(entry("drift waive", 1)))
    #expect(counts(entry("drift waive", 1), entry("apply", 5), entry("drift waive --end", 9, ["h1"])))
    #expect(counts(entry("drift waive --end", -5), entry("drift waive", 1)))
  }

  @Test func `one that was ended, replaced, or left with its host does not come back`() {
    #expect(!counts(entry("drift waive", 1), entry("drift waive --end", 9)))
    #expect(!counts(entry("drift waive --end", 0)))
    #expect(!counts(entry("drift waive", 1), entry("drift waive", 60, ["h2"])))
    #expect(!counts(entry("drift waive", 1), entry("enroll --remove", 60, ["h2"])))
  }

  @Test func `where the log does not say whose waivers were ended, it may have been this one`() {
    let own = entry("drift waive", 1)
    #expect(!counts(own, entry("drift waive --end", 9, nil)))
    #expect(!counts(own, entry("drift waive --end", 9, ["h1", "h3"], folded: "h1")))
    #expect(!counts(own, entry("drift waive --end", 9, ["h1"], folded: "h[")))
  }

  @Test func `what cannot be read may have ended it, unless it was written before`() {
    let own = entry("drift waive", 1)
    #expect(!counts(own, nil))
    #expect(!counts(own, nil, entry("apply", 5)))
    #expect(counts(nil, entry("apply", -5), own))
    #expect(!counts(own, missing: "the log before it cannot be read"))
    #expect(!WaiverRecord(nil).stillCounts(waiver))
  }
}
