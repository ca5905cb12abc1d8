import Core
import Release
import Testing

/// Lockdown profiles in bundles; what is refused of them is among `BundleAttack.all`.
@Suite struct BundleProfileTests {
  @Test func profilesAreThoseOfTheManifestInItsOrder() throws {
    var scene = try BundleScene()
    try scene.lock()
    let bundle = try scene.verify()
    #expect(bundle.profiles.map(\.entry) == bundle.manifest.profiles)
    #expect(bundle.profiles.map(\.entry.name.description) == ["isolate", "no-egress"])
    #expect(bundle.profiles.map(\.rules) == ["isolate", "no-egress"].map { ReleaseFixture.rules(of: $0) })
    #expect(scene.files[.lockdown(1, .ipv6)] == ReleaseFixture.rules(of: "no-egress").ipv6)
  }

  @Test func theyComeBackFromTheHostsOwnStoreOnlyAsTheyWereSigned() throws {
    var scene = try BundleScene()
    try scene.lock()
    let accepted = try scene.verify().asInstalled
    let verifier = BundleVerifier(allowedSigners: scene.signers, fleet: scene.fleet, host: scene.host)
    #expect(try verifier.readmit(UnverifiedBundle(files: scene.files), accepted: accepted).profiles.count == 2)
    for change in [[UInt8("x".utf8.first!)], nil] {
      var files = scene.files
      files[.lockdown(0, .ipv6)] = change
      // What went bad is left out, and keeps nobody from the rules.
      let again = try verifier.readmit(UnverifiedBundle(files: files), accepted: accepted)
      #expect(again.profiles.map(\.entry.name.description) == ["no-egress"])
    }
  }

  @Test func asManyAsAreAllowedFitAndOneMoreIsNoManifest() throws {
    var scene = try BundleScene()
    func profiles(_ count: Int) -> [String: UInt16] {
      Dictionary(uniqueKeysWithValues: (0..<count).map { ("p\($0)", UInt16($0)) })
    }
    let release = try ReleaseFixture.release(profiles: profiles(BundleFile.maximumProfiles))
    scene.files = try ReleaseFixture.bundle(release, signers: [BundleScene.anna])
    #expect(try scene.verify().profiles.count == 8)
    #expect(throws: FormatProblem.self) { try ReleaseFixture.manifest("h3", profiles: profiles(9)) }
  }

  @Test func aProfileIsPartOfWhatTheHostIsToRun() throws {
    let (plain, locking) = (
      try ReleaseFixture.manifest("h3"), try ReleaseFixture.manifest("h3", profiles: ["isolate": 30])
    )
    let other = try ReleaseFixture.manifest("h3", profiles: ["isolate": 31])
    #expect(Set([plain, locking, other].map(\.contentDigest)).count == 3)
  }

  /// A host stays current when its controller learns about profiles and its release names none.
  @Test func aBundleWithoutProfilesIsWhatItWasBefore() throws {
    let text = TextFormatTests.beside
    let manifest = try Manifest.parse(Array(text.utf8))
    #expect(manifest.profiles.isEmpty && manifest.encode() == Array(text.utf8))
    #expect(manifest.contentDigest == Digest(of: Array(text.replacing("serial 42\n", with: "").utf8)))
    let bundle = try BundleScene().verify()
    #expect(bundle.profiles.isEmpty)
    #expect(
      Set(try BundleScene().files.keys) == [
        .statement, .signature(0), .manifest, .proof, .rules(.ipv4), .rules(.ipv6),
      ])
  }

  @Test func everyFileHasItsOwnName() {
    #expect(Set(BundleFile.all.map(\.fileName)).count == BundleFile.all.count)
    #expect(BundleFile.lockdown(3, .ipv6).fileName == "lockdown.3.ipv6.rules")
    #expect(BundleFile.lockdowns.count == 16)
  }
}
