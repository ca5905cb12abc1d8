import Core
import Release

typealias BundleAttack = Attack<BundleScene, BundleProblem.Kind>

/// What is done to a good delivery.
enum BundleAttacks {
  static let all = files + signatures + serials + targets + mixing + profiles + signedTexts + signedManifests

  private static let files: [BundleAttack] = [
    BundleAttack("no statement", .malformed, "no release.statement") { $0.files[.statement] = nil },
    BundleAttack("no signature", .malformed, "no release.statement.0.sig") { $0.files[.signature(0)] = nil },
    BundleAttack("no manifest", .malformed, "no manifest") { $0.files[.manifest] = nil },
    BundleAttack("no proof", .malformed, "no proof") { $0.files[.proof] = nil },
    BundleAttack("no IPv4 rules", .malformed, "no ipv4.rules") { $0.files[.rules(.ipv4)] = nil },
    BundleAttack("no IPv6 rules", .malformed, "no ipv6.rules") { $0.files[.rules(.ipv6)] = nil },
    BundleAttack("no rules at all", .malformed, "no ipv4.rules") {
      $0.files[.rules(.ipv4)] = nil
      $0.files[.rules(.ipv6)] = nil
    },
    BundleAttack("a gap in the signatures", .malformed, "no release.statement.1.sig") {
      $0.files[.signature(2)] = $0.files[.signature(0)]
    },
    BundleAttack("a 17th signature", .malformed, "must not have release.statement.16.sig") {
      for index in 1...16 { $0.files[.signature(index)] = $0.files[.signature(0)] }
    },
    BundleAttack("signature number -1", .malformed, "must not have release.statement.-1.sig") {
      $0.files[.signature(-1)] = $0.files[.signature(0)]
    },
    BundleAttack("a statement over 4 KiB", .tooLarge, "release.statement has 4097 bytes, more than the 4096") {
      $0.files[.statement] = [UInt8](repeating: 0x20, count: 4097)
    },
    BundleAttack("a signature over 4 KiB", .tooLarge, "release.statement.0.sig has 4097") {
      $0.files[.signature(0)] = [UInt8](repeating: 0x20, count: 4097)
    },
    BundleAttack("a manifest over 64 KiB", .tooLarge, "manifest has 65537") {
      $0.files[.manifest] = [UInt8](repeating: 0x20, count: 65_537)
    },
    BundleAttack("a proof over 8 KiB", .tooLarge, "proof has 8193") {
      $0.files[.proof] = [UInt8](repeating: 0x20, count: 8193)
    },
    BundleAttack("rules over 8 MiB", .tooLarge, "ipv6.rules has 8388609") {
      $0.files[.rules(.ipv6)] = [UInt8](repeating: 0x20, count: (8 << 20) + 1)
    },
  ]

