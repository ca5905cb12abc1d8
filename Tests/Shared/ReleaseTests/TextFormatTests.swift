import Core
import Release
import Testing

/// The three texts by example: what is written, and that nothing else is read.
@Suite struct TextFormatTests {
  static let zero = String(repeating: "0", count: 64)
  static let statement = """
    portcullis-release 1
    fleet example
    serial 42
    issued 2026-11-21T00:44:41Z
    expires 2026-11-28T00:44:41Z
    hosts 3
    root sha256:\(zero)
    reason open 443 for the new shop (change 1234)

    """
  static let manifest = """
    portcullis-manifest 1
    fleet example
    host web01.example.net
    serial 42
    mode owned
    label lab
    label web
    source 192.0.2.0/24
    source 2001:db8::1
    file ipv4.rules 120 sha256:\(zero)
    file ipv6.rules 0 sha256:\(zero)

    """
  static let beside =
    manifest + "file sets 8388608 sha256:\(zero)\nfile sysctl 65536 sha256:\(zero)\n"
  static let onlySettings = manifest + "file sysctl 24 sha256:\(zero)\n"
  static let locking =
    beside + "lockdown isolate 30 812 sha256:\(zero) 1020 sha256:\(zero)\n"
    + "lockdown no-egress 10 1 sha256:\(zero) 262144 sha256:\(zero)\n"
  static let withdrawn = """
    portcullis-manifest 1
    fleet example
    host web01
    serial 42
    mode withdrawn

    """
  static let proof = """
    portcullis-proof 1
    leaf 2
    hosts 3
    sha256:\(zero)

    """

  private static func reencode(_ text: [UInt8], as kind: String) throws -> [UInt8] {
    switch kind {
    case "statement": try ReleaseStatement.parse(text).encode()
    case "manifest", "locking": try Manifest.parse(text).encode()
    default: try InclusionProof.parse(text).encode()
    }
  }

  static let valid = [
    ("statement", statement), ("manifest", manifest), ("manifest", withdrawn), ("proof", proof), ("manifest", beside),
    ("manifest", onlySettings), ("manifest", locking),
  ]

  @Test(arguments: valid) func whatIsReadIsWrittenAgainByteByByte(_ kind: String, _ text: String) throws {
    #expect(try Self.reencode(Array(text.utf8), as: kind) == Array(text.utf8))
  }

  @Test func theFieldsAreThoseOfTheText() throws {
    let statement = try ReleaseStatement.parse(Array(Self.statement.utf8))
    #expect(statement.fleet == FleetID("example"))
    #expect(statement.serial == Serial(42))
    #expect(statement.issued == UTCTime("2026-11-21T00:44:41Z"))
    #expect(statement.expires == UTCTime("2026-11-28T00:44:41Z"))
    #expect(statement.hosts == 3)
    #expect(statement.reason == "open 443 for the new shop (change 1234)")
    let manifest = try Manifest.parse(Array(Self.manifest.utf8))
    #expect(manifest.host == HostID("web01.example.net"))
    #expect(manifest.mode == .owned)
    #expect(manifest.labels == ["lab", "web"])
    #expect(manifest.sources == ["192.0.2.0/24", "2001:db8::1"])
    #expect(manifest.files?.ipv4.size == 120)
    #expect(try Manifest.parse(Array(Self.withdrawn.utf8)).files == nil)
  }

  private typealias Edit = TextEdit<String>

