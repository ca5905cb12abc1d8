import Core
import Release

typealias OrderAttack = Attack<OrderScene, OrderProblem.Kind>

/// What is done to a good order.
enum OrderAttacks {
  static let all =
    sizes + signatures + purposes + thresholds + replays + clocks + profiles + loosening + signedTexts

  private static let day: Int64 = 86_400

  private static let sizes: [OrderAttack] = [
    OrderAttack("a statement over 4 KiB", .tooLarge, "lockdown.order has 4097 bytes, more than the 4096") {
      $0.statement = [UInt8](repeating: 0x20, count: 4097)
    },
    OrderAttack("a signature over 4 KiB", .tooLarge, "lockdown.order.0.sig has 4097") {
      $0.signatures[0] = [UInt8](repeating: 0x20, count: 4097)
    },
    OrderAttack("17 signatures", .tooLarge, "came with 17 signatures, more than the 16") {
      $0.signatures = Array(repeating: $0.signatures[0], count: 17)
    },
  ]

  private static let signatures: [OrderAttack] = [
    OrderAttack("no signature", .unsigned, "lockdown.order came without a signature") { $0.signatures = [] },
    OrderAttack("an empty signature", .badSignature, "is not a signature accepted here") { $0.signatures = [[]] },
    OrderAttack("one bit of the signature", .badSignature, "") {
      var blob = try SSHSignatureArmor.decode($0.signatures[0])
      blob[blob.count - 10] ^= 1
      $0.signatures[0] = SSHSignatureArmor.encode(blob)
    },
    OrderAttack("a stranger's key", .unknownKey, "which this host's allowed_signers does not know") {
      try $0.sign(OrderScene.stranger)
    },
    OrderAttack("lena's key named, the stranger's signature", .badSignature, "is not lena's signature") {
      var claimed = TestSigner.Deviations()
      claimed.publicBlob = OrderScene.lena.publicBlob
      $0.signatures = [try OrderScene.stranger.sign($0.statement, namespace: "lockdown@portcullis", claimed)]
    },
    OrderAttack("a token that was not touched", .badSignature, "was not touched") {
      var untouched = TestSigner.Deviations()
      untouched.flags = 0
      $0.signatures = [try OrderScene.lenasToken.sign($0.statement, namespace: "lockdown@portcullis", untouched)]
    },
    OrderAttack("an expired key", .expiredKey, "a key of dora that ended at 2026-11-21T12:00:00Z") {
      try $0.sign(OrderScene.ended)
    },
    OrderAttack("a key not yet valid", .expiredKey, "a key of eva that begins at 2026-11-21T12:00:01Z") {
      try $0.sign(OrderScene.coming)
    },
    OrderAttack("a drill's bytes made an order's", .badSignature, "is not lena's signature over this lockdown.order") {
      try $0.send(OrderScene.lockdown(isDrill: true))
      $0.edit("kind drill", "kind order")
    },
    OrderAttack("a drill's signature under the order", .badSignature, "one of the two was changed") {
      let drill = try OrderScene.lockdown(isDrill: true).encode()
      $0.signatures = [try OrderScene.lena.sign(drill, namespace: "lockdown@portcullis")]
    },
    OrderAttack("a wider scope, unsigned", .badSignature, "is not lena's") { $0.edit("scope web", "scope all") },
    OrderAttack("a later arrive-by, unsigned", .badSignature, "is not lena's") { $0.edit("T13:00", "T14:00") },
    OrderAttack("another epoch, unsigned", .badSignature, "is not lena's") { $0.edit("epoch 7", "epoch 8") },
    OrderAttack("another profile, unsigned", .badSignature, "is not lena's") { $0.edit("isolate", "no-egress") },
    OrderAttack("garbage is not even read", .badSignature, "is not lena's") { $0.statement = [0, 1, 2] },
  ]

