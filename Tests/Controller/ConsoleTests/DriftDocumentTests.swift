import Audit
import Core
import Foundation
import Testing
import Wire

@testable import Console

struct DriftDocumentTests {
  static let committed = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -i eth0 -j ACCEPT\nCOMMIT\n"
  static let running = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -i eth1 -j ACCEPT\nCOMMIT\n"

  private func drift() -> HostDrift {
    HostDrift(
      host: HostID("web1")!,
      texts: PerFamily { _ in
        DriftTexts(expected: Array(Self.committed.utf8), observed: Array(Self.running.utf8))
      })
  }

  @Test func `a missing rule is shown with its file and line, in text and in JSON`() throws {
    let traced = drift().traced { family, _ in
      Core.SourceLocation(file: "policies/\u{1b}web.yaml", line: family == .ipv4 ? 7 : 8, column: 3)
    }
    let document = DriftDocument([traced], statuses: [])
    let text = document.text(TextStyle())
    #expect(text.contains("    --A INPUT -i eth0 -j ACCEPT   # policies/\\u{1b}web.yaml:7\n"), "\(text)")
    #expect(text.contains("    --A INPUT -i eth0 -j ACCEPT   # policies/\\u{1b}web.yaml:8\n"), "\(text)")
    #expect(text.contains("    +-A INPUT -i eth1 -j ACCEPT\n"), "\(text)")
    let group = try #require(document.groups.first)
    #expect(group.ipv4Sources == [nil, nil, nil, "policies/\u{1b}web.yaml:7", nil], "\(group)")
    #expect(group.ipv6Sources.count == group.ipv6.count)
  }

  @Test func `a change that waits is told apart from drift, and from hosts of which nothing is known`() throws {
    let now = UTCTime("2026-11-21T14:00:00Z")!
    let statuses = [("web1", 60_000), ("web2", 63_000), ("web3", nil)].map { name, left in
      var report = BesideDocumentTests.report()
      report.host = HostID(name)!
      report.pending = left.map {
        PendingChange(
          transaction: TransactionID(bytes: [UInt8](repeating: 2, count: 16))!, manifest: Digest(of: []),
          serial: Serial(13), millisecondsLeft: UInt32($0 as Int), isManual: true)
      }
      return StatusJudge(now: now).judge(
        report.host, desired: nil, observation: HostObservation(lastReport: ReceivedReport(report, receivedAt: now)))
    }
    let document = DriftDocument([], statuses: statuses)
    #expect(
      document.text(TextStyle()) == """
        release 13 waits to be confirmed until 2026-11-21T14:01:03Z, not judged: web[1-2]
        nothing committed yet, not judged: web3
        no drift; 0 of 3 intact

        """)
    #expect(document.exitCode == 0 && document.summary["waiting"] == 2 && document.summary["unknown"] == 1)
  }

  @Test func `what is new beside the rules counts as one, whatever table a host says that it is in`() {
    let table = "*others\n:inet/x - [0:0]\n-A inet/x sha256:aa\nCOMMIT\n"
    let drift = HostDrift(
      host: HostID("web1")!,
      texts: PerFamily(
        ipv4: DriftTexts(expected: Array(Self.committed.utf8), observed: Array((Self.running + table).utf8)),
        ipv6: DriftTexts(expected: [], observed: [])))
    let text = DriftDocument([drift], statuses: []).text(TextStyle())
    #expect(text.hasPrefix("drifted web1   1 host   +2 −1   running rules, beside the rules\n"), "\(text)")
  }

  @Test func `where the lines are not known, that is said`() {
    let text = DriftDocument([drift().untraced(because: "nobody says")], statuses: []).text(TextStyle())
    #expect(text.contains("\n  nobody says\n  IPv4"), "\(text)")
  }
}

/// Groups, waivers and times as they are shown.
struct DriftGroupTextTests {
  private static func drift(_ host: String, around rule: String = "-i lo") -> HostDrift {
    func text(_ more: String) -> [UInt8] {
      Array("*filter\n:INPUT DROP [0:0]\n-A INPUT \(rule) -j ACCEPT\n\(more)COMMIT\n".utf8)
    }
    return HostDrift(
      host: HostID(host)!,
      texts: PerFamily(
        ipv4: DriftTexts(expected: text(""), observed: text("-A INPUT -p gre -j ACCEPT\n")),
        ipv6: DriftTexts(expected: [], observed: [])))
  }

  private static func span(_ before: Int64, _ first: Int64, _ last: Int64) -> DriftSpan {
    let start = UTCTime("2026-11-21T14:00:00Z")!
    return DriftSpan(notBefore: start + before, firstSeen: start + first, lastSeen: start + last)
  }

  @Test func `one difference on hosts with other rules is one group, with its lines alone and its times`() {
    var one = Self.drift("web1")
    var two = Self.drift("web2", around: "-i eth0")
    one.span = Self.span(60, 120, 600)
    two.span = Self.span(0, 180, 300)
    #expect(
      DriftDocument([one, two], statuses: []).text(TextStyle()) == """
        drifted web[1-2]   2 hosts   +1 −0   running rules
          changed between 2026-11-21T14:00:00Z and 2026-11-21T14:02:00Z, last seen 2026-11-21T14:10:00Z
          IPv4: committed → running
            *filter
            :INPUT DROP
            +-A INPUT -p gre -j ACCEPT

        no drift; 0 of 0 intact

        """)
    let alike = DriftDocument([Self.drift("web1"), Self.drift("web2")], statuses: []).text(TextStyle())
    #expect(alike.contains("     -A INPUT -i lo -j ACCEPT\n    +-A INPUT -p gre -j ACCEPT\n"), "\(alike)")
  }

  @Test func `what is waived stands last, apart from the same that is not, and says by whom`() throws {
    var waived = Self.drift("web1")
    waived.waiver = Waiver(
      host: waived.host, difference: try #require(waived.exact), words: "", ends: UTCTime("2027-02-01T00:00:00Z")!,
      reason: "INC\u{1b}[2J", actor: "al\u{202e}ice", made: UTCTime("2026-11-21T14:00:00Z")!)
    let document = DriftDocument([waived, Self.drift("web2")], statuses: [])
    #expect(document.groups.map(\.hosts) == [["web2"], ["web1"]])
    let text = document.text(TextStyle())
    #expect(text.contains("waived web1   1 host"), "\(text)")
    #expect(text.contains("  until 2027-01-31, by al\\u{202e}ice: INC\\u{1b}[2J\n"), "\(text)")
    #expect(document.groups[1].waiver?.until == "2027-01-31" && document.groups[0].waiver == nil)
  }

  @Test func `settings and sets are words, not rules`() {
    let drift = HostDrift(
      host: HostID("web1")!,
      texts: PerFamily(
        ipv4: DriftTexts(
          expected: Array("*sysctl\n:net.ipv4.ip_forward - [0:0]\n-A net.ipv4.ip_forward 1\nCOMMIT\n".utf8),
          observed: Array("*sysctl\n:net.ipv4.ip_forward - [0:0]\n-A net.ipv4.ip_forward 0\nCOMMIT\n".utf8)),
        ipv6: DriftTexts(expected: [], observed: [])))
    let document = DriftDocument([drift], statuses: [])
    #expect(
      document.text(TextStyle()).hasPrefix(
        "drifted web1   1 host   +1 −1   beside the rules\n  net.ipv4.ip_forward is 0, and should be 1\n\n"))
    #expect(document.groups[0].ipv4.contains("+-A net.ipv4.ip_forward 0"))
  }
}