  static let refused: [TextEdit<String>] = [
    Edit("statement", "portcullis-release 1", "portcullis-release 2", "release.statement:1: format version '2'"),
    Edit("statement", "portcullis-release 1", "portcullis-release 01", ":1: format version '01'"),
    Edit("statement", "portcullis-release 1", "portcullis-manifest 1", ":1: a 'portcullis-release …' line"),
    Edit("statement", "fleet example\n", "", ":2: a 'fleet …' line must stand here"),
    Edit("statement", "fleet example\n", "fleet example\nfleet example\n", ":3: a 'serial …' line"),
    Edit("statement", "fleet example", "fleet  example", ":2: ' example' is not a fleet's name"),
    Edit("statement", "fleet example", "fleet\texample", ":2: byte 0x09 in column 6"),
    Edit("statement", "fleet example", "fleet", ":2: a 'fleet …' line"),
    Edit("statement", "fleet example", "fleet ", ":2: a 'fleet …' line"),
    Edit("statement", "fleet example", "Fleet example", ":2: a 'fleet …' line"),
    Edit("statement", "fleet example", "fleet -example", "not a fleet's name"),
    Edit("statement", "fleet example", "fleet exämple", "byte 0xc3"),
    Edit("statement", "serial 42", "serial 042", ":3: serial '042' is not a canonical number"),
    Edit("statement", "serial 42", "serial +42", "not a canonical number"),
    Edit("statement", "serial 42", "serial -1", "not a canonical number"),
    Edit("statement", "serial 42", "serial 0x2a", "not a canonical number"),
    Edit("statement", "serial 42", "serial 42 ", "not a canonical number"),
    Edit("statement", "serial 42", "serial 4_2", "not a canonical number"),
    Edit("statement", "serial 42", "serial 18446744073709551616", "not a canonical number"),
    Edit("statement", "serial 42", "serial 0", "serial 0"),
    Edit("statement", "serial 42\n", "serial 42\r\n", ":3: byte 0x0d in column 10"),
    Edit("statement", "issued 2026-11-21T00:44:41Z", "issued 2026-11-21T00:44:41", "not a time"),
    Edit("statement", "issued 2026-11-21T00:44:41Z", "issued 2026-11-21t00:44:41z", "not a time"),
    Edit("statement", "issued 2026-11-21T00:44:41Z", "issued 2026-11-21T00:44:41+00:00", "not a time"),
    Edit("statement", "issued 2026-11-21T00:44:41Z", "issued 2026-02-30T00:44:41Z", "not a time"),
    Edit("statement", "expires 2026-11-28", "expires 2026-11-20", "before it is issued"),
    Edit("statement", "expires 2026-11-28", "expires 2026-11-21", "before it is issued"),
    Edit("statement", "hosts 3", "hosts 0", "at least one host"),
    Edit("statement", "hosts 3", "hosts 18446744073709551615", "too large"),
    Edit("statement", "root sha256:00", "root sha256:0", "not sha256:"),
    Edit("statement", "root sha256:00", "root sha256:A0", "not sha256:"),
    Edit("statement", "root sha256:", "root SHA256:", "not sha256:"),
    Edit("statement", "root sha256:", "root sha512:", "not sha256:"),
    Edit("statement", "reason open", "reason  open", "without spaces around it"),
    Edit("statement", "1234)\n", "1234) \n", "without spaces around it"),
    Edit("statement", "reason open 443 for the new shop (change 1234)\n", "", "the text ends where a 'reason' line"),
    Edit("statement", "reason open", "reason \u{1b}[31mopen", ":8: byte 0x1b"),
    Edit("statement", "1234)\n", "1234)", ":8: the line does not end with a line feed"),
    Edit("statement", "1234)\n", "1234)\n\n", ":9: unexpected line ''"),
    Edit("statement", "1234)\n", "1234)\nnote x\n", ":9: unexpected line 'note x'"),
    Edit("statement", "1234)\n", "1234)\0\n", "byte 0x00"),
    Edit("manifest", "portcullis-manifest 1", "\u{feff}portcullis-manifest 1", ":1: byte 0xef in column 1"),
    Edit("manifest", "host web01.example.net", "host ../web01", ":3: '../web01' is not a host's name"),
    Edit("manifest", "host web01.example.net\n", "host web01.example.net\nhost web01\n", ":4: a 'serial …' line"),
    Edit("manifest", "mode owned", "mode Owned", ":5: mode 'Owned' is none of"),
    Edit("manifest", "mode owned", "mode none", "is none of exclusive, owned, withdrawn"),
    Edit("manifest", "mode owned", "mode withdrawn", "unexpected line 'file ipv4.rules"),
    Edit("manifest", "label lab\nlabel web", "label web\nlabel lab", ":7: label 'lab' is out of order"),
    Edit("manifest", "label lab\nlabel web", "label lab\nlabel lab", ":7: label 'lab' stands twice"),
    Edit("manifest", "label lab", "label l b", "may hold only letters"),
    Edit("manifest", "label lab", "label l\"b", "may hold only letters"),
    Edit(
      "manifest", "source 192.0.2.0/24\nsource 2001:db8::1", "source 2001:db8::1\nsource 192.0.2.0/24", "out of order"),
    Edit("manifest", "source 192.0.2.0/24", "source 192.0.2.1/24", "bits set behind its prefix; write 192.0.2.0/24"),
    Edit("manifest", "source 2001:db8::1", "source 2001:DB8::1", "write 2001:db8::1"),
    Edit("manifest", "source 2001:db8::1", "source controller.example.net", "is not a numeric address"),
    Edit(
      "manifest", "source 192.0.2.0/24\n", "source 192.0.2.0/24\nlabel zoo\n", "line must stand here, not 'label zoo'"),
    Edit("manifest", "file ipv4.rules 120", "file ipv4.rules 0120", "has a size in bytes and a digest"),
    Edit("manifest", "file ipv4.rules 120", "file ipv4.rules 8388609", "more than the 8388608 allowed"),
    Edit("manifest", "file ipv4.rules 120", "file ipv4.rules 18446744073709551615", "has a size in bytes and a digest"),
    Edit("manifest", "file ipv4.rules", "file ../ipv4.rules", "a 'file ipv4.rules …' line must stand here"),
    Edit("manifest", "file ipv6.rules 0 sha256:\(zero)\n", "", "the text ends where a 'file ipv6.rules' line"),
    Edit("manifest", "file ipv6.rules 0", "file ipv5.rules 0", "a 'file ipv6.rules …' line must stand here"),
    Edit("manifest", "file ipv4.rules 120 sha256:0", "file ipv4.rules 120 sha256:F", "not sha256:"),
    Edit("locking", "lockdown isolate 30", "lockdown Isolate 30", "'Isolate' is not a profile's name"),
    Edit("locking", "lockdown isolate 30", "lockdown isolate 030", "'030' is not a rank, which is 0 to 1000"),
    Edit("locking", "lockdown isolate 30", "lockdown isolate 1001", "'1001' is not a rank"),
    Edit("locking", "lockdown isolate 30", "lockdown isolate 65566", "'65566' is not a rank"),
    Edit("locking", "lockdown isolate 30", "lockdown isolate  30", "has a name, a rank, and each family's size"),
    Edit("locking", " 812 sha256:", " 0812 sha256:", "a 'lockdown' line has a size in bytes and a digest"),
    Edit("locking", " 812 sha256:", " 0 sha256:", "isolate has 0 bytes of ipv4 rules; 1 to 262144"),
    Edit("locking", " 262144 sha256:", " 262145 sha256:", "no-egress has 262145 bytes of ipv6 rules"),
    Edit("locking", " 812 sha256:0", " 812 sha256:F", "not sha256:"),
    Edit("locking", " 1020 sha256:\(zero)\n", "\n", "has a name, a rank, and each family's size"),
    Edit("locking", "lockdown no-egress 10", "lockdown a-first 10", "is out of order"),
    Edit("locking", "lockdown no-egress 10", "lockdown isolate 31", "two lockdown profiles have the name isolate"),
    Edit("locking", "mode owned", "mode withdrawn", "unexpected line 'file ipv4.rules"),
    Edit("locking", "lockdown no-egress", "note x\nlockdown no-egress", "unexpected line 'note x'"),
    Edit("proof", "leaf 2", "leaf 3", "leaf 3 does not lie in a tree of 3"),
    Edit("proof", "leaf 2", "leaf 02", "not a canonical number"),
    Edit("proof", "leaf 2", "leaf 1", "leaf 1 of 3 takes 2 digests, not 1"),
    Edit("proof", "hosts 3", "hosts 0", "does not lie in a tree"),
    Edit("proof", "sha256:0", "sha256:", ":4: 'sha256:"),
    Edit("proof", "\(zero)\n", "\(zero)\n\n", ":5: ''"),
    Edit("proof", "\(zero)\n", "\(zero) \n", "not sha256:"),
  ]