  private static let signatures: [BundleAttack] = [
    BundleAttack("empty signature", .badSignature, "is not a signature accepted here") { $0.files[.signature(0)] = [] },
    BundleAttack("random signature", .badSignature, "does not begin with") {
      $0.files[.signature(0)] = [UInt8](repeating: 0xff, count: 300)
    },
    BundleAttack("one bit of the signature", .badSignature, "") {
      let armored = $0.files[.signature(0)]!
      var blob = try SSHSignatureArmor.decode(armored)
      blob[blob.count - 10] ^= 1
      $0.files[.signature(0)] = SSHSignatureArmor.encode(blob)
    },
    BundleAttack("another key", .unknownKey, "which this host's allowed_signers does not know") {
      try $0.resign(BundleScene.stranger)
    },
    BundleAttack("a revoked key", .unknownKey, "does not know") {
      try $0.resign(BundleScene.bert)
      $0.signers = try BundleScene.signers(bertToo: false)
    },
    BundleAttack("an expired key", .expiredKey, "a key of dora that ended at 2026-11-21T12:00:00Z") {
      try $0.resign(BundleScene.ended)
    },
    BundleAttack("a key not yet valid", .expiredKey, "a key of eva that begins at 2026-11-21T12:00:01Z") {
      try $0.resign(BundleScene.coming)
    },
    BundleAttack("a key for lockdowns", .otherNamespace, "carl, who may sign lockdown@portcullis but not release") {
      try $0.resign(BundleScene.carl)
    },
    BundleAttack("a signature for unlocking", .otherNamespace, "was made for 'unlock@portcullis'") {
      $0.files[.signature(0)] = try BundleScene.anna.sign($0.files[.statement]!, namespace: "unlock@portcullis")
    },
    BundleAttack("a signature for git", .otherNamespace, "was made for 'git'") {
      $0.files[.signature(0)] = try BundleScene.anna.sign($0.files[.statement]!, namespace: "git")
    },
    BundleAttack("a lockdown signature by a lockdown key", .otherNamespace, "carl") {
      $0.files[.signature(0)] = try BundleScene.carl.sign($0.files[.statement]!, namespace: "lockdown@portcullis")
    },
    BundleAttack("a token that was not touched", .badSignature, "was not touched") {
      var untouched = TestSigner.Deviations()
      untouched.flags = 0
      $0.files[.signature(0)] = try BundleScene.annasToken.sign($0.files[.statement]!, untouched)
    },
    BundleAttack("anna's key named, the stranger's signature", .badSignature, "is not anna's signature") {
      var claimed = TestSigner.Deviations()
      claimed.publicBlob = BundleScene.anna.publicBlob
      $0.files[.signature(0)] = try BundleScene.stranger.sign($0.files[.statement]!, claimed)
    },
    BundleAttack("the signature of another release", .badSignature, "is not anna's signature") {
      $0.files[.signature(0)] = try BundleScene.anna.sign(ReleaseFixture.release(serial: 43).statement.encode())
    },
    BundleAttack("one bit of the statement", .badSignature, "is not anna's signature") { $0.flip(.statement, at: 30) },
    BundleAttack("a later expiry, unsigned", .badSignature, "is not anna's signature") {
      $0.edit(.statement, "expires 2026", "expires 2036")
    },
    BundleAttack("garbage for a statement is not even read", .badSignature, "is not anna's signature") {
      $0.files[.statement] = [0, 1, 2]
    },
    BundleAttack("one person where two are needed", .badSignature, "of 2 people and has those of 1 (anna)") {
      $0.threshold = 2
    },
    BundleAttack("one person's two keys", .badSignature, "of 2 people and has those of 1 (anna)") {
      $0.threshold = 2
      try $0.resign(BundleScene.anna, BundleScene.annasToken)
    },
    BundleAttack("one signature twice", .badSignature, "of 2 people and has those of 1") {
      $0.threshold = 2
      try $0.resign(BundleScene.anna, BundleScene.anna)
    },
    BundleAttack("the second of two by a stranger", .unknownKey, "release.statement.1.sig was made with the key") {
      $0.threshold = 2
      try $0.resign(BundleScene.anna, BundleScene.stranger)
    },
    BundleAttack("the second of two expired", .expiredKey, "dora") {
      $0.threshold = 2
      try $0.resign(BundleScene.anna, BundleScene.ended)
    },
  ]

  private static let serials: [BundleAttack] =
    [1, 2, 39, 40].map { older in
      BundleAttack("replay of release \(older)", .olderSerial, "release \(older) is older than release 41") {
        try $0.replace(with: ReleaseFixture.release(serial: older))
      }
    } + [
      BundleAttack("an older release that expired too", .olderSerial, "older than release 41") {
        try $0.replace(with: ReleaseFixture.release(serial: 7, expires: BundleScene.now + 1))
        $0.now = BundleScene.now + 100
      },
      BundleAttack("the same serial, another release", .equalSerialOtherBytes, "another release 41") {
        try $0.replace(with: ReleaseFixture.release(serial: 41, note: "other"), note: "other")
      },
      BundleAttack("the same statement, another manifest remembered", .equalSerialOtherBytes, "another release 41") {
        let release = try ReleaseFixture.release(serial: 41)
        try $0.replace(with: release)
        $0.installed = InstalledRelease(
          serial: Serial(41), manifest: Digest(of: [1]), statement: Digest(of: release.statement.encode()))
      },
      BundleAttack("the highest serial there is", .serialTooFarAhead, "18446744073709551615 is more than 1048576 ahead")
      {
        try $0.replace(with: ReleaseFixture.release(serial: .max))
      },
      BundleAttack("one serial too far", .serialTooFarAhead, "of release 41") {
        try $0.replace(with: ReleaseFixture.release(serial: 41 + (1 << 20) + 1))
      },
      BundleAttack("one serial too far for a fresh host", .serialTooFarAhead, "of release 0") {
        try $0.replace(with: ReleaseFixture.release(serial: (1 << 20) + 1))
        $0.installed = nil
      },
      BundleAttack("any serial after the highest", .olderSerial, "older than release 18446744073709551615") {
        $0.installed = InstalledRelease(serial: Serial(.max), manifest: Digest(of: []), statement: Digest(of: []))
      },
      BundleAttack("expired this second", .releaseExpired, "release 42 expired at 2026-11-28T12:00:00Z") {
        $0.now = BundleScene.now + 7 * 86_400
      },
      BundleAttack("expired ten years ago", .releaseExpired, "this host's clock says 2036") {
        $0.now = BundleScene.now + 3653 * 86_400
      },
    ]