  private static let purposes: [OrderAttack] = [
    OrderAttack("a lockdown by a release key", .otherNamespace, "anna, who may sign release@portcullis, unlock") {
      try $0.sign(OrderScene.anna)
    },
    OrderAttack("an unlock by a lockdown key", .otherNamespace, "lena, who may sign lockdown@portcullis but not unlock")
    {
      $0 = try .unlocking()
      try $0.sign(OrderScene.lena)
    },
    OrderAttack("signed as a release", .otherNamespace, "anna, who may sign") {
      $0.signatures = [try OrderScene.anna.sign($0.statement)]
    },
    OrderAttack("signed for git", .otherNamespace, "was made for 'git'") {
      $0.signatures = [try OrderScene.lena.sign($0.statement, namespace: "git")]
    },
    OrderAttack("an unlock signed as a lockdown", .otherNamespace, "lena, who may sign lockdown") {
      try $0.send(OrderScene.unlock())
      $0.signatures = [try OrderScene.lena.sign($0.statement, namespace: "lockdown@portcullis")]
    },
    OrderAttack("an unlock by anna, signed as a lockdown", .otherNamespace, "was made for 'lockdown@portcullis'") {
      try $0.send(OrderScene.unlock())
      $0.signatures = [try OrderScene.anna.sign($0.statement, namespace: "lockdown@portcullis")]
    },
    OrderAttack("a signed lockdown sent as an unlock", .otherNamespace, "but not unlock@portcullis") {
      $0.kind = .unlock
    },
    OrderAttack("a signed unlock sent as a lockdown", .otherNamespace, "but not lockdown@portcullis") {
      $0 = try .unlocking()
      $0.kind = .lockdown
    },
    OrderAttack("an unlock's text signed as a lockdown", .malformed, "a 'portcullis-lockdown …' line must stand here") {
      $0.statement = try OrderScene.unlock().encode()
      try $0.sign(OrderScene.lena)
    },
    OrderAttack("a lockdown's text signed as an unlock", .malformed, "a 'portcullis-unlock …' line must stand here") {
      $0.kind = .unlock
      try $0.sign(OrderScene.anna)
    },
    OrderAttack("the order of another fleet", .otherFleet, "is for fleet staging; this host belongs to example") {
      try $0.send(OrderScene.lockdown(fleet: FleetID("staging")!))
    },
    OrderAttack("the unlock of another fleet", .otherFleet, "is for fleet staging") {
      $0 = try .unlocking()
      try $0.send(OrderScene.unlock(fleet: FleetID("staging")!))
    },
  ]

  private static let thresholds: [OrderAttack] = [
    OrderAttack("one person where two are needed", .tooFewPrincipals, "of 2 people and has those of 1 (lena)") {
      $0.thresholds = try Thresholds(lockdown: 2, unlock: 1)
    },
    OrderAttack("one person's two keys", .tooFewPrincipals, "lockdown.order needs the signatures of 2 people") {
      $0.thresholds = try Thresholds(lockdown: 2, unlock: 1)
      try $0.sign(OrderScene.lena, OrderScene.lenasToken)
    },
    OrderAttack("one signature twice", .tooFewPrincipals, "has those of 1") {
      $0.thresholds = try Thresholds(lockdown: 2, unlock: 1)
      try $0.sign(OrderScene.lena, OrderScene.lena)
    },
    OrderAttack("two where three are needed", .tooFewPrincipals, "of 3 people and has those of 2 (carl, lena)") {
      $0.thresholds = try Thresholds(lockdown: 3, unlock: 1)
      try $0.sign(OrderScene.lena, OrderScene.carl)
    },
    OrderAttack("the second of two by a stranger", .unknownKey, "lockdown.order.1.sig was made with the key") {
      $0.thresholds = try Thresholds(lockdown: 2, unlock: 1)
      try $0.sign(OrderScene.lena, OrderScene.stranger)
    },
    OrderAttack("an unlock under its own threshold", .tooFewPrincipals, "unlock.order needs the signatures of 2") {
      $0 = try .unlocking()
      $0.thresholds = try Thresholds(lockdown: 1, unlock: 2)
      try $0.sign(OrderScene.anna, OrderScene.annasToken)
    },
    OrderAttack("a lockdown key as the second for an unlock", .otherNamespace, "unlock.order.1.sig was made with") {
      $0 = try .unlocking()
      $0.thresholds = try Thresholds(lockdown: 1, unlock: 2)
      try $0.sign(OrderScene.anna, OrderScene.lena)
    },
  ]