  @Test(arguments: refused) func anyOtherSpellingIsRefusedByLineAndReason(_ edit: TextEdit<String>) throws {
    let texts = [
      "statement": Self.statement, "manifest": Self.manifest, "proof": Self.proof, "locking": Self.locking,
    ]
    let original = try #require(texts[edit.kind])
    let text = edit.applied(to: original)
    #expect(text != Array(original.utf8))
    let problem = #expect(throws: FormatProblem.self) { try Self.reencode(text, as: edit.kind) }
    #expect(problem?.description.contains(edit.says) == true, "\(String(describing: problem))")
  }

  @Test(arguments: valid) func everyPrefixIsRefused(_ kind: String, _ text: String) {
    let bytes = Array(text.utf8)
    for count in 0..<bytes.count {
      // A proof of fewer levels and a withdrawn manifest may be whole before the text ends; then it is another value.
      if let read = try? Self.reencode(Array(bytes[..<count]), as: kind) { #expect(read == Array(bytes[..<count])) }
    }
  }

  @Test(arguments: valid) func whateverMutationIsReadIsWrittenAgainByteByByte(_ kind: String, _ text: String) {
    expectEveryMutationRefusedOrKept(text, as: kind) { try Self.reencode($0, as: kind) }
  }

  @Test func textsOverTheirSizeAreRefusedUnread() {
    let long = [UInt8](repeating: UInt8(ascii: "x"), count: BundleFile.manifest.maximumSize + 1)
    #expect(throws: FormatProblem.self) { try Manifest.parse(long) }
    let labels = (0..<4000).map { "label-number-\($0)-that-is-long" }
    let problem = #expect(throws: FormatProblem.self) { try ReleaseFixture.manifest("h1", labels: labels) }
    #expect(problem?.reason.contains("too many labels") == true)
  }

  @Test func reasonsHaveALength() throws {
    func statement(_ reason: String) throws -> ReleaseStatement {
      try ReleaseStatement(
        fleet: ReleaseFixture.fleet, serial: Serial(1), issued: ReleaseFixture.now, expires: ReleaseFixture.now + 1,
        hosts: 1, root: Digest(of: []), reason: reason)
    }
    let longest = try statement(String(repeating: "x", count: 512))
    #expect(try ReleaseStatement.parse(longest.encode()) == longest)
    for bad in ["", String(repeating: "x", count: 513), "two\nlines", "größer", " x", "x "] {
      #expect(throws: FormatProblem.self) { try statement(bad) }
    }
  }

  @Test func timesOutsideTheFormatsYearsAreRefused() {
    for seconds in [Int64(-1), 253_402_300_800] {
      #expect(throws: FormatProblem.self) {
        try ReleaseStatement(
          fleet: ReleaseFixture.fleet, serial: Serial(1), issued: UTCTime(secondsSinceEpoch: min(seconds, 0)),
          expires: UTCTime(secondsSinceEpoch: max(seconds, 1)), hosts: 1, root: Digest(of: []))
      }
    }
  }