  private static let targets: [BundleAttack] = [
    BundleAttack("the bundle of another host", .otherHost, "is for host h2; this host is h3") {
      try $0.replace(with: ReleaseFixture.release(), host: "h2")
    },
    BundleAttack("a host whose name differs in case", .otherHost, "is for host h3; this host is H3") {
      $0.host = HostID("H3")!
    },
    BundleAttack("another fleet", .otherFleet, "is for fleet staging; this host belongs to example") {
      try $0.replace(with: ReleaseFixture.release(fleet: FleetID("staging")!))
    },
    BundleAttack("the manifest of another fleet in our release", .malformed, "manifest's fleet is staging") {
      try $0.editManifest("fleet example", "fleet staging")
    },
    BundleAttack("the manifest of another serial in our release", .malformed, "manifest's serial is 43") {
      try $0.editManifest("serial 42", "serial 43")
    },
  ]

  private static let mixing: [BundleAttack] =
    BundleFile.mixable.map { file in
      BundleAttack("\(file.fileName) of release 43", .badSignature, file.fileName == "manifest" ? "not part" : "") {
        $0.files[file] = try ReleaseFixture.bundle(
          ReleaseFixture.release(serial: 43, note: "new"), signers: [BundleScene.anna], note: "new")[file]
      }
    }
    + BundleFile.mixable.dropFirst(2).map { file in
      BundleAttack("\(file.fileName) of h2", .badSignature, "") {
        $0.files[file] = try ReleaseFixture.bundle(
          ReleaseFixture.release(), host: "h2", signers: [BundleScene.anna])[file]
      }
    } + [
      BundleAttack("the families swapped", .badSignature, "ipv4.rules is not the signed one: its digest") {
        ($0.files[.rules(.ipv4)], $0.files[.rules(.ipv6)]) = ($0.files[.rules(.ipv6)], $0.files[.rules(.ipv4)])
      },
      BundleAttack("one byte of the IPv4 rules", .badSignature, "ipv4.rules is not the signed one: its digest") {
        $0.flip(.rules(.ipv4), at: 20)
      },
      BundleAttack("a byte more of the IPv6 rules", .badSignature, "ipv6.rules is not the signed one: it has") {
        $0.files[.rules(.ipv6)]!.append(10)
      },
      BundleAttack("rules cut short at a COMMIT", .badSignature, "ipv6.rules is not the signed one: it has") {
        $0.files[.rules(.ipv6)] = Array($0.files[.rules(.ipv6)]!.dropLast(7))
      },
      BundleAttack("empty rules", .badSignature, "it has 0 bytes") { $0.files[.rules(.ipv4)] = [] },
      BundleAttack("one bit of the manifest", .badSignature, "not part of the signed release 42") {
        $0.flip(.manifest, at: 60)
      },
      BundleAttack("one digit of the proof", .badSignature, "not part of the signed release 42") {
        let last = $0.files[.proof]!.count - 2
        $0.files[.proof]![last] = $0.files[.proof]![last] == 0x30 ? 0x31 : 0x30
      },
      BundleAttack("the proof of another leaf", .badSignature, "not part of") { $0.edit(.proof, "leaf 2", "leaf 3") },
      BundleAttack("a proof in a larger tree", .badSignature, "not part of") { $0.edit(.proof, "hosts 5", "hosts 6") },
      BundleAttack("a proof in a tree too small", .malformed, "takes 2 digests") {
        $0.edit(.proof, "hosts 5", "hosts 4")
      },
      BundleAttack("a proof with a level more", .malformed, "takes 3 digests, not 4") {
        $0.files[.proof]! += Array("\(Digest(of: []))\n".utf8)
      },
      BundleAttack("a proof with Windows line ends", .malformed, "byte 0x0d") { $0.edit(.proof, "\n", "\r\n") },
      BundleAttack("a proof with capitals", .malformed, "not sha256:") { $0.edit(.proof, "sha256:", "SHA256:") },
      BundleAttack("a node of the tree for a manifest", .badSignature, "not part of") {
        let release = try ReleaseFixture.release()
        let leaves = release.hosts.map { MerkleTree.leafHash($0.manifest.encode()) }
        $0.files[.manifest] = leaves[2].bytes + leaves[3].bytes
      },
      BundleAttack("rules for a withdrawn host", .malformed, "must not have ipv4.rules") {
        let rules = ReleaseFixture.rules(of: "h3")
        try $0.replace(with: ReleaseFixture.release(mode: .withdrawn))
        for family in Family.allCases { $0.files[.rules(family)] = rules[family] }
      },
    ]

