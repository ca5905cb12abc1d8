import Core
import Ruleset
import Testing

@testable import Audit

struct DriftTests {
  static func filter(_ rules: String..., extra: String = "") -> [UInt8] {
    let lines = rules.map { "-A INPUT \($0)\n" }.joined()
    return Array("*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\(lines)\(extra)COMMIT\n".utf8)
  }
  static let base = filter("-i lo -j ACCEPT", "-p tcp -m tcp --dport 22 -j ACCEPT")
  static let opened = filter(
    "-i lo -j ACCEPT", "-p tcp -m tcp --dport 22 -j ACCEPT", "-p tcp -m tcp --dport 23 -j ACCEPT")

  func drift(
    _ name: String, _ observed: [UInt8], ipv6 observed6: [UInt8] = base, expected: [UInt8] = base
  ) -> HostDrift {
    HostDrift(
      host: HostID(name)!,
      texts: PerFamily(
        ipv4: DriftTexts(expected: expected, observed: observed),
        ipv6: DriftTexts(expected: Self.base, observed: observed6)))
  }

  @Test func `a rule added by hand is one added line in one chain`() throws {
    let drift = drift("web1", Self.opened)
    guard case .differs(let diffs) = drift.finding else { throw Wrong() }
    #expect(diffs.ipv4.added == 1 && diffs.ipv4.removed == 0 && diffs.ipv6.isEmpty)
    #expect(diffs.ipv4.lines.contains { $0.kind == .added && $0.text.contains("--dport 23") })
    #expect(drift.chains == [.init(family: .ipv4, table: "filter", chain: "INPUT", change: .changed)])
  }

  @Test func `a new chain and a new table are named`() {
    let withTable = Self.filter(
      "-i lo -j ACCEPT", "-p tcp -m tcp --dport 22 -j ACCEPT",
      extra: "COMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\n:EVIL - [0:0]\n-A EVIL -j RETURN\n")
    let chains = drift("web1", withTable).chains
    #expect(chains.contains(.init(family: .ipv4, table: "nat", chain: "EVIL", change: .added)))
  }

  @Test func `drift in IPv6 alone is found`() throws {
    let drift = drift("web1", Self.base, ipv6: Self.opened)
    guard case .differs(let diffs) = drift.finding else { throw Wrong() }
    #expect(diffs.ipv4.isEmpty && !diffs.ipv6.isEmpty)
    #expect(drift.chains.map(\.family) == [.ipv6])
  }

  @Test func `equal texts are never an empty difference`() throws {
    guard case .resolvedSince = drift("web1", Self.base).finding else { throw Wrong() }
    let counted = String(decoding: Self.base, as: UTF8.self).replacingZeros()
    guard case .resolvedSince = drift("web1", Array(counted.utf8)).finding else { throw Wrong() }
  }

  @Test func `an unreadable text is a finding of its own and stops nobody else's`() throws {
    let bad = drift("web1", Array("*filter\n:INPUT DROP [0:0]\nnonsense \u{1b}[2J\n".utf8))
    guard case .unreadable(let words) = bad.finding else { throw Wrong() }
    #expect(!words.unicodeScalars.contains("\u{1b}"))
    #expect(DriftGroup.fold([bad, drift("web2", Self.opened)]).count == 2)
  }

  @Test func `hosts with the same difference fold, whatever else they run`() {
    let groups = DriftGroup.fold([
      drift("web9", Self.base, ipv6: Self.opened), drift("db1", Self.opened), drift("web2", Self.opened),
      drift("web1", Self.opened), drift("web3", Self.base),
    ])
    #expect(groups.map { $0.hosts.map(\.description) } == [["db1", "web1", "web2"], ["web3"], ["web9"]])
  }

  struct Wrong: Error {}
}

extension String {
  fileprivate func replacingZeros() -> String {
    split(separator: "[0:0]", omittingEmptySubsequences: false).joined(separator: "[12:3456]")
  }
}