  @Test func contentIsTheSameUnderAnotherSerialAndOnlyThen() throws {
    let first = try ReleaseFixture.manifest("h1", serial: 1)
    #expect(first.contentDigest == (try ReleaseFixture.manifest("h1", serial: 2)).contentDigest)
    #expect(first.contentDigest != (try ReleaseFixture.manifest("h2", serial: 1)).contentDigest)
    #expect(first.contentDigest != (try ReleaseFixture.manifest("h1", serial: 1, labels: ["web"])).contentDigest)
    #expect(first.contentDigest != Digest(of: first.encode()))
  }

  @Test func profilesArePartOfTheContentSortedByNameAndAtMostEight() throws {
    func manifest(_ names: [String], rank: UInt16 = 30, mode: Manifest.Mode = .owned) throws -> Manifest {
      let plain = try ReleaseFixture.manifest("h1", mode: mode)
      return try Manifest(
        fleet: plain.fleet, host: plain.host, serial: plain.serial, mode: mode, labels: [], sources: [],
        files: plain.files, profiles: names.map { try ReleaseFixture.profile($0, rank: rank) })
    }
    #expect(try manifest(["b", "a-b", "a"]).profiles.map(\.name.description) == ["a", "a-b", "b"])
    let digests =
      try [[], ["a"], ["b"]].map { try manifest($0).contentDigest } + [manifest(["a"], rank: 31).contentDigest]
    #expect(Set(digests).count == digests.count)
    let names = (1...9).map { "p\($0)" }
    #expect(throws: Never.self) { try manifest(Array(names.dropLast())) }
    #expect(throws: FormatProblem.self) { try manifest(names) }
    #expect(throws: FormatProblem.self) { try manifest(["a", "a"]) }
    #expect(throws: FormatProblem.self) { try manifest(["a"], mode: .withdrawn) }
  }

  @Test func labelsAndSourcesAreSortedAndOnce() throws {
    let manifest = try ReleaseFixture.manifest("h1", labels: ["b", "a", "b"], sources: ["::1", "10.0.0.1", "::1"])
    #expect(manifest.labels == ["a", "b"])
    #expect(manifest.sources == ["10.0.0.1", "::1"])
  }
}

func replacingFirst(_ old: [UInt8], with new: [UInt8], in bytes: [UInt8]) -> [UInt8] {
  guard !old.isEmpty, bytes.count >= old.count else { return bytes }
  for start in 0...(bytes.count - old.count) where bytes[start..<start + old.count].elementsEqual(old) {
    return bytes[..<start] + new + bytes[(start + old.count)...]
  }
  return bytes
}
