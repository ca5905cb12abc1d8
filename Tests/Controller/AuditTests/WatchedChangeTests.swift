import Audit
import Core
import Testing
import Wire

struct DifferingLinesTests {
  static let committed = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -i eth0 -j ACCEPT\nCOMMIT\n"

  private func lines(_ ipv4: String) -> DifferingLines {
    DifferingLines(
      HostDrift(
        host: HostID("web1")!,
        texts: PerFamily { family in
          DriftTexts(
            expected: Array(Self.committed.utf8), observed: Array((family == .ipv4 ? ipv4 : Self.committed).utf8))
        }))
  }

  private func words(_ moves: [DifferingLines.Move]) -> [String] { moves.map { "\($0.family.rawValue) \($0.text)" } }

  @Test func `a line that came is one that is new, or one that is not missing any more`() {
    let intact = lines(Self.committed)
    #expect(intact == DifferingLines(nil))
    let added = lines(Self.committed.replacing("COMMIT", with: "-A INPUT -p icmp -j ACCEPT\nCOMMIT"))
    let removed = lines(Self.committed.replacing("-A INPUT -i eth0 -j ACCEPT\n", with: ""))
    #expect(words(intact.moves(to: added)) == ["ipv4 +-A INPUT -p icmp -j ACCEPT"])
    #expect(words(added.moves(to: intact)) == ["ipv4 --A INPUT -p icmp -j ACCEPT"])
    #expect(words(intact.moves(to: removed)) == ["ipv4 --A INPUT -i eth0 -j ACCEPT"])
    #expect(words(removed.moves(to: intact)) == ["ipv4 +-A INPUT -i eth0 -j ACCEPT"])
    #expect(
      words(added.moves(to: removed)) == [
        "ipv4 --A INPUT -p icmp -j ACCEPT", "ipv4 --A INPUT -i eth0 -j ACCEPT",
      ])
    #expect(added.moves(to: added).isEmpty)
  }

  @Test func `what is beside the rules is told in words, and no line of a rule`() {
    func on(_ digest: String) -> DifferingLines {
      DifferingLines(
        HostDrift(
          host: HostID("web1")!,
          texts: PerFamily { family in
            func text(_ digest: String) -> [UInt8] {
              let disk = "*disk\n:trust - [0:0]\n-A trust \(digest)\nCOMMIT\n"
              return Array((Self.committed + (family == .ipv4 ? disk : "")).utf8)
            }
            return DriftTexts(expected: text("sha256:aa"), observed: text(digest))
          }))
    }
    let intact = lines(Self.committed)
    let (moved, elsewhere) = (on("sha256:bb"), on("sha256:cc"))
    #expect(intact.moves(to: moved).isEmpty)
    #expect(intact.besideMoves(to: moved) == ["on disk, trust is sha256:bb, and should be sha256:aa"])
    #expect(moved.besideMoves(to: elsewhere) == ["on disk, trust is sha256:cc, and should be sha256:aa"])
    #expect(moved.besideMoves(to: intact) == ["on disk, trust is as it should be again"])
    #expect(moved.besideMoves(to: moved).isEmpty)
  }

  @Test func `the same line twice counts twice`() {
    let once = lines(Self.committed.replacing("COMMIT", with: "-A INPUT -p icmp -j ACCEPT\nCOMMIT"))
    let twice = lines(
      Self.committed.replacing("COMMIT", with: "-A INPUT -p icmp -j ACCEPT\n-A INPUT -p icmp -j ACCEPT\nCOMMIT"))
    #expect(words(once.moves(to: twice)) == ["ipv4 +-A INPUT -p icmp -j ACCEPT"])
    #expect(words(twice.moves(to: once)) == ["ipv4 --A INPUT -p icmp -j ACCEPT"])
  }
}

struct WatchedGroupTests {
  private func change(_ host: String, _ process: UInt32 = 1, differs: Bool = true) -> WatchedChange {
    WatchedChange(
      host: HostID(host)!, at: UTCTime(secondsSinceEpoch: 1),
      event: .changed(.others, families: PerFamily(ipv4: differs, ipv6: false), chains: [], omittedChains: 0),
      hostTime: UTCTime(secondsSinceEpoch: Int64(process)), actors: [HostChange.Actor(name: "nft", process: process)])
  }

  @Test func `hosts that say the same are one group, whatever their clocks and process numbers`() {
    let groups = WatchedGroup.fold([
      change("web2", 7), change("db1", differs: false), change("web1", 8), change("web2", 9),
    ])
    #expect(groups.map { $0.hosts.map(\.description) } == [["web1", "web2"], ["db1"]])
    #expect(groups.first?.first == change("web2", 7))
  }
}
