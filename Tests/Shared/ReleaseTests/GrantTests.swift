import Core
import Release
import Testing

/// What a manifest may say beyond mode and rules.
@Suite struct GrantTests {
  private static let digest = Digest(of: [])
  private static let file = Manifest.File(size: 0, digest: digest)

  private static func manifest(
    grants: [Grant] = [], mode: Manifest.Mode = .owned, forwardsForeign: Bool = false, deniesForeign: Bool = false,
    foreignAllowed: [String] = []
  ) throws -> Manifest {
    try Manifest(
      fleet: FleetID("example")!, host: HostID("web01")!, serial: Serial(7), grants: grants, mode: mode,
      forwardsForeign: forwardsForeign, deniesForeign: deniesForeign, foreignAllowed: foreignAllowed, labels: [],
      sources: [],
      files: PerFamily(ipv4: file, ipv6: file))
  }

  private static let rule = "-A INPUT -p tcp -m tcp --dport 8081 -j ACCEPT"

  @Test func everyGrantIsReadAsItIsWritten() throws {
    let grants = [Grant.overrideLockout, .takeOver, .acceptOthers] + ForeignOwner.allCases.map(Grant.evict)
    for grant in grants { #expect(Grant(grant.text) == grant) }
    let full = try Self.manifest(grants: grants.reversed(), forwardsForeign: true, foreignAllowed: [Self.rule, "*"])
    #expect(Set(full.grants) == Set(grants))
    let read = try Manifest.parse(full.encode())
    #expect(read == full)
    #expect(read.encode() == full.encode())
  }

  @Test func grantsAreNoPartOfWhatTheHostIsToRun() throws {
    let plain = try Self.manifest()
    let granted = try Self.manifest(grants: [.takeOver, .overrideLockout, .evict(.docker)])
    #expect(granted.contentDigest == plain.contentDigest)
    #expect(Digest(of: granted.encode()) != Digest(of: plain.encode()))
  }

  @Test func whatBecomesOfForeignRulesIsPartOfIt() throws {
    let plain = try Self.manifest()
    #expect(try Self.manifest(forwardsForeign: true).contentDigest != plain.contentDigest)
    #expect(try Self.manifest(foreignAllowed: [Self.rule]).contentDigest != plain.contentDigest)
    let denying = try Self.manifest(deniesForeign: true)
    #expect(denying.contentDigest != plain.contentDigest)
    #expect(try Manifest.parse(denying.encode()) == denying && denying.deniesForeign && !plain.deniesForeign)
  }

  @Test(arguments: [Manifest.Mode.exclusive]) func onlyOwnedModeKnowsForeignRules(_ mode: Manifest.Mode) {
    #expect(throws: FormatProblem.self) { try Self.manifest(mode: mode, forwardsForeign: true) }
    #expect(throws: FormatProblem.self) { try Self.manifest(mode: mode, foreignAllowed: [Self.rule]) }
    #expect(throws: FormatProblem.self) { try Self.manifest(mode: mode, deniesForeign: true) }
  }

  @Test(arguments: [
    "", "ACCEPT", "-I INPUT -j ACCEPT", "-A INPUT -j ACCEPT ", "-A INPUT\n-A INPUT -j ACCEPT", "-A INPUT \u{1b}[31m",
    "-A INPUT " + String(repeating: "x", count: 1024),
  ]) func aForeignRuleIsOneLineAsPrinted(_ rule: String) {
    #expect(throws: FormatProblem.self) { try Self.manifest(foreignAllowed: [rule]) }
  }

  /// Each line of a good manifest replaced by one that nothing would write.
  @Test(arguments: [
    ("grant take-over", "grant everything"), ("grant take-over", "grant evict:nobody"),
    ("grant take-over", "grant take-over\ngrant take-over"), ("grant take-over", "grant take-over\ngrant evict:docker"),
    ("forward foreign", "forward ours"), ("forward foreign", "forward foreign\nforward foreign"),
    ("mode owned", "mode exclusive"), ("foreign deny", "foreign allow"), ("foreign deny", "foreign deny\nforeign deny"),
  ]) func nothingElseIsRead(_ line: String, _ other: String) throws {
    let good = try Self.manifest(
      grants: [.takeOver], forwardsForeign: true, deniesForeign: true, foreignAllowed: [Self.rule]
    ).encode()
    let text = String(decoding: good, as: UTF8.self)
    #expect(text.contains(line + "\n"))
    let bad = text.split(separator: "\n").map { $0 == line ? other : String($0) }.joined(separator: "\n") + "\n"
    #expect(throws: FormatProblem.self) { try Manifest.parse(Array(bad.utf8)) }
  }
}
