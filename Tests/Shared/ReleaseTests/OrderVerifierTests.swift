import Core
import Release
import TestSupport
import Testing

@Suite struct OrderVerifierTests {
  @Test func aGoodOrderIsVerifiedAndObeyed() throws {
    let scene = try OrderScene()
    let order = try scene.verify()
    #expect(order.content == .lockdown(try OrderScene.lockdown()))
    #expect(order.principals == ["lena"])
    #expect(!order.isRepeat)
    #expect(order.asHeard == OrderScene.floor(after: scene.statement, epoch: 7))
    #expect(try scene.obey() == .lock(ReleaseFixture.profile("isolate", rank: 30)))
  }

  @Test func aGoodUnlockIsVerifiedAndLifts() throws {
    let scene = try OrderScene.unlocking()
    let order = try scene.verify()
    #expect(order.content == .unlock(try OrderScene.unlock()))
    #expect(order.principals == ["anna"])
    #expect(order.asHeard == OrderScene.floor(after: scene.statement, kind: .unlock, epoch: 7))
    #expect(try scene.obey() == .lift)
  }

  @Test(arguments: OrderAttacks.all) func everyAttackIsRefusedForItsReason(_ attack: OrderAttack) throws {
    var scene = try OrderScene()
    try attack.attack(&scene)
    let problem = #expect(throws: OrderProblem.self) { try scene.obey() }
    #expect(problem?.kind == attack.kind, "\(String(describing: problem))")
    #expect(problem?.description.contains(attack.says) == true, "\(String(describing: problem))")
    #expect(problem.map { SafeText.escape($0.description) == $0.description } == true)
  }

  @Test func eachKindOfRefusalIsAmongTheAttacks() {
    #expect(Set(OrderAttacks.all.map(\.kind)) == Set(OrderProblem.Kind.allCases))
    #expect(Set(OrderAttacks.all.map(\.description)).count == OrderAttacks.all.count)
  }

  /// Each fault alone is refused in its turn: of two, the earlier check's is told.
  @Test func theCheaperCheckAndTheOneThatTellsLessComesFirst() throws {
    var scene = try OrderScene()
    scene.lock = try scene.lock(.init(6), secondsLeft: nil)
    #expect(throws: OrderProblem.soonerLift(seconds: 7200, inForce: nil)) { try scene.obey() }
    try scene.send(OrderScene.lockdown(scope: LockScope(any: ["db"])))
    #expect(try scene.obey() == .outOfScope)
    scene.committed = try OrderScene.manifest(profiles: [])
    #expect(throws: OrderProblem.self) { try scene.obey() }
    func kind() -> OrderProblem.Kind? {
      do throws(OrderProblem) {
        _ = try scene.obey()
        return nil
      } catch { return error.kind }
    }
    #expect(kind() == .unknownProfile)
    scene.now = OrderScene.now + 3600
    #expect(kind() == .orderExpired)
    scene.floor = OrderScene.floor(after: [], epoch: 8)
    #expect(kind() == .olderEpoch)
    scene.fleet = FleetID("other")!
    #expect(kind() == .otherFleet)
    scene.edit("portcullis-lockdown 1", "portcullis-lockdown 2")
    try scene.sign(OrderScene.lena)
    #expect(kind() == .malformed)
    scene.edit("portcullis-lockdown 2", "portcullis-lockdown 3")
    #expect(kind() == .badSignature)
    scene.statement += [UInt8](repeating: 10, count: OrderKind.maximumSize)
    #expect(kind() == .tooLarge)
  }

  @Test func twoPeopleMeetAThresholdOfTwoInAnyOrderAmongOthers() throws {
    var scene = try OrderScene()
    scene.thresholds = try Thresholds(lockdown: 2, unlock: 2)
    try scene.sign(
      OrderScene.stranger, OrderScene.lenasToken, OrderScene.ended, OrderScene.lena, OrderScene.anna, OrderScene.carl)
    #expect(try scene.verify().principals == ["carl", "lena"])
    try scene.send(OrderScene.unlock())
    try scene.sign(OrderScene.bert, OrderScene.annasToken)
    #expect(try scene.verify().principals == ["anna", "bert"])
  }

  @Test func asManySignaturesAsAreAllowedAreRead() throws {
    var scene = try OrderScene()
    try scene.sign(OrderScene.stranger)
    scene.signatures = Array(repeating: scene.signatures[0], count: 15)
    scene.signatures.append(try OrderScene.lena.sign(scene.statement, namespace: "lockdown@portcullis"))
    #expect(try scene.verify().principals == ["lena"])
  }

