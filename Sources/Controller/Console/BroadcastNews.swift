package import Core
package import Operations
package import Rollout
internal import Wire

/// Who did not obey an order, told while it is being brought: each host once for each thing that is said of it.
package struct BroadcastNews: Sendable {
  /// Details of silence change with every try.
  private struct Said: Hashable {
    let outcome: String
    let code: String?
    let detail: String?

    init(_ host: BroadcastDocument.Host) {
      outcome = host.outcome
      code = host.code
      detail = host.outcome == "acknowledged" ? host.detail : nil
    }
  }

  /// After so long of silence from others, those that did not answer are told.
  private let patience: Duration
  private var said: [HostID: Said] = [:]
  private var heard: Set<HostID> = []

  package init(patience: Duration) { self.patience = patience }

  /// Hosts of which something became known.
  package mutating func hear(_ hosts: [HostID]) { heard.formUnion(hosts) }

  /// Lines for what was not told before; empty when there is nothing.
  /// - Parameter time: since the broadcast began.
  package mutating func lines(_ tally: OrderTally, after time: Duration) -> String {
    let isRoundOver = time >= patience || tally.claims.allSatisfy { heard.contains($0.key) }
    var news: [BroadcastDocument.Host] = []
    for (id, claim) in tally.claims where Self.isTold(claim, isRoundOver) {
      let host = BroadcastDocument.Host(id, claim)
      // Who obeys is counted, and named only where it was named before as one that did not.
      if host.outcome == "verified", said[id] == nil { continue }
      let now = Said(host)
      guard said.updateValue(now, forKey: id) != now else { continue }
      news.append(host)
    }
    return BroadcastDocument.lines(of: news.sorted { $0.id < $1.id }, TextStyle())
  }

  /// Whether it is worth a line already: a host that was not reached once may be a moment later.
  private static func isTold(_ claim: OrderClaim, _ isRoundOver: Bool) -> Bool {
    switch claim {
    case .waiting, .notMeant: false
    case .verified, .acknowledged: true
    case .refused(let code, _): code != .busy || isRoundOver
    case .unreachable, .unsure, .notAsked, .overtaken: isRoundOver
    }
  }
}

/// `-o ndjson` of a broadcast, as it comes: a host's last line counts.
package struct BroadcastLines: Sendable {
  private var claims: [HostID: OrderClaim] = [:]

  package init() {}

  package func head(_ order: SealedOrder) throws -> String {
    try DocumentPrinter.versionLine(of: BroadcastDocument.kind)
      + DocumentPrinter.line(Record("order", BroadcastDocument.Order(order)))
  }

  package mutating func lines(_ tally: OrderTally, of hosts: some Sequence<HostID>) throws -> String {
    var lines = ""
    for host in hosts.sorted() {
      guard let claim = tally.claims[host], claims.updateValue(claim, forKey: host) != claim else { continue }
      lines += try DocumentPrinter.line(Record("host", BroadcastDocument.Host(host, claim)))
    }
    return lines
  }

  /// Those of which nothing new became known, and the counts.
  package mutating func end(_ tally: OrderTally) throws -> String {
    try lines(tally, of: tally.claims.keys)
      + DocumentPrinter.summaryLine(BroadcastDocument.counts(tally.counts))
  }
}
