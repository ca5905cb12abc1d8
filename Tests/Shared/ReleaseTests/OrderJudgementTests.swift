import Core
import Release
import Testing

@Suite struct OrderJudgementTests {
  @Test func aHostOutOfScopeHearsAndStaysAsItIs() throws {
    var scene = try OrderScene()
    try scene.send(OrderScene.lockdown(scope: LockScope(any: ["all"], none: ["host:h3"])))
    #expect(try scene.obey() == .outOfScope)
    #expect(try scene.verify().asHeard?.epoch == Epoch(7))
    scene.lock = try scene.lock(.init(6))
    #expect(try scene.obey() == .outOfScope)
    try scene.send(OrderScene.unlock(scope: LockScope(any: ["db"])))
    #expect(try scene.obey() == .outOfScope)
  }

  @Test func theScopeIsJudgedByTheCommittedManifestsLabels() throws {
    var scene = try OrderScene()
    scene.committed = try OrderScene.manifest(labels: ["db"])
    #expect(try scene.obey() == .outOfScope)
    scene.committed = try OrderScene.manifest(labels: ["web"])
    #expect(try scene.obey() == .lock(ReleaseFixture.profile("isolate", rank: 30)))
  }

  @Test(
    arguments: [
      ("isolate", 7000, 7000), ("isolate", 7200, 7000), ("isolate", nil, 7000), ("isolate", nil, nil),
    ] as [(String, UInt32?, UInt32?)])
  func aTighterOrEqualOrderReplacesTheLock(_ profile: String, _ liftsAfter: UInt32?, _ left: UInt32?) throws {
    var scene = try OrderScene()
    scene.lock = try scene.lock(.init(6), secondsLeft: left)
    try scene.send(OrderScene.lockdown(profile: profile, liftsAfter: liftsAfter))
    #expect(try scene.obey() == .lock(ReleaseFixture.profile(profile, rank: 30)))
  }

  @Test func anotherProfileOfTheSameOrAHigherRankReplacesTheLock() throws {
    var scene = try OrderScene()
    scene.committed = try OrderScene.manifest(
      profiles: [ReleaseFixture.profile("fortress", rank: 31), ReleaseFixture.profile("island", rank: 30)])
    scene.lock = try scene.lock(.init(6))
    for (name, rank) in [("fortress", UInt16(31)), ("island", 30)] {
      try scene.send(OrderScene.lockdown(profile: name))
      #expect(try scene.obey() == .lock(ReleaseFixture.profile(name, rank: rank)))
    }
  }

  @Test func theOrderThatLockedIsInForceWhateverReleaseHasComeSince() throws {
    var scene = try OrderScene()
    try scene.remember()
    scene.lock = try scene.lock(.init(7))
    #expect(try scene.obey() == .inForce)
    scene.committed = try OrderScene.manifest(labels: [], profiles: [])
    #expect(try scene.obey() == .inForce)
    scene.committed = nil
    #expect(try scene.obey() == .inForce)
  }

  @Test func anOrderThatLocksNoLongerNeverLocksAgain() throws {
    var scene = try OrderScene()
    try scene.remember()
    #expect(try scene.obey() == .ended)
    // Nor does it bring back what a lock of other bytes has taken the place of.
    scene.lock = try scene.lock(.init(6))
    #expect(try scene.obey() == .ended)
    scene.committed = try OrderScene.manifest(labels: ["db"])
    #expect(try scene.obey() == .outOfScope)
  }

  @Test func anUnlockLiftsAlsoWhenRepeatedAndHasNothingToLiftElsewhere() throws {
    var scene = try OrderScene.unlocking()
    try scene.remember()
    #expect(try scene.verify().isRepeat)
    #expect(try scene.obey() == .lift)
    scene.lock = nil
    #expect(try scene.obey() == .nothingToLift)
  }

  @Test func anUnlockNeedsNoProfileAndNoReleaseToLift() throws {
    var scene = try OrderScene.unlocking()
    try scene.send(OrderScene.unlock(scope: LockScope(any: ["host:h3"])))
    scene.found = PerFamily(ipv4: nil, ipv6: nil)
    for committed in [nil, try OrderScene.manifest(profiles: []), try OrderScene.manifest(mode: .withdrawn)] {
      scene.committed = committed
      #expect(try scene.obey() == .lift)
    }
  }

  @Test func aDrillIsToldWhatTheOrderWouldBeTold() throws {
    var scene = try OrderScene()
    try scene.send(OrderScene.lockdown(scope: LockScope(any: ["db"]), isDrill: true))
    #expect(try scene.obey() == .outOfScope)
    scene.lock = try scene.lock(.init(6))
    try scene.send(OrderScene.lockdown(isDrill: true))
    #expect(try scene.obey() == .drill(ReleaseFixture.profile("isolate", rank: 30)))
  }

  @Test func aStagedProfileHoldsTheSignedBytesOfBothFamilies() throws {
    let entry = try ReleaseFixture.profile("isolate", rank: 30)
    let staged = try StagedProfile(entry, found: ReleaseFixture.profileRules.map { $1 })
    #expect(staged.entry == entry && staged.rules == ReleaseFixture.profileRules)
    let swapped = PerFamily<[UInt8]?>(ipv4: ReleaseFixture.profileRules.ipv6, ipv6: ReleaseFixture.profileRules.ipv4)
    #expect(throws: OrderProblem.self) { try StagedProfile(entry, found: swapped) }
  }
}