  @Test(arguments: [7, 8, 6 + (1 << 20)]) func laterEpochsUpToTheStepAreTaken(_ epoch: UInt64) throws {
    var scene = try OrderScene()
    try scene.send(OrderScene.lockdown(epoch: epoch))
    #expect(try scene.verify().terms.epoch == Epoch(epoch))
    try scene.send(OrderScene.unlock(epoch: epoch))
    #expect(try scene.verify().terms.epoch == Epoch(epoch))
  }

  @Test(arguments: [1, 7, 1 << 20]) func aFreshHostTakesAnyEpochUpToTheStep(_ epoch: UInt64) throws {
    var scene = try OrderScene()
    scene.floor = nil
    try scene.send(OrderScene.lockdown(epoch: epoch))
    #expect(try !scene.verify().isRepeat)
  }

  @Test func theHighestEpochIsTakenByAHostThatIsNear() throws {
    var scene = try OrderScene()
    scene.floor = OrderScene.floor(after: [], epoch: .max - 1)
    try scene.send(OrderScene.lockdown(epoch: .max))
    #expect(try scene.verify().terms.epoch == Epoch(.max))
  }

  @Test(arguments: [-86_400, -1, 0, 3599] as [Int64])
  func aClockUpToADaySlowObeysUntilTheLastSecond(_ seconds: Int64) throws {
    var scene = try OrderScene()
    scene.now = OrderScene.now + seconds
    #expect(try scene.obey() == .lock(ReleaseFixture.profile("isolate", rank: 30)))
  }

  /// Otherwise a locked host whose clock is wrong could be opened by nobody but root.
  @Test(arguments: [-86_401, -40 * 86_400, -1_700_000_000] as [Int64])
  func anUnlockIsObeyedHoweverSlowTheClock(_ seconds: Int64) throws {
    var scene = try OrderScene.unlocking()
    scene.now = OrderScene.now + seconds
    #expect(try scene.obey() == .lift)
  }

  @Test func anUnlockIssuedForAClockThatIsAheadIsObeyedByIt() throws {
    var scene = try OrderScene.unlocking()
    scene.now = OrderScene.now + 400 * 86_400
    #expect(throws: OrderProblem.self) { try scene.obey() }
    try scene.send(OrderScene.unlock(issued: scene.now), by: OrderScene.anna)
    #expect(try scene.obey() == .lift)
  }

  @Test func theOrderThatLockedIsARepetitionWhateverWasHeardSince() throws {
    var scene = try OrderScene()
    scene.lock = try scene.lock(Epoch(7))
    scene.floor = OrderScene.floor(after: [1], kind: .unlock, epoch: 9)
    scene.now = OrderScene.now + 40 * 86_400
    #expect(try scene.verify().isRepeat)
    #expect(try scene.obey() == .inForce)
    // Nothing else that is older.
    try scene.send(OrderScene.lockdown(epoch: 8))
    #expect(throws: OrderProblem.self) { try scene.verify() }
    scene.lock = nil
    try scene.send(OrderScene.lockdown(epoch: 7))
    #expect(throws: OrderProblem.self) { try scene.verify() }
  }

  @Test func theSameBytesAgainAreARepetitionHoweverLateAndWhateverEnded() throws {
    var scene = try OrderScene()
    scene.now = OrderScene.now + -1
    try scene.sign(OrderScene.ended)
    try scene.remember()
    for seconds in [0, 3600, 40 * 86_400, -40 * 86_400] as [Int64] {
      scene.now = OrderScene.now + seconds
      let order = try scene.verify()
      #expect(order.isRepeat && order.principals == ["dora"])
      #expect(order.asHeard == scene.floor)
    }
    // Only the very bytes: the next order by that key is refused.
    try scene.send(OrderScene.lockdown(epoch: 8), by: OrderScene.ended)
    scene.now = OrderScene.now + 1
    #expect(throws: OrderProblem.self) { try scene.verify() }
  }

  @Test func aRepetitionStillNeedsAsManySignersAsTheHostAsksFor() throws {
    var scene = try OrderScene()
    try scene.remember()
    scene.thresholds = try Thresholds(lockdown: 2, unlock: 1)
    #expect(throws: OrderProblem.self) { try scene.verify() }
    try scene.sign(OrderScene.lena, OrderScene.carl)
    #expect(try scene.verify().isRepeat)
  }

  @Test func aDrillLeavesNothingToRemember() throws {
    var scene = try OrderScene()
    try scene.send(OrderScene.lockdown(isDrill: true))
    #expect(try scene.verify().asHeard == nil)
    #expect(try scene.obey() == .drill(ReleaseFixture.profile("isolate", rank: 30)))
  }