  private static let replays: [OrderAttack] =
    [1, 2, 5].map { older in
      OrderAttack("replay of order \(older)", .olderEpoch, "order \(older) is older than order 6") {
        try $0.send(OrderScene.lockdown(epoch: older))
      }
    } + [
      OrderAttack("an old unlock", .olderEpoch, "older than order 6") {
        $0 = try .unlocking()
        try $0.send(OrderScene.unlock(epoch: 5))
      },
      OrderAttack("an old order that is late too", .olderEpoch, "older than order 6") {
        try $0.send(OrderScene.lockdown(epoch: 5))
        $0.now = OrderScene.now + 7200
      },
      OrderAttack("the lockdown after its unlock", .olderEpoch, "order 6 is older than order 7") {
        try $0.send(OrderScene.unlock())
        try $0.remember()
        try $0.send(OrderScene.lockdown(epoch: 6))
      },
      OrderAttack("the epoch heard last, other bytes", .equalEpochOtherBytes, "another order 6") {
        try $0.send(OrderScene.lockdown(epoch: 6, reason: "other"))
      },
      OrderAttack("the epoch heard last, for an unlock", .equalEpochOtherBytes, "another order 6") {
        try $0.send(OrderScene.unlock(epoch: 6))
      },
      OrderAttack("the epoch heard last, as a drill", .equalEpochOtherBytes, "another order 6") {
        try $0.send(OrderScene.lockdown(epoch: 6, isDrill: true))
      },
      OrderAttack("the highest epoch there is", .epochTooFarAhead, "18446744073709551615 is more than 1048576 ahead") {
        try $0.send(OrderScene.lockdown(epoch: .max))
      },
      OrderAttack("one epoch too far", .epochTooFarAhead, "ahead of order 6") {
        try $0.send(OrderScene.lockdown(epoch: 6 + (1 << 20) + 1))
      },
      OrderAttack("one epoch too far for a fresh host", .epochTooFarAhead, "ahead of order 0") {
        try $0.send(OrderScene.lockdown(epoch: (1 << 20) + 1))
        $0.floor = nil
      },
      OrderAttack("a drill one epoch too far", .epochTooFarAhead, "ahead of order 6") {
        try $0.send(OrderScene.lockdown(epoch: 6 + (1 << 20) + 1, isDrill: true))
      },
      OrderAttack("an unlock too far", .epochTooFarAhead, "ahead of order 6") {
        $0 = try .unlocking()
        try $0.send(OrderScene.unlock(epoch: .max))
      },
      OrderAttack("any order after the highest", .olderEpoch, "older than order 18446744073709551615") {
        $0.floor = OrderScene.floor(after: [], epoch: .max)
      },
      OrderAttack("a repetition that nobody signed", .unsigned, "came without a signature") {
        try $0.remember()
        $0.signatures = []
      },
      OrderAttack("a repetition signed by a stranger", .unknownKey, "does not know") {
        try $0.remember()
        try $0.sign(OrderScene.stranger)
      },
    ]

  private static let clocks: [OrderAttack] = [
    OrderAttack("the very second it had to arrive by", .orderExpired, "order 7 had to arrive by 2026-11-21T13:00:00Z") {
      $0.now = OrderScene.now + 3600
    },
    OrderAttack("thirty days late", .orderExpired, "takes a fresh order") { $0.now = OrderScene.now + 3600 + 30 * day },
    OrderAttack("a clock more than thirty days ahead", .clockOff, "must be wrong: set it") {
      $0.now = OrderScene.now + 3600 + 30 * day + 1
    },
    OrderAttack("a clock ten years ahead", .clockOff, "this host's clock says 2036-11-21") {
      $0.now = OrderScene.now + 3653 * day
    },
    OrderAttack("a clock more than a day behind", .clockOff, "was issued at 2026-11-21T12:00:00Z") {
      $0.now = OrderScene.now + (-day - 1)
    },
    OrderAttack("a clock ten years behind", .clockOff, "this host's clock says 2016-11-20") {
      $0.now = OrderScene.now + -3653 * day
    },
    OrderAttack("a clock that begins again at 1970", .clockOff, "1970-01-01") {
      $0.now = UTCTime(secondsSinceEpoch: 0)
    },
    OrderAttack("a late unlock", .orderExpired, "takes a fresh order") {
      $0 = try .unlocking()
      $0.now = OrderScene.now + 3600
    },
    OrderAttack("a late drill", .orderExpired, "takes a fresh order") {
      try $0.send(OrderScene.lockdown(isDrill: true))
      $0.now = OrderScene.now + 3600
    },
  ]

