import Audit
import Core
import Foundation
import Glibc
import Testing
import Wire

@testable import Store

let fleet = FleetID("lab")!
let start = UTCTime("2026-11-21T00:00:00Z")!

/// A directory of its own for each store, gone with it.
final class Scratch: Sendable {
  let directory: String
  var path: String { directory + "/store.sqlite" }

  init() throws {
    directory = FileManager.default.temporaryDirectory.path + "/portcullis-store-\(UInt64.random(in: .min ... .max))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  func open() throws -> FleetStore { try FleetStore(path: path, fleet: fleet) }

  func size(_ suffix: String = "") -> Int {
    var status = stat()
    return stat(path + suffix, &status) == 0 ? Int(status.st_size) : 0
  }

  func mode(_ suffix: String = "") -> mode_t? {
    var status = stat()
    return stat(path + suffix, &status) == 0 ? status.st_mode & 0o777 : nil
  }
}

func host(_ number: Int) -> HostID { HostID("h\(number)")! }

func makeReport(
  _ host: HostID, rules: String = "a", time: UTCTime = start, serial: UInt64 = 7, chains: Int = 0
) -> Report {
  let digest = Digest(of: rules.utf8)
  return Report(
    nonce: .random(), host: host, fleet: fleet, time: time, bootID: "boot", agentVersion: "0.1.0",
    architecture: "x86_64", kernel: "6.1", backend: .nft, iptablesVersion: "1.8.9",
    committed: Committed(serial: Serial(serial), manifest: digest, content: digest, at: start), lastFailure: nil,
    families: PerFamily { _ in
      FamilyReport(
        expected: digest, observed: digest, save: digest,
        chains: (0..<chains).map { ChainDigest(table: "filter", chain: "C\($0)", digest: digest) })
    }, otherBackendRules: 0, conflicts: [], degraded: nil, managementSource: "192.0.2.1")
}

/// What an agent tells of these changes, all by one program.
func heardChanges(
  _ host: HostID, _ numbers: ClosedRange<UInt64>, after: UInt64 = 0, time: UTCTime = start
) -> HeardChanges {
  let entries = numbers.map { number in
    HostChange(
      sequence: number, time: time, bootID: "boot", cause: .others,
      families: PerFamily { _ in HostChange.Side(observed: Digest(of: "\(number)".utf8), differs: true) },
      actors: [HostChange.Actor(name: "iptables", process: 1)])
  }
  return HeardChanges(
    host: host, at: start, ahead: 0, after: after, changes: Changes(entries: entries, last: numbers.upperBound))
}

func makeWaiver(_ host: HostID, until ends: UTCTime = start + 86_400, made: UTCTime = start) -> Waiver {
  Waiver(
    host: host, difference: Digest(of: host.description.utf8), words: "+-A INPUT", ends: ends, reason: "INC-42",
    actor: "alice", made: made)
}

func makeDifference(_ host: HostID, _ observed: String) -> KnownDifference {
  let digest = Digest(of: observed.utf8)
  return KnownDifference(
    host: host,
    sides: DriftSides(expected: PerFamily(ipv4: digest, ipv6: digest), observed: PerFamily(ipv4: digest, ipv6: digest)),
    exact: digest, body: Array(observed.utf8))
}

func received(_ report: Report, _ seconds: Int64) -> ReceivedReport {
  ReceivedReport(report, receivedAt: start + seconds)
}

/// A release of `serial` for hosts 0..<count, in which even and odd hosts share their rules. Nothing is signed: the
/// store does not look.
func makeRelease(
  _ serial: Serial, hosts count: Int, rules: String = "rules"
) -> (release: StoredRelease, bundles: [StoredBundle], texts: [Digest: [UInt8]]) {
  let texts = (0..<2).map { Array("*filter \(rules) \($0)\nCOMMIT\n".utf8) }
  let digests = texts.map { Digest(of: $0) }
  let release = StoredRelease(
    serial: serial, statement: Array("statement \(serial) \(rules)".utf8), signatures: [Array("sig".utf8), [1, 2]],
    issued: start, expires: start + 86_400, reason: "because", hosts: count)
  let bundles = (0..<count).map { number in
    StoredBundle(
      serial: serial, host: host(number), manifest: Array("manifest \(serial) \(number) \(rules)".utf8),
      content: Digest(of: "content \(number) \(rules)".utf8), proof: [3],
      rules: PerFamily(ipv4: digests[number % 2], ipv6: digests[0]))
  }
  return (release, bundles, Dictionary(uniqueKeysWithValues: zip(digests, texts)))
}

func message(_ error: any Error) -> String {
  let chain = ErrorChain(error)
  return ([chain.message] + chain.hints).joined(separator: " | ")
}