  @Test func aStatementIsRememberedWithItsKind() throws {
    let text = try OrderScene.lockdown().encode()
    #expect(EpochFloor.digest(of: .lockdown, text) != EpochFloor.digest(of: .unlock, text))
    let bytes = Array("lockdown@portcullis".utf8) + [0] + text
    #expect(EpochFloor.digest(of: .lockdown, text) == Digest(of: bytes))
  }

  @Test func everySingleBitOfAnOrderMatters() throws {
    let seed = Random.seed(for: "order bits")
    var random = Random(seed: seed)
    let good = try [OrderScene(), .unlocking()]
    for _ in 0..<1500 {
      var scene = random.pick(good)
      let bit = UInt8(1) << UInt8(random.below(8))
      if random.sometimes(2) {
        let at = random.below(scene.statement.count)
        scene.statement[at] ^= bit
      } else {
        var blob = try SSHSignatureArmor.decode(scene.signatures[0])
        blob[random.below(blob.count)] ^= bit
        scene.signatures[0] = SSHSignatureArmor.encode(blob)
      }
      #expect(throws: OrderProblem.self, "seed \(seed): \(String(decoding: scene.statement, as: UTF8.self))") {
        try scene.verify()
      }
    }
  }

  @Test func noDamageToOrHistoryOfOrdersMakesAHostObeyAnOlderOne() throws {
    let seed = Random.seed(for: "order histories")
    var random = Random(seed: seed)
    let pool = try (1...12).flatMap { epoch in
      try [
        (OrderKind.lockdown, OrderScene.lockdown(epoch: epoch).encode(), OrderScene.lena),
        (.lockdown, OrderScene.lockdown(epoch: epoch, isDrill: true).encode(), OrderScene.lena),
        (.lockdown, OrderScene.lockdown(epoch: epoch, fleet: FleetID("staging")!).encode(), OrderScene.lena),
        (.unlock, OrderScene.unlock(epoch: epoch).encode(), OrderScene.anna),
      ].map { (kind, text, signer) in
        (kind, text, try signer.sign(text, namespace: kind.namespace.rawValue))
      }
    }
    for history in 0..<60 {
      var scene = try OrderScene()
      scene.floor = nil
      for _ in 0..<40 {
        (scene.kind, scene.statement, scene.signatures) = { ($0.0, $0.1, [$0.2]) }(random.pick(pool))
        let heard = scene.floor
        guard let order = try? scene.verify() else { continue }
        let digest = EpochFloor.digest(of: scene.kind, scene.statement)
        let old = heard?.epoch ?? .none
        #expect(order.terms.epoch > old || heard?.order == digest, "seed \(seed), history \(history)")
        #expect(order.terms.fleet == scene.fleet, "seed \(seed), history \(history)")
        #expect(order.isRepeat == (heard?.order == digest), "seed \(seed), history \(history)")
        scene.floor = order.asHeard ?? scene.floor
        #expect((scene.floor?.epoch ?? .none) >= old, "seed \(seed), history \(history)")
      }
      #expect(scene.floor != nil, "seed \(seed), history \(history)")
    }
  }

  @Test(arguments: OrderKind.allCases) func whatSSHKeygenSignsIsTakenAndTheOtherWayRound(_ kind: OrderKind) throws {
    let directory = TemporaryDirectory()
    let key = try SSHKeygen.makeKey("signer", type: "ed25519", in: directory)
    let namespace = kind.namespace.rawValue
    var scene = try kind == .lockdown ? OrderScene() : .unlocking()
    scene.signatures = [SSHKeygen.sign(scene.statement, with: "signer", namespace: namespace, in: directory)]
    let line = try AllowedSigner(principal: "olga@example.net", namespaces: [namespace], key: key).line
    scene.signers = try AllowedSigners.parse(Array(line.utf8), file: "allowed_signers")
    #expect(try scene.verify().principals == ["olga@example.net"])
    let file = directory.write(scene.statement, to: kind.textName)
    let allowed = directory.write(line, to: "allowed_signers")
    #expect(
      SSHKeygen.accepts(
        scene.signatures[0], over: file, principal: "olga@example.net", namespace: namespace, allowedSigners: allowed,
        in: directory))
    scene.signatures = [
      SSHKeygen.sign(scene.statement, with: "signer", namespace: "release@portcullis", in: directory)
    ]
    let problem = #expect(throws: OrderProblem.self) { try scene.verify() }
    #expect(problem?.kind == .otherNamespace)
  }
}