  private static let profiles: [OrderAttack] = [
    OrderAttack(
      "an unknown profile", .unknownProfile, "release 42 has no lockdown profile no-dns for this host: it has"
    ) { try $0.send(OrderScene.lockdown(profile: "no-dns")) },
    OrderAttack("a release without profiles", .unknownProfile, "it has none") {
      $0.committed = try OrderScene.manifest(profiles: [])
    },
    OrderAttack("a withdrawn host", .unknownProfile, "it has none") {
      $0.committed = try OrderScene.manifest(mode: .withdrawn)
    },
    OrderAttack("an unknown profile in a drill", .unknownProfile, "no-dns") {
      try $0.send(OrderScene.lockdown(isDrill: true, profile: "no-dns"))
    },
    OrderAttack("no release committed", .profileMissing, "no committed release") { $0.committed = nil },
    OrderAttack("no IPv6 rules on disk", .profileMissing, "the ipv6 rules of lockdown profile isolate are not on") {
      $0.found.ipv6 = nil
    },
    OrderAttack("one byte of the profile", .profileAltered, "the ipv4 rules of lockdown profile isolate are not the") {
      $0.found.ipv4![3] ^= 1
    },
    OrderAttack("a byte more of the profile", .profileAltered, "(17 bytes, sha256:") { $0.found.ipv6!.append(10) },
    OrderAttack("an empty profile", .profileAltered, "(0 bytes") { $0.found.ipv4 = [] },
    OrderAttack("an altered profile in a drill", .profileAltered, "not the signed ones") {
      try $0.send(OrderScene.lockdown(isDrill: true))
      $0.found.ipv4![3] ^= 1
    },
    OrderAttack("no scope", .emptyScope, "order 7 has no 'scope' line") { try $0.editSigned("scope web\n", "") },
    OrderAttack("no scope but what narrows it", .emptyScope, "it is for nobody") {
      try $0.editSigned("scope web\n", "scope-and web\nscope-not host:h9\n")
    },
    OrderAttack("no scope in an unlock", .emptyScope, "it is for nobody") {
      $0 = try .unlocking()
      $0.edit("scope web\n", "")
      try $0.sign(OrderScene.anna)
    },
  ]

  private static let loosening: [OrderAttack] = [
    OrderAttack("a lower rank", .wouldLoosen, "no-ingress has rank 20, and this host is locked by isolate of rank 30") {
      $0.lock = try $0.lock(.init(6))
      try $0.send(OrderScene.lockdown(profile: "no-ingress"))
    },
    OrderAttack("a lower rank for longer", .wouldLoosen, "only an unlock order loosens") {
      $0.lock = try $0.lock(.init(6))
      try $0.send(OrderScene.lockdown(profile: "no-egress", liftsAfter: nil))
    },
    OrderAttack("a profile whose rank the release has lowered since", .wouldLoosen, "isolate has rank 29") {
      $0.lock = try $0.lock(.init(6))
      $0.committed = try OrderScene.manifest(profiles: [ReleaseFixture.profile("isolate", rank: 29)])
    },
    OrderAttack("a sooner lift", .wouldLoosen, "lift itself after 60 s, and the lock in force does so in 61 s") {
      $0.lock = try $0.lock(.init(6), secondsLeft: 61)
      try $0.send(OrderScene.lockdown(liftsAfter: 60))
    },
    OrderAttack("a lift where there is none", .wouldLoosen, "and the lock in force never does") {
      $0.lock = try $0.lock(.init(6), secondsLeft: nil)
      try $0.send(OrderScene.lockdown(liftsAfter: 2_592_000))
    },
    OrderAttack("a higher rank with a sooner lift", .wouldLoosen, "only an unlock order loosens") {
      $0.lock = try $0.lock(.init(6), profile: "no-egress", rank: 10)
      try $0.send(OrderScene.lockdown(liftsAfter: 6999))
    },
    OrderAttack("a drill that would loosen", .wouldLoosen, "only an unlock order loosens") {
      $0.lock = try $0.lock(.init(6))
      try $0.send(OrderScene.lockdown(isDrill: true, profile: "no-egress"))
    },
  ]

  private static let signedTexts: [OrderAttack] = [
    OrderAttack("signed: Windows line ends", .malformed, "lockdown.order:2: byte 0x0d") {
      try $0.editSigned("\nepoch", "\r\nepoch")
    },
    OrderAttack("signed: epoch 0", .malformed, "epoch 0") { try $0.editSigned("epoch 7", "epoch 0") },
    OrderAttack("signed: a field more", .malformed, "unexpected line 'note x'") {
      try $0.editSigned("INC-991\n", "INC-991\nnote x\n")
    },
    OrderAttack("signed: 25 hours to arrive", .malformed, "90000 seconds to arrive") {
      try $0.editSigned("arrive-by 2026-11-21T13", "arrive-by 2026-11-22T13")
    },
    OrderAttack("signed: lifts itself after a second", .malformed, "lifts itself after 1 seconds") {
      try $0.editSigned("lifts-after 7200", "lifts-after 1")
    },
    OrderAttack("signed: an escape sequence", .malformed, "byte 0x1b") {
      try $0.editSigned("INC-991", "INC-991\u{1b}[2J")
    },
    OrderAttack("signed: version 2", .malformed, "format version '2'") {
      try $0.editSigned("portcullis-lockdown 1", "portcullis-lockdown 2")
    },
    OrderAttack("signed: nothing", .malformed, "the text ends where a 'portcullis-lockdown' line") {
      $0.statement = []
      try $0.sign(OrderScene.lena)
    },
  ]
}
