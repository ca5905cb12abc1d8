import Core
import Foundation
import TestSupport
import Testing

@testable import Transport

@Suite struct KnownHostsTests {
  static let one = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
  static let two = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZl3Bm2dVkGNc3QD5nYFt4KMbYf4F4GFxUjVTLMpTGC"

  static func key(_ text: String) -> HostKey { HostKey(base64: text.split(separator: " ")[1].utf8)! }

  func parse(_ text: String) -> KnownHosts { KnownHosts.parse(Array(text.utf8), file: "known_hosts") }

  @Test(
    "a host is found by what its line says",
    arguments: [
      ("web1", "web1", 22, true), ("web1", "WEB1", 22, true), ("Web1", "web1", 22, true), ("web1", "web1", 2222, false),
      ("[web1]:2222", "web1", 2222, true), ("[web1]:2222", "web1", 22, false), ("a,b,web1", "web1", 22, true),
      ("web*", "web17", 22, true), ("web?", "web17", 22, false), ("*,!web17", "web17", 22, false),
      ("*,!web17", "web18", 22, true), ("[*]:2222", "web1", 2222, true), ("2001:db8::1", "2001:db8::1", 22, true),
      ("web1 ", "web1", 22, true), ("\tweb1", "web1", 22, true), ("web", "web1", 22, false),
    ])
  func lookups(line: String, name: String, port: Int, isFound: Bool) {
    let keys = parse("# comment\n\n\(line) \(Self.one) a comment\r\n").keys(
      name: name, addresses: [], port: UInt16(port))
    #expect(keys.pinned == (isFound ? [Self.key(Self.one)] : []))
  }

  @Test func addressesCountOnlyWhereTheNameIsNotPinned() {
    let hosts = parse("web1 \(Self.one)\n192.0.2.7 \(Self.two)\n")
    #expect(hosts.keys(name: "web1", addresses: ["192.0.2.7"], port: 22).pinned == [Self.key(Self.one)])
    #expect(hosts.keys(name: "web2", addresses: ["192.0.2.7"], port: 22).pinned == [Self.key(Self.two)])
  }

  @Test func aRevokedKeyIsNeverPinnedWhateverElseIsListed() {
    let hosts = parse("web1 \(Self.one)\n@revoked * \(Self.one)\nweb1 \(Self.two)\n")
    let keys = hosts.keys(name: "web1", addresses: [], port: 22)
    #expect(keys.pinned == [Self.key(Self.two)])
    #expect(keys.revoked == [Self.key(Self.one)])
    #expect(hosts.keys(name: "web1", addresses: [], port: 2222).revoked == [Self.key(Self.one)])
  }

  @Test func namesHashedBySSHKeygenAreFound() throws {
    let scratch = try Scratch()
    let file = try scratch.write("web1,192.0.2.7 \(Self.one)\n[web2]:2222 \(Self.two)\n", to: "known_hosts")
    try run("/usr/bin/ssh-keygen", "-q", "-H", "-f", file)
    let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: file)))
    #expect(!String(decoding: bytes, as: UTF8.self).contains("web"))
    let hosts = KnownHosts.parse(bytes, file: file)
    #expect(hosts.diagnostics.isEmpty)
    #expect(hosts.keys(name: "web1", addresses: [], port: 22).pinned == [Self.key(Self.one)])
    #expect(hosts.keys(name: "other", addresses: ["192.0.2.7"], port: 22).pinned == [Self.key(Self.one)])
    #expect(hosts.keys(name: "web2", addresses: [], port: 2222).pinned == [Self.key(Self.two)])
    #expect(hosts.keys(name: "web2", addresses: [], port: 22).pinned.isEmpty)
  }

  @Test(
    "a bad line is reported at its place and the others count",
    arguments: [
      "web2", "web2 ssh-ed25519", "web2 ssh-ed25519 AAAA", "web2 ssh-ed25519 !!!!", "@revokd web2 \(one)",
      "web2 ecdsa-sha2-nistp256 \(one.split(separator: " ")[1])", "web2,, \(one)", "!web2 \(one)",
      "|1|AAAA|BBBB \(one)",
      "|2|x|y \(one)", "web2 ssh-dss AAAAB3NzaC1kc3MAAAAA", "@revoked web1", "web2\0 \(one)",
    ])
  func badLines(line: String) throws {
    let hosts = parse("# first\n\(line)\nweb1 \(Self.one)\n")
    let diagnostic = try #require(hosts.diagnostics.first)
    #expect(hosts.diagnostics.count == 1)
    #expect(diagnostic.location == SourceLocation(file: "known_hosts", line: 2, column: 1))
    #expect(diagnostic.hint != nil)
    #expect(hosts.keys(name: "web1", addresses: [], port: 22).pinned == [Self.key(Self.one)])
    #expect(hosts.keys(name: "web2", addresses: [], port: 22).pinned.isEmpty)
  }

  @Test func authoritiesAreSkippedWithoutTrustingAnybody() {
    let hosts = parse("@cert-authority * \(Self.one)\n")
    #expect(hosts.diagnostics.isEmpty)
    #expect(hosts.keys(name: "web1", addresses: [], port: 22).pinned.isEmpty)
  }

  @Test func fingerprintsAreSSHKeygens() throws {
    let scratch = try Scratch()
    for type in ["ed25519", "ecdsa", "rsa"] {
      let file = try scratch.key("k\(type)", type: type)
      let key = try #require(HostKey(base64: try TestServer.publicKey(file).split(separator: " ")[1].utf8))
      #expect(try run("/usr/bin/ssh-keygen", "-lf", file).contains(" \(key.fingerprint) "))
    }
  }

  @Test func randomBytesNeverTrapAndNeverPin() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = Random(seed: seed)
    let pieces = ["web1", " ", "\n", "|1|", "@revoked ", "*", "!", ",", "[", "]:22", "ssh-ed25519", "AAAA", "\0", "#"]
    for _ in 0..<500 {
      var bytes: [UInt8] = []
      for _ in 0..<30 {
        bytes += Array(pieces.randomElement(using: &generator)!.utf8)
        bytes.append(UInt8.random(in: 0...255, using: &generator))
      }
      let keys = KnownHosts.parse(bytes, file: "f").keys(name: "web1", addresses: ["::1"], port: 22)
      #expect(keys.pinned.isEmpty, "seed \(seed)")
    }
  }
}
