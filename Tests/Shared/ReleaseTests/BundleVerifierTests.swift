import Core
import Release
import TestSupport
import Testing

@Suite struct BundleVerifierTests {
  @Test func aGoodDeliveryIsVerified() throws {
    let scene = try BundleScene()
    let bundle = try scene.verify()
    #expect(bundle.statement.serial == Serial(42))
    #expect(bundle.manifest.host == HostID("h3"))
    #expect(bundle.rules == ReleaseFixture.rules(of: "h3"))
    #expect(bundle.principals == ["anna"])
    #expect(!bundle.isRepeat)
    #expect(bundle.statementDigest == Digest(of: scene.files[.statement]!))
    #expect(bundle.manifestDigest == Digest(of: scene.files[.manifest]!))
    #expect(bundle.asInstalled.serial == Serial(42))
  }

  @Test(arguments: BundleAttacks.all) func everyAttackIsRefusedForItsReason(_ attack: BundleAttack) throws {
    var scene = try BundleScene()
    try attack.attack(&scene)
    let problem = #expect(throws: BundleProblem.self) { try scene.verify() }
    #expect(problem?.kind == attack.kind, "\(String(describing: problem))")
    #expect(problem?.description.contains(attack.says) == true, "\(String(describing: problem))")
    #expect(problem.map { SafeText.escape($0.description) == $0.description } == true)
  }

  @Test func thereAreAttacksEnoughAndEachKindIsAmongThem() {
    #expect(BundleAttacks.all.count >= 100)
    #expect(Set(BundleAttacks.all.map(\.kind)) == Set(BundleProblem.Kind.allCases))
    #expect(Set(BundleAttacks.all.map(\.description)).count == BundleAttacks.all.count)
  }

  @Test func everyHostOfAReleaseTakesItsOwnBundleAndNoOther() throws {
    let hosts = ["h1", "h2", "h3", "h4", "h5"]
    let release = try ReleaseFixture.release(hosts: hosts)
    for sent in hosts {
      for host in hosts {
        var scene = try BundleScene()
        scene.host = HostID(host)!
        scene.files = try ReleaseFixture.bundle(release, host: sent, signers: [BundleScene.anna])
        if sent == host {
          #expect(try scene.verify().manifest.host.description == host)
        } else {
          let problem = #expect(throws: BundleProblem.self) { try scene.verify() }
          #expect(problem?.kind == .otherHost)
        }
      }
    }
  }

  @Test func twoPeopleMeetAThresholdOfTwoInAnyOrderAmongOthers() throws {
    var scene = try BundleScene()
    scene.threshold = 2
    try scene.resign(
      BundleScene.stranger, BundleScene.bert, BundleScene.annasToken, BundleScene.ended, BundleScene.anna)
    #expect(try scene.verify().principals == ["anna", "bert"])
  }

  @Test func asManySignaturesAsAreAllowedAreRead() throws {
    var scene = try BundleScene()
    for index in 0..<15 { scene.files[.signature(index)] = try BundleScene.stranger.sign(scene.files[.statement]!) }
    scene.files[.signature(15)] = try BundleScene.anna.sign(scene.files[.statement]!)
    #expect(try scene.verify().principals == ["anna"])
  }

  @Test func aThresholdBelowOneIsOne() throws {
    var scene = try BundleScene()
    scene.threshold = 0
    try scene.resign(BundleScene.stranger)
    #expect(throws: BundleProblem.self) { try scene.verify() }
  }

  @Test(arguments: [42, 43, 41 + (1 << 20)]) func laterSerialsUpToTheStepAreTaken(_ serial: UInt64) throws {
    var scene = try BundleScene()
    try scene.replace(with: ReleaseFixture.release(serial: serial))
    #expect(try scene.verify().statement.serial == Serial(serial))
  }

  @Test(arguments: [1, 42, 1 << 20]) func aFreshHostTakesAnySerialUpToTheStep(_ serial: UInt64) throws {
    var scene = try BundleScene()
    scene.installed = nil
    try scene.replace(with: ReleaseFixture.release(serial: serial))
    #expect(try !scene.verify().isRepeat)
  }

  @Test func theHighestSerialIsTakenByAHostThatIsNear() throws {
    var scene = try BundleScene()
    scene.installed = InstalledRelease(serial: Serial(.max - 1), manifest: Digest(of: []), statement: Digest(of: []))
    try scene.replace(with: ReleaseFixture.release(serial: .max))
    #expect(try scene.verify().statement.serial == Serial(.max))
  }

  @Test func theSameBytesAgainAreARepeatEvenAfterExpiry() throws {
    var scene = try BundleScene()
    scene.installed = try BundleScene.installed(42)
    #expect(try scene.verify().isRepeat)
    scene.now = BundleScene.now + 30 * 86_400
    #expect(try scene.verify().isRepeat)
  }

  @Test func aReleaseFromTheFutureOfASlowClockIsTaken() throws {
    var scene = try BundleScene()
    scene.now = BundleScene.now + -3650 * 86_400
    #expect(try scene.verify().statement.serial == Serial(42))
    scene.now = BundleScene.now + (7 * 86_400 - 1)
    #expect(try scene.verify().statement.serial == Serial(42))
  }

  @Test func aWithdrawnHostHasNoRulesRatherThanEmptyOnes() throws {
    var scene = try BundleScene()
    try scene.replace(with: ReleaseFixture.release(mode: .withdrawn))
    let bundle = try scene.verify()
    #expect(bundle.manifest.mode == .withdrawn)
    #expect(bundle.rules == nil)
  }

