import Audit
import Core
import Foundation
import Testing
import Wire

@testable import Console

struct ChangeLinesTests {
  private func group(
    _ event: WatchedChange.Event, hosts: [String] = ["web1"], name: String = "iptables",
    moves: [DifferingLines.Move] = []
  ) throws -> WatchedGroup {
    let changes = hosts.map {
      WatchedChange(
        host: HostID($0)!, at: UTCTime("2026-11-21T14:02:31Z")!, event: event,
        hostTime: UTCTime("2026-11-21T14:02:30Z")!, actors: [HostChange.Actor(name: name, process: 812)], moves: moves)
    }
    return try #require(WatchedGroup.fold(changes).first)
  }

  private func changed(_ cause: HostChange.Cause = .others, differs: Bool = true, chain: String = "INPUT")
    -> WatchedChange.Event
  {
    .changed(
      cause, families: PerFamily(ipv4: differs, ipv6: false),
      chains: [HostChange.Chain(family: .ipv4, table: "filter", chain: chain, change: .changed)], omittedChains: 2)
  }

  private func drift(_ line: String) -> [DifferingLines.Move] {
    let committed = "*filter\n:INPUT DROP [0:0]\nCOMMIT\n"
    let drift = HostDrift(
      host: HostID("web1")!,
      texts: PerFamily { family in
        DriftTexts(
          expected: Array(committed.utf8),
          observed: Array((family == .ipv4 ? committed.replacing("COMMIT", with: line + "\nCOMMIT") : committed).utf8))
      })
    return DifferingLines().moves(to: DifferingLines(drift))
  }

  @Test func `a line says when, where, what and by whom, and the rules follow`() throws {
    let record = ChangeRecord(try group(changed(), moves: drift("-A INPUT -p tcp --dport 8081 -j ACCEPT")))
    #expect(
      record.text(TextStyle()) == """
        2026-11-21T14:02:31Z  web1  drifted  IPv4 filter/INPUT changed and 2 more  by iptables (process 812)?
          IPv4
            +-A INPUT -p tcp --dport 8081 -j ACCEPT

        """)
  }

  @Test func `several hosts are folded, and what the agent did itself is told as that`() throws {
    let several = ChangeRecord(try group(changed(differs: false), hosts: ["web1", "web3", "web2"]))
    #expect(several.text(TextStyle()).contains("web[1-3]  3 hosts  is as committed again"))
    #expect(several.text(TextStyle()).contains("by iptables?"))
    let ours = ChangeRecord(try group(changed(.ours(Serial(12)), differs: false)))
    #expect(ours.text(TextStyle()).contains("release 12 is loaded"))
    #expect((ours.what, ours.cause, ours.serial) == ("released", "ours", 12))
    let besides = ChangeRecord(try group(changed(.oursBesides(Serial(12)))))
    #expect(besides.text(TextStyle()).contains("release 12 is loaded"))
    #expect(besides.text(TextStyle()).contains("what differed before still does"))
    #expect((besides.what, besides.cause, besides.serial) == ("released", "ours", 12))
    #expect(ChangeRecord(try group(.lost("no route"))).text(TextStyle()).contains("is not watched"))
  }

  @Test func `what came unannounced is told with the time since when it may be there`() throws {
    let change = WatchedChange(
      host: HostID("web1")!, at: UTCTime("2026-11-21T14:02:31Z")!, event: changed(),
      hostTime: UTCTime("2026-11-21T14:02:30Z")!, hostSince: UTCTime("2026-11-21T13:47:30Z")!)
    let record = ChangeRecord(try #require(WatchedGroup.fold([change]).first))
    #expect(record.text(TextStyle()).hasSuffix("and 2 more  at some time since 2026-11-21T13:47:30Z of its clock\n"))
  }

  @Test func `what stands beside the rules is told in words, and a change that waits as that`() throws {
    let change = WatchedChange(
      host: HostID("web1")!, at: UTCTime("2026-11-21T14:02:31Z")!,
      event: .changed(
        .others, families: PerFamily(ipv4: true, ipv6: false),
        chains: [HostChange.Chain(family: .ipv4, table: "disk", chain: "bundle/manifest", change: .added)],
        omittedChains: 0), beside: ["on disk, bundle/manifest is sha256:bb, and should be sha256:aa"])
    #expect(
      ChangeRecord(try #require(WatchedGroup.fold([change]).first)).text(TextStyle()) == """
        2026-11-21T14:02:31Z  web1  drifted  on disk, bundle/manifest
          on disk, bundle/manifest is sha256:bb, and should be sha256:aa

        """)
    let waits = ["web1", "web2"].enumerated().map { number, host in
      WatchedChange(
        host: HostID(host)!, at: UTCTime("2026-11-21T14:02:31Z")!, event: .waits(Serial(13)),
        until: UTCTime("2026-11-21T14:05:00Z")! + Int64(number))
    }
    let groups = WatchedGroup.fold(waits)
    #expect(groups.count == 1)
    #expect(
      ChangeRecord(groups[0]).text(TextStyle()) == """
        2026-11-21T14:02:31Z  web[1-2]  2 hosts  release 13 is loaded and waits to be confirmed
          until 2026-11-21T14:05:00Z

        """)
  }

  @Test(arguments: HostileTextTests.hostile)
  func `nothing that a host says moves the terminal`(text: String) throws {
    let hostile = try group(changed(chain: text), name: text, moves: drift("-A INPUT -j ACCEPT"))
    for format in [OutputFormat.text, .ndjson] {
      var printer = ChangePrinter(format, colour: false)
      for line in try printer.lines(hostile).split(separator: "\n") { #expect(SafeText.escape(line) == String(line)) }
    }
  }

  @Test func `ndjson is one object a line, with the same keys always`() throws {
    var printer = ChangePrinter(.ndjson, colour: false)
    let output =
      try printer.head + printer.lines(group(changed())) + printer.lines(group(.lost("gone")))
      + printer.end(differing: 1, lost: 1, watched: 2)
    let lines = try output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    #expect(lines.map { $0["type"] as? String } == ["version", "change", "change", "summary"])
    #expect(Set(lines[1].keys) == Set(lines[2].keys))
    #expect(lines[1]["host_time"] as? String == "2026-11-21T14:02:30Z")
    #expect((lines[3]["summary"] as? [String: Int]) == ["watched": 2, "differing": 1, "lost": 1, "lines": 2])
  }
}