  /// On a bundle of two profiles: isolate, then no-egress.
  private static let profiles: [BundleAttack] = [
    BundleAttack("profiles that the manifest does not name", .malformed, "must not have lockdown.0.ipv4.rules") {
      let plain = $0.files
      try $0.lock()
      $0.files = plain.merging($0.files.filter { BundleFile.lockdowns.contains($0.key) }) { $1 }
    },
    BundleAttack("a profile more", .malformed, "must not have lockdown.2.ipv4.rules") {
      try $0.lock()
      for family in Family.allCases { $0.files[.lockdown(2, family)] = $0.files[.lockdown(1, family)] }
    },
    BundleAttack("a profile of a withdrawn host", .malformed, "must not have lockdown.0.ipv4.rules") {
      try $0.lock()
      let rules = $0.files[.lockdown(0, .ipv4)]
      try $0.replace(with: ReleaseFixture.release(mode: .withdrawn))
      for family in Family.allCases { $0.files[.lockdown(0, family)] = rules }
    },
    BundleAttack("a ninth profile", .malformed, "must not have lockdown.8.ipv4.rules") {
      try $0.lock()
      $0.files[.lockdown(8, .ipv4)] = []
    },
    BundleAttack("profile number -1", .malformed, "must not have lockdown.-1.ipv6.rules") {
      try $0.lock()
      $0.files[.lockdown(-1, .ipv6)] = []
    },
    BundleAttack("one family of the last profile", .malformed, "the bundle has no lockdown.1.ipv6.rules") {
      try $0.lock()
      $0.files[.lockdown(1, .ipv6)] = nil
    },
    BundleAttack("not the last profile", .malformed, "the bundle has no lockdown.1.ipv4.rules") {
      try $0.lock()
      for family in Family.allCases { $0.files[.lockdown(1, family)] = nil }
    },
    BundleAttack("not the first profile", .malformed, "the bundle has no lockdown.0.ipv4.rules") {
      try $0.lock()
      for family in Family.allCases { $0.files[.lockdown(0, family)] = nil }
    },
    BundleAttack("no profile at all", .malformed, "the bundle has no lockdown.0.ipv4.rules") {
      try $0.lock()
      for file in BundleFile.lockdowns { $0.files[file] = nil }
    },
    BundleAttack("one byte of a profile", .badSignature, "lockdown.1.ipv6.rules is not the signed one: its digest") {
      try $0.lock()
      $0.flip(.lockdown(1, .ipv6), at: 3)
    },
    BundleAttack("a profile a byte longer", .badSignature, "lockdown.0.ipv4.rules is not the signed one: it has") {
      try $0.lock()
      $0.files[.lockdown(0, .ipv4)]!.append(10)
    },
    BundleAttack("an empty profile", .badSignature, "lockdown.0.ipv6.rules is not the signed one: it has 0 bytes") {
      try $0.lock()
      $0.files[.lockdown(0, .ipv6)] = []
    },
    BundleAttack("the profiles exchanged", .badSignature, "lockdown.0.ipv4.rules is not the signed one") {
      try $0.lock()
      for family in Family.allCases {
        let first = $0.files[.lockdown(0, family)]
        $0.files[.lockdown(0, family)] = $0.files[.lockdown(1, family)]
        $0.files[.lockdown(1, family)] = first
      }
    },
    BundleAttack("a profile's families exchanged", .badSignature, "lockdown.0.ipv4.rules is not the signed one") {
      try $0.lock()
      let (ipv4, ipv6) = (BundleFile.lockdown(0, .ipv4), BundleFile.lockdown(0, .ipv6))
      ($0.files[ipv4], $0.files[ipv6]) = ($0.files[ipv6], $0.files[ipv4])
    },
    BundleAttack("a profile over 256 KiB", .tooLarge, "lockdown.0.ipv4.rules has 262145 bytes, more than the 262144") {
      try $0.lock()
      $0.files[.lockdown(0, .ipv4)] = [UInt8](repeating: 0x20, count: (256 << 10) + 1)
    },
  ]

