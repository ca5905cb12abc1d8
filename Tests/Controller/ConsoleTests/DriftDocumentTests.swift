import Audit
import Core
import Foundation
import Testing

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

  @Test func `where the lines are not known, that is said`() {
    let text = DriftDocument([drift().untraced(because: "nobody says")], statuses: []).text(TextStyle())
    #expect(text.contains("\n  nobody says\n  IPv4"), "\(text)")
  }
}
