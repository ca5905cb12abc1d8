import Core
import Testing
import Wire

@testable import Audit

struct WaiverTests {
  private let now = start + 1000
  private let known = Digest(of: "what differs".utf8)

  private func status(
    waived: Digest?, ends: Int64 = 5000, difference: Digest?, drifted: Bool = true, ofThisReport: Bool = true
  ) throws -> HostStatus {
    var report = makeReport(observed: PerFamily(ipv4: drifted ? "changed" : "a", ipv6: "b"))
    report.time = now
    var observation = HostObservation(lastReport: ReceivedReport(report, receivedAt: now))
    let seen = ofThisReport ? report : makeReport(observed: PerFamily(ipv4: "changed before", ipv6: "b"))
    if let difference {
      let sides = try #require(DriftSides(seen) ?? DriftSides(makeReport(observed: PerFamily(ipv4: "x", ipv6: "b"))))
      observation.difference = .init(sides: sides, exact: difference)
    }
    if let waived {
      observation.waiver = Waiver(
        host: web1, difference: waived, words: "+-A", ends: start + ends, reason: "INC\u{1b}-42", actor: "alice",
        made: start)
    }
    return StatusJudge(now: now).judge(web1, desired: desired(), observation: observation)
  }

  @Test func `exactly what was waived is waived, until its day is over`() throws {
    let waived = try status(waived: known, difference: known)
    #expect(waived.integrity == .waived && waived.concern == .waived)
    #expect(
      waived.reasons == [
        "ipv4 differs from what was committed; waived until 2026-11-21 by alice: INC\\u{1b}-42"
      ], "\(waived.reasons)")
    #expect(try status(waived: known, ends: 1001, difference: known).integrity == .waived)
    let over = try status(waived: known, ends: 1000, difference: known)
    #expect(over.integrity == .drifted && over.reasons.first?.hasSuffix("it was waived until 2026-11-21") == true)
  }

  @Test func `another difference, one that nobody looked at, and one that nobody waived are drift`() throws {
    let other = try status(waived: known, difference: Digest(of: [1]))
    #expect(other.integrity == .drifted)
    #expect(other.reasons.first?.hasSuffix("it is another difference than the one that was waived") == true)
    let unseen = try status(waived: known, difference: known, ofThisReport: false)
    #expect(unseen.integrity == .drifted && unseen.reasons.first?.contains("'portcullis drift' tells") == true)
    #expect(try status(waived: known, difference: nil).integrity == .drifted)
    #expect(try status(waived: nil, difference: known).integrity == .drifted)
  }

  @Test func `a waiver makes nothing of a host that does not differ`() throws {
    #expect(try status(waived: known, difference: known, drifted: false).integrity == .intact)
  }

  @Test func `the last day is the day before its end`() {
    func day(_ ends: String) -> String {
      Waiver(
        host: web1, difference: known, words: "", ends: UTCTime(ends)!, reason: "", actor: "", made: start
      ).lastDay
    }
    #expect(day("2027-02-01T00:00:00Z") == "2027-01-31")
    #expect(day("2028-03-01T00:00:00Z") == "2028-02-29")
  }
}