  private static let signedTexts: [BundleAttack] = [
    BundleAttack("signed: Windows line ends", .malformed, "byte 0x0d") { try $0.editSigned("\nserial", "\r\nserial") },
    BundleAttack("signed: an empty line at the end", .malformed, "unexpected line ''") {
      try $0.editSigned("reason -\n", "reason -\n\n")
    },
    BundleAttack("signed: no line feed at the end", .malformed, "does not end with a line feed") {
      try $0.editSigned("reason -\n", "reason -")
    },
    BundleAttack("signed: a field more", .malformed, "unexpected line 'note x'") {
      try $0.editSigned("reason -\n", "reason -\nnote x\n")
    },
    BundleAttack("signed: a field twice", .malformed, "a 'issued …' line must stand here") {
      try $0.editSigned("serial 42\n", "serial 42\nserial 43\n")
    },
    BundleAttack("signed: a field missing", .malformed, "a 'expires …' line must stand here") {
      try $0.editSigned("expires 2026-11-28T12:00:00Z\n", "")
    },
    BundleAttack("signed: two fields exchanged", .malformed, "a 'fleet …' line must stand here") {
      try $0.editSigned("fleet example\nserial 42\n", "serial 42\nfleet example\n")
    },
    BundleAttack("signed: a serial with a zero before it", .malformed, "'042'") {
      try $0.editSigned("serial 42", "serial 042")
    },
    BundleAttack("signed: a serial with a plus", .malformed, "'+42'") { try $0.editSigned("serial 42", "serial +42") },
    BundleAttack("signed: a serial over 64 bits", .malformed, "'18446744073709551658'") {
      try $0.editSigned("serial 42", "serial 18446744073709551658")
    },
    BundleAttack("signed: serial 0", .malformed, "serial 0") { try $0.editSigned("serial 42", "serial 0") },
    BundleAttack("signed: a root in capitals", .malformed, "not sha256:") { try $0.editSigned("root sha", "root SHA") },
    BundleAttack("signed: a byte order mark", .malformed, "byte 0xef") {
      try $0.editSigned("portcullis-release", "\u{feff}portcullis-release")
    },
    BundleAttack("signed: a tab for a space", .malformed, "byte 0x09") { try $0.editSigned("serial 42", "serial\t42") },
    BundleAttack("signed: version 2", .malformed, "format version '2'") { try $0.editSigned("release 1", "release 2") },
    BundleAttack("signed: an escape sequence", .malformed, "byte 0x1b") {
      try $0.editSigned("reason -", "reason \u{1b}[2J")
    },
    BundleAttack("signed: more hosts than leaves", .badSignature, "not part of") {
      try $0.editSigned("hosts 5", "hosts 6")
    },
    BundleAttack("signed: a time without Z", .malformed, "not a time") { try $0.editSigned("12:00:00Z", "12:00:00") },
    BundleAttack("signed: nothing", .malformed, "the text ends where a 'portcullis-release' line") {
      $0.files[.statement] = []
      try $0.resign(BundleScene.anna)
    },
  ]

  private static let signedManifests: [BundleAttack] = [
    BundleAttack("signed manifest: Windows line ends", .malformed, "manifest:1: byte 0x0d") {
      try $0.editManifest("\n", "\r\n")
    },
    BundleAttack("signed manifest: one family", .malformed, "where a 'file ipv6.rules' line") {
      let digest = Manifest.File(describing: $0.files[.rules(.ipv6)]!)
      try $0.editManifest("file ipv6.rules \(digest.size) \(digest.digest)\n", "")
    },
    BundleAttack("signed manifest: withdrawn with files", .malformed, "unexpected line 'file ipv4") {
      try $0.editManifest("mode exclusive", "mode withdrawn")
    },
    BundleAttack("signed manifest: a host twice", .malformed, "a 'serial …' line must stand here") {
      try $0.editManifest("host h3\n", "host h3\nhost h2\n")
    },
    BundleAttack("signed manifest: another path", .malformed, "a 'file ipv4.rules …' line") {
      try $0.editManifest("file ipv4.rules", "file /etc/passwd")
    },
    BundleAttack("signed manifest: a size with a zero before it", .malformed, "size in bytes and a digest") {
      try $0.editManifest("file ipv4.rules ", "file ipv4.rules 0")
    },
    BundleAttack("signed manifest: empty", .malformed, "manifest:1: the text ends") { try $0.signManifest([]) },
    BundleAttack("signed manifest: a source that is a name", .malformed, "source 'localhost' is not a numeric") {
      try $0.editManifest("mode exclusive\n", "mode exclusive\nsource localhost\n")
    },
  ]
}

extension BundleFile {
  /// Files that mean something else in another bundle.
  static let mixable: [BundleFile] = [.statement, .signature(0), .manifest, .proof, .rules(.ipv4), .rules(.ipv6)]
}
