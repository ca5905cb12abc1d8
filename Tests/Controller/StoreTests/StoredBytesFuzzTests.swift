import Audit
import Core
import Foundation
import GRDB
import Ruleset
import TestSupport
import Testing
import Wire

@testable import Store

/// What stands in files, and in what hosts send, may be anything: it is read or refused, and ends neither us nor the day.
struct StoredBytesFuzzTests {
  private static let rounds = Fuzzing.count(20_000)

  private static func known() throws -> [UInt8] {
    func text(_ rule: String) -> [UInt8] { Array("*filter\n:INPUT DROP [0:0]\n\(rule)\nCOMMIT\n".utf8) }
    let drift = HostDrift(
      host: host(1),
      texts: PerFamily { _ in
        DriftTexts(expected: text("-A INPUT -p gre -j ACCEPT"), observed: text("-A INPUT -p esp -j ACCEPT"))
      })
    return try #require(drift.encoded)
  }

  private static func damaged(_ bytes: [UInt8], _ random: inout Random) -> [UInt8] {
    var bytes = bytes
    for _ in 0...random.below(3) where !bytes.isEmpty {
      switch random.below(4) {
      case 0: bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next())
      case 1: bytes = Array(bytes.prefix(random.below(bytes.count + 1)))
      case 2: bytes.insert(contentsOf: [0xff, 0xff, 0xff, 0xff], at: random.below(bytes.count + 1))
      default: bytes[random.below(bytes.count)] = random.pick([0, 1, 0x22, 0x5b, 0x7b, 0x7f, 0xff])
      }
    }
    return bytes
  }

  private static func noise(_ random: inout Random) -> [UInt8] {
    (0..<random.below(200)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  @Test func `differences that are kept are read, or refused`() throws {
    var random = Random.fresh()
    let whole = try Self.known()
    var read = 0
    for round in 0..<Self.rounds {
      let bytes = round % 4 == 0 ? Self.noise(&random) : Self.damaged(whole, &random)
      guard let drift = try? HostDrift(host: host(1), encoded: bytes) else { continue }
      read += 1
      #expect(SafeText.escape(drift.summary) == drift.summary)
    }
    #expect(read > 100)
  }

  @Test func `reports and changes of noise are read, or refused`() throws {
    var random = Random.fresh()
    let changes = AgentMessage.changes(
      Changes(
        entries: [
          HostChange(
            sequence: 1, time: start, bootID: "b", cause: .ours(Serial(7)),
            families: PerFamily { _ in HostChange.Side(observed: Digest(of: []), differs: true) },
            chains: [.init(family: .ipv4, table: "filter", chain: "INPUT", change: .changed)],
            actors: [.init(name: "iptables", process: 7)])
        ], last: 1)
    ).encode()
    var report = makeReport(host(1), chains: 3)
    report.others = OthersReport(
      tables: [.init(family: "ip", name: "x", owner: nil, isHooked: true, drops: true, digest: Digest(of: []))],
      chains: [.init(family: .ipv4, owner: .docker, rules: 1, digest: Digest(of: []))], sets: ["s"], problem: "p")
    report.renewal = Renewal(from: "a", to: "b", at: start)
    let encoded = report.encode()
    var read = 0
    for round in 0..<Self.rounds {
      let payload =
        round % 4 == 0 ? Self.noise(&random) : Self.damaged(Array(changes.dropFirst(5)), &random)
      if (try? AgentMessage(frame: Frame(type: changes[4], payload: payload))) != nil { read += 1 }
      let told = round % 4 == 0 ? [0, 6] + Self.noise(&random) : Self.damaged(encoded, &random)
      if (try? Report(encoded: told)) != nil { read += 1 }
    }
    #expect(read > 100)
  }

  @Test func `lines of the audit log are entries, or named as none`() throws {
    var random = Random.fresh()
    let entry = AuditEntry(
      sequence: 1, time: start, phase: .began, actor: .init(user: "u", uid: 1, host: "h"), verb: "apply")
    let line = Array(try AuditLine(entry, after: AuditLine.beginning).bytes.dropLast())
    #expect(throws: Never.self) { try AuditLine(parsing: line) }
    for _ in 0..<Self.rounds {
      let bytes = random.sometimes(4) ? Self.noise(&random) : Self.damaged(line, &random)
      if bytes != line { #expect(throws: AuditLine.Problem.self) { try AuditLine(parsing: bytes) } }
    }
    // As deep as a line may be.
    let deep = [UInt8](repeating: UInt8(ascii: "["), count: AuditLine.limit - 2) + [UInt8(ascii: "}")]
    #expect(throws: AuditLine.Problem.self) { try AuditLine(parsing: deep) }
  }

  @Test func `details of events that were altered are an error in words, not the end`() async throws {
    var random = Random.fresh()
    let scratch = try Scratch()
    let store = try scratch.open()
    let whole = Array(#"{"chains":["ipv4 filter/INPUT"],"difference":"sha256:00","families":["ipv4"]}"#.utf8)
    for round in 0..<200 {
      let details = round % 4 == 0 ? Self.noise(&random) : Self.damaged(whole, &random)
      try await store.pool.write { db in
        try db.execute(
          sql: "INSERT INTO events (host, at, kind, cause, details) VALUES (?, 0, 'drifted', 'external', ?)",
          arguments: ["x\(round)", String(decoding: details, as: UTF8.self)])
      }
      do { _ = try await store.events(of: HostID("x\(round)")!) } catch {
        #expect(message(error).contains("read what happened"), "\(message(error))")
        #expect(SafeText.escape(message(error)) == message(error))
      }
      // Its next report is judged and kept all the same, or refused in words.
      do {
        try await store.record(reports: [received(makeReport(HostID("x\(round)")!), 10)])
      } catch {
        #expect(SafeText.escape(message(error)) == message(error))
      }
    }
  }
}