  /// h3's bundle with ipsets and kernel settings, properly signed.
  private static func beside(_ sets: [UInt8]?, _ sysctl: [UInt8]?) throws -> BundleScene {
    var scene = try BundleScene()
    let plain = try ReleaseFixture.manifest("h3")
    let manifest = try Manifest(
      fleet: plain.fleet, host: plain.host, serial: plain.serial, mode: plain.mode, labels: [], sources: [],
      files: plain.files, sets: sets.map(Manifest.File.init), sysctl: sysctl.map(Manifest.File.init))
    let release = try ReleaseBuilder.build(
      fleet: plain.fleet, serial: plain.serial, issued: ReleaseFixture.now, expires: ReleaseFixture.now + 100,
      manifests: [manifest])
    scene.files = release.bundle(
      for: plain.host, rules: ReleaseFixture.rules(of: "h3"), sets: sets, sysctl: sysctl,
      signatures: [try BundleScene.anna.sign(release.statement.encode())])!
    return scene
  }

  @Test func filesBesideTheRulesAreThereExactlyWhenTheManifestNamesThem() throws {
    let (sets, sysctl) = (Array("sets\n".utf8), Array("sysctl\n".utf8))
    let bundle = try Self.beside(sets, sysctl).verify()
    #expect(bundle.sets == sets && bundle.sysctl == sysctl)
    #expect(try Self.beside(nil, sysctl).verify().sets == nil)
    for file in [BundleFile.sets, .sysctl] {
      var scene = try Self.beside(sets, sysctl)
      scene.files[file] = nil
      #expect(throws: BundleProblem.missingFile(file)) { try scene.verify() }
      scene.files[file] = Array("sxts\n".utf8)
      #expect(throws: BundleProblem.self) { try scene.verify() }
      scene.files[file] = [UInt8](repeating: 10, count: file.maximumSize + 1)
      #expect(throws: BundleProblem.tooLarge(file, size: file.maximumSize + 1)) { try scene.verify() }
      var other = try Self.beside(nil, nil)
      other.files[file] = sets
      #expect(throws: BundleProblem.surplusFile(file)) { try other.verify() }
    }
  }

  @Test func filesBesideTheRulesArePartOfTheContentAndNotOfAWithdrawal() throws {
    func content(_ sysctl: [UInt8]?) throws -> Digest {
      try Manifest.parse(try Self.beside(nil, sysctl).files[.manifest]!).contentDigest
    }
    #expect(try content([1]) != content([2]) && content([1]) != content(nil))
    #expect(throws: FormatProblem.self) {
      try Manifest(
        fleet: ReleaseFixture.fleet, host: HostID("h3")!, serial: Serial(1), mode: .withdrawn, labels: [], sources: [],
        files: nil, sets: Manifest.File(describing: [1]))
    }
  }

  @Test func whatWasAcceptedIsTakenBackWhateverBecameOfItsKeys() throws {
    let scene = try BundleScene()
    let accepted = try scene.verify().asInstalled
    let verifier = BundleVerifier(
      allowedSigners: try BundleScene.signers(bertToo: false), fleet: scene.fleet, host: scene.host, threshold: 2)
    let again = try verifier.readmit(UnverifiedBundle(files: scene.files), accepted: accepted)
    #expect(again.rules == ReleaseFixture.rules(of: "h3"))
    #expect(again.isRepeat)

    for file in BundleFile.mixable where file != .signature(0) {
      var files = scene.files
      files[file]![30] ^= 1
      #expect(throws: BundleProblem.self) { try verifier.readmit(UnverifiedBundle(files: files), accepted: accepted) }
    }
    for other in [
      InstalledRelease(serial: Serial(41), manifest: accepted.manifest, statement: accepted.statement),
      InstalledRelease(serial: accepted.serial, manifest: Digest(of: []), statement: accepted.statement),
      InstalledRelease(serial: accepted.serial, manifest: accepted.manifest, statement: Digest(of: [])),
    ] {
      #expect(throws: BundleProblem.self) {
        try verifier.readmit(UnverifiedBundle(files: scene.files), accepted: other)
      }
    }
    let elsewhere = BundleVerifier(allowedSigners: verifier.allowedSigners, fleet: scene.fleet, host: HostID("h2")!)
    #expect(throws: BundleProblem.self) {
      try elsewhere.readmit(UnverifiedBundle(files: scene.files), accepted: accepted)
    }
  }

  @Test func everySingleBitOfABundleMatters() throws {
    let seed = Random.seed(for: "bundle bits")
    var random = Random(seed: seed)
    let good = try BundleScene()
    for _ in 0..<1500 {
      var scene = good
      let file = BundleFile.mixable.randomElement(using: &random)!
      let at = Int.random(in: 0..<scene.files[file]!.count, using: &random)
      scene.files[file]![at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      #expect(throws: BundleProblem.self, "seed \(seed), \(file) byte \(at)") { try scene.verify() }
    }
  }

  @Test func theBuilderRefusesWhatNoReleaseMayHold() throws {
    func build(_ manifests: [Manifest]) throws -> BuiltRelease {
      try ReleaseBuilder.build(
        fleet: ReleaseFixture.fleet, serial: Serial(42), issued: ReleaseFixture.now, expires: ReleaseFixture.now + 1,
        manifests: manifests)
    }
    let good = try ReleaseFixture.manifest("h1")
    for bad in try [
      [], [good, good], [good, ReleaseFixture.manifest("h2", serial: 43)],
      [good, ReleaseFixture.manifest("h2", fleet: FleetID("other")!)],
    ] {
      #expect(throws: FormatProblem.self) { try build(bad) }
    }
    let hosts = try build(["h9", "h10", "h1"].map { try ReleaseFixture.manifest($0) }).hosts
    #expect(hosts.map(\.manifest.host.description) == ["h1", "h10", "h9"])
    #expect(hosts.map(\.proof.leaf) == [0, 1, 2])
  }
}
