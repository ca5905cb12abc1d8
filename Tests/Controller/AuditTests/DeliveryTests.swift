import Core
import Testing
import Wire

@testable import Audit

/// Every combination of what can be known, against what must follow from it.
struct DeliveryTests {
  struct Case {
    var desired: DesiredHost?
    var report: ReceivedReport?
    var attempt: DeliveryAttempt?
    var observation: HostObservation { HostObservation(lastReport: report, lastAttempt: attempt) }
    var delivery: Delivery { StatusJudge.delivery(desired: desired, observation: observation).state }
    var shows: Bool { report?.report.committed?.content == wanted }
    /// The attempt, if it is for what is wanted.
    var relevant: DeliveryAttempt? { attempt.flatMap { $0.content == wanted ? $0 : nil } }
    var attemptIsLater: Bool { report.map { attempt!.at > $0.receivedAt } ?? true }
    var attemptIsEarlier: Bool { report.map { attempt!.at < $0.receivedAt } ?? false }
  }

  static let all: [Case] = {
    let failures: [LastFailure?] =
      [nil]
      + [7, 8].flatMap { serial in
        [Outcome.Result.committed, .unchanged, .reverted, .failed].map {
          LastFailure(serial: Serial(serial), result: $0, detail: "no")
        }
      }
    let states: [Committed?] = [nil, committed(wanted), committed(other)]
    let reports: [ReceivedReport?] =
      [nil]
      + states.flatMap { state in
        failures.map {
          ReceivedReport(makeReport(committed: state, lastFailure: $0), receivedAt: start + 100)
        }
      }
    let attempts: [DeliveryAttempt?] =
      [nil]
      + DeliveryAttempt.Result.allCases.flatMap { result in
        [wanted, other].flatMap { content in
          [99, 100, 101].map { attempt(result, content, at: $0) }
        }
      }
    return [desired(), desired(serial: 0), nil].flatMap { desired in
      reports.flatMap { report in attempts.map { Case(desired: desired, report: report, attempt: $0) } }
    }
  }()

  @Test func `every combination was tried`() {
    #expect(Self.all.count == 3 * (1 + 3 * 9) * (1 + 5 * 2 * 3))
  }

  @Test func `current needs a report that shows the content or a later commit of it`() {
    for known in Self.all where known.delivery == .current {
      #expect(known.desired != nil)
      #expect(known.shows || (known.relevant?.result == .committed && known.attemptIsLater))
    }
  }

  @Test func `a report that shows the content is current unless a bad attempt is as new`() {
    for known in Self.all where known.desired != nil && known.shows {
      let bad = [.failed, .reverted, .unknown].contains(known.relevant?.result) && !known.attemptIsEarlier
      #expect((known.delivery == .current) == !bad)
    }
  }

  @Test func `a failure stands until a report shows the content`() {
    for known in Self.all where known.desired != nil {
      guard let attempt = known.relevant, !known.shows else { continue }
      if attempt.result == .failed { #expect(known.delivery == .failed) }
      if attempt.result == .reverted { #expect(known.delivery == .reverted) }
    }
  }

  @Test func `a lost answer is unknown until the host has been heard since`() {
    for known in Self.all where known.desired != nil && known.relevant?.result == .unknown {
      #expect((known.delivery == .unknown) == !known.attemptIsEarlier)
    }
    for known in Self.all where known.delivery == .unknown { #expect(known.relevant?.result == .unknown) }
  }

  @Test func `an attempt for other content counts for nothing`() {
    for known in Self.all where known.attempt != nil && known.relevant == nil {
      var without = known
      without.attempt = nil
      #expect(known.delivery == without.delivery)
    }
  }

  @Test func `the host's own word on this very release counts when we have none`() {
    for known in Self.all where known.desired?.serial == Serial(8) && known.relevant == nil && !known.shows {
      guard let failure = known.report?.report.lastFailure, failure.serial == Serial(8) else { continue }
      switch failure.result {
      case .reverted: #expect(known.delivery == .reverted)
      case .failed: #expect(known.delivery == .failed)
      case .committed, .unchanged: #expect(known.delivery == .pending)
      }
    }
    for known in Self.all where known.desired?.serial == Serial.none && known.relevant == nil && !known.shows {
      #expect(known.delivery == .pending)
    }
  }

  @Test func `without a release nothing is more than pending, and every state but current says why`() {
    for known in Self.all {
      if known.desired == nil { #expect(known.delivery == .pending) }
      let judged = StatusJudge.delivery(desired: known.desired, observation: known.observation)
      #expect((judged.reason == nil) == (judged.state == .current))
    }
  }

  @Test func `a new release that says the same leaves the host current`() {
    let known = HostObservation(
      lastReport: ReceivedReport(makeReport(committed: committed(wanted, serial: 3)), receivedAt: start))
    #expect(StatusJudge.delivery(desired: desired(serial: 900), observation: known).state == .current)
  }
}
