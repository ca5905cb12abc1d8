package import Audit
package import Core
package import Transport
package import Wire

/// Asks hosts how they are. Many at a time, each with its own deadline, none delaying another.
package struct Sweep: Sendable {
  let connector: any HostConnector
  let limits: ContactLimits

  package init(connector: any HostConnector, limits: ContactLimits) {
    self.connector = connector
    self.limits = limits
  }

  package struct Answer: Sendable {
    package let report: Report
    /// The canonical texts of the families that differ from what was committed, when they were asked for.
    package let texts: PerFamily<Sides?>
    /// What differs, when it was to be compared; nil when the report shows no difference.
    package let drift: HostDrift?
    /// The same for the store, when it was worked out from texts that are those the report speaks of.
    package let difference: KnownDifference?
    /// Changes that its agent remembers, and after which one it was asked; nil when it was not, or does not know.
    package var changes: (after: UInt64, told: Changes)?
  }

  /// What to make of hosts whose reports show a difference.
  package enum Differences: Sendable {
    case ignored
    /// Hand both texts over.
    case texts
    /// Compare them at once and let them go, so that the texts of many hosts are never in memory together. What is
    /// known of the very digests that a host reports is not asked for again.
    case compared(KnownDifferences)
  }

  /// In bytes. A longer text is not asked for again and not compared: working out the difference would take longer than
  /// anybody waits, and the host that served it may mean harm. Forty thousand rules fit.
  package static let comparedLimit = 4 << 20

  package struct Sides: Sendable, Hashable {
    package let expected: [UInt8]
    package let observed: [UInt8]

    /// Too long to compare.
    var isTooLong: Bool { max(expected.count, observed.count) > Sweep.comparedLimit }
  }

  package enum Result: Sendable {
    case answered(Answer)
    case unreachable(String)
  }

  /// What one host may send, in bytes: both sides of both families in all but absurd sizes, and its report. A host that
  /// sends more is not judged by what came before.
  static let receivedBytes = 16 << 20

  /// Hands each host's answer to `finished` as it comes.
  /// - Parameter known: who changed a host is asked only where its report gives cause; of hosts that never reported not
  ///   before they differ. Nil: nobody wants to know.
  package func ask(
    _ endpoints: [(host: HostID, fleet: FleetID, endpoint: HostEndpoint)], differences: Differences,
    changes known: [HostID: KnownChanges]? = nil, finished: (HostID, Result) throws -> Void
  ) async rethrows {
    let texts = SharedTexts()
    try await FanOut.each(endpoints, parallel: limits.parallel) { item in
      let deadline = ContinuousClock.now.advanced(by: limits.timeout)
      do {
        return Result.answered(try await ask(item.host, item.fleet, item.endpoint, differences, texts, known, deadline))
      } catch {
        return Result.unreachable(ErrorChain(error).line)
      }
    } finished: { item, result in
      try finished(item.host, result)
    }
  }

  private func ask(
    _ host: HostID, _ fleet: FleetID, _ endpoint: HostEndpoint, _ differences: Differences, _ shared: SharedTexts,
    _ changes: [HostID: KnownChanges]?, _ deadline: ContinuousClock.Instant
  ) async throws -> Answer {
    var link = try await AgentLink.open(
      endpoint, over: connector, deadline: deadline, receivedBytes: Self.receivedBytes)
    do {
      var answer = try await converse(&link, host, fleet, differences, shared, isAll: changes == nil)
      if let changes {
        let known = changes[host]
        if known?.giveCause(answer.report) ?? (DriftSides(answer.report) != nil) {
          // Who it was is only more than what it is: an agent that does not say costs nothing else.
          answer.changes = try? await self.changes(&link, after: known?.last ?? 0)
        }
      }
      await link.close()
      return answer
    } catch {
      await link.close()
      throw error
    }
  }

  private func converse(
    _ link: inout AgentLink, _ host: HostID, _ fleet: FleetID, _ differences: Differences, _ shared: SharedTexts,
    isAll: Bool
  ) async throws -> Answer {
    let nonce = Nonce.random()
    try await link.askReport(nonce)
    if case .ignored = differences, isAll { try await link.sayGoodbye() }
    var report: Report?
    while report == nil {
      switch try await link.next() {
      case .hello(let hello):
        guard hello.host == host, hello.fleet == fleet else {
          throw Reason("the host that answered is \(hello.host) of fleet \(hello.fleet)")
        }
      case .report(let answer):
        guard answer.nonce == nonce, answer.host == host else { throw Reason("it answered another question") }
        report = answer
      case .refused(_, let refusal): throw Reason("it refused: \(SafeText.escape(refusal.detail))")
      case .staged, .applied, .outcome, .done, .text, .observations, .changes, .obeyed:
        throw Reason("it answered another question")
      }
    }
    guard let report else { throw Reason("it did not report") }
    switch differences {
    case .ignored:
      return Answer(report: report, texts: PerFamily(ipv4: nil, ipv6: nil), drift: nil, difference: nil)
    case .texts:
      // Before our first rules there is nothing to expect: what is there is compared with what shall be.
      let texts = try await texts(report, isBeforeUs: report.committed == nil, shared, &link)
      return Answer(
        report: report, texts: texts.map { _, sides in sides?.isTooLong == true ? nil : sides }, drift: nil,
        difference: nil)
    case .compared(let known):
      let (drift, difference) = try await compared(host, report, known, shared, &link)
      return Answer(report: report, texts: PerFamily(ipv4: nil, ipv6: nil), drift: drift, difference: difference)
    }
  }

  /// So many answers hold all that an agent remembers.
  private static let changePages = 9

  private func changes(_ link: inout AgentLink, after known: UInt64) async throws -> (UInt64, Changes)? {
    var first = known
    var all = Changes(last: known)
    for _ in 0..<Self.changePages {
      try await link.watch(after: all.last, seconds: 0)
      guard case .changes(let told) = try await link.next() else { return nil }
      if told.last < all.last, first > 0 {
        // It lost its memory, and counts anew.
        first = 0
        all = Changes(last: 0)
        continue
      }
      all.entries += told.entries
      all.omitted += told.omitted
      // An older agent says the number of what it has not written yet, and tells it later.
      if !told.entries.isEmpty || told.omitted > 0 { all.last = told.last }
      guard told.entries.count == WireLimit.changes else { break }
    }
    return (first, all)
  }

  private func compared(
    _ host: HostID, _ report: Report, _ known: KnownDifferences, _ shared: SharedTexts, _ link: inout AgentLink
  ) async throws -> (HostDrift?, KnownDifference?) {
    guard let sides = DriftSides(report) else { return (nil, nil) }
    if let drift = await known.drift(of: host, sides) { return (drift, nil) }
    let texts = try await texts(report, isBeforeUs: false, shared, &link)
    guard let drift = drift(of: host, texts) else { return (nil, nil) }
    // The host may have changed since it reported, or say what is not so.
    let agrees = Family.allCases.allSatisfy { family in
      texts[family].map { Digest(of: $0.observed) == report.families[family].observed } ?? true
    }
    return (drift, agrees ? KnownDifference(drift, sides) : nil)
  }

  /// Of the families that differ.
  private func texts(
    _ report: Report, isBeforeUs: Bool, _ shared: SharedTexts, _ link: inout AgentLink
  ) async throws -> PerFamily<Sides?> {
    var texts = PerFamily<Sides?>(ipv4: nil, ipv6: nil)
    // What a change that waits has loaded is no difference.
    guard isBeforeUs || report.pending == nil else { return texts }
    for family in Family.allCases {
      let facts = report.families[family]
      guard isBeforeUs || facts.expected.map({ $0 != facts.observed }) ?? false else { continue }
      texts[family] = try await self.sides(
        of: family, isBeforeUs: isBeforeUs, shared: shared, reported: facts, &link)
      // One text that nobody will read is enough.
      if texts[family]?.isTooLong == true { break }
    }
    return texts
  }

  func drift(of host: HostID, _ texts: PerFamily<Sides?>) -> HostDrift? {
    guard texts.ipv4 != nil || texts.ipv6 != nil else { return nil }
    for family in Family.allCases where texts[family]?.isTooLong == true {
      return HostDrift(
        host: host,
        notCompared: "its \(family) rules are longer than the \(Self.comparedLimit >> 20) MiB that are compared here")
    }
    return HostDrift(
      host: host,
      texts: texts.map { _, sides in DriftTexts(expected: sides?.expected ?? [], observed: sides?.observed ?? []) })
  }

  /// - Parameter reported: what another host served of the same digests is not asked for again; nil: it is in any case.
  ///   What is expected beside the rules is in no digest of a report: who differs there sends that side itself.
  func sides(
    of family: Family, isBeforeUs: Bool, shared: SharedTexts? = nil, reported: FamilyReport? = nil,
    _ link: inout AgentLink
  ) async throws -> Sides {
    func ask(_ side: TextRequest.Side) async throws -> [UInt8] {
      let request = TextRequest(family: family, side: side)
      try await link.askText(request)
      switch try await link.next() {
      case .text(request, let bytes): return bytes
      case .refused(_, let refusal): throw Reason("it refused: \(SafeText.escape(refusal.detail))")
      case .hello, .staged, .applied, .outcome, .done, .report, .text, .observations, .changes, .obeyed:
        throw Reason("it answered another question")
      }
    }
    func text(_ side: TextRequest.Side, _ digest: Digest?) async throws -> [UInt8] {
      guard let shared, let digest else { return try await ask(side) }
      let name = SharedTexts.Name(family: family, digest: digest)
      if case .text(let text) = await shared.look(for: name) { return text }
      do {
        let text = try await ask(side)
        await shared.settle(name, text)
        return text
      } catch {
        await shared.settle(name, nil)
        throw error
      }
    }
    let isPlain = reported.map {
      $0.omittedChains == 0 && !$0.chains.contains { BesideTable(rawValue: $0.table) != nil }
    }
    let expected = isBeforeUs ? [] : try await text(.expected, isPlain == true ? reported?.expected : nil)
    guard expected.count <= Self.comparedLimit else { return Sides(expected: expected, observed: []) }
    return Sides(expected: expected, observed: try await text(.observed, reported?.observed))
  }
}
