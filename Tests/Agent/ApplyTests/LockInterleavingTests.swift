import AgentTestSupport
import Core
import Glibc
import Release
import TestSupport
import Testing
import Wire

@testable import Apply

/// Orders, lifts, applies, crashes and reboots in any order: every resting state is explained by the last order that was
/// accepted, and by nothing else. PORTCULLIS_FUZZ multiplies how many runs there are.
@Suite struct LockInterleavingTests {
  static let seed = Random.seed()

  /// By the kind of release: whole tables, so that what lies beneath depends on nothing before.
  static let kinds: [(ipv4: String, ipv6: String)] = [
    (Samples.old4, Samples.old6), (Samples.new4, Samples.new6), (LockScene.mangle4, LockScene.mangle4),
  ]
  static let bundles: [[LockScene.Bundle]] = (0..<8).map { step in
    kinds.map { LockScene.bundle(UInt64(20 + step), ipv4: $0.ipv4, ipv6: $0.ipv6) }
  }
  static let beneath = Result {
    try kinds.indices.map { try LockScene(applying: [bundles[0][$0]]).beneath }
  }

  @Test func `every resting state is explained by the orders that were accepted`() async throws {
    let (count, lanes) = (UInt64(Fuzzing.count(8)), UInt64(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for lane in 0..<min(lanes, count) {
        group.addTask {
          for number in stride(from: lane, to: count, by: UInt64.Stride(lanes)) { try Self.play(Self.seed &+ number) }
        }
      }
      try await group.waitForAll()
    }
    print("interleavings: \(count), seed \(Self.seed)")
  }

  private static func play(_ seed: UInt64) throws {
    let run = try Run(seed: seed)
    for _ in 0..<14 {
      try run.step()
      try run.rest()
    }
  }
}

extension LockInterleavingTests {
  final class Run {
    /// The lock that an accepted order made.
    private struct Standing: Hashable {
      var epoch: UInt64
      var profile: String
      var rank: UInt16
      var liftsAfter: UInt32?
      /// By all the running time there was.
      var since: Duration
    }

    private enum Move: CaseIterable {
      case lock, lockAgain, oldLock, sameEpoch, farLock, otherFleet, otherHosts, drill, unlock, unlockAgain, console
      case apply, applyWaiting, confirm, cancel, tick, wait, restart, reboot, tamper, spoil
    }

    private enum Expected: Equatable {
      case anything, success
      case refusal(Refusal.Code)
    }

    /// What a move may come to.
    private struct Plan {
      var expected = Expected.anything
      /// The lock and the epoch there are if it is done whole.
      var standing: Standing?
      var floor: UInt64
      var act: () throws -> Void = {}
    }

    private let scene: LockScene
    private var random: Random
    private var floor: UInt64 = 0
    private var standing: Standing?
    private var release = 0
    private var waiting: (transaction: TransactionID, change: AppliedChange)?
    /// Accepted, with their epochs.
    private var lastLock: (order: OrderDelivery, epoch: UInt64)?
    private var lastUnlock: (order: OrderDelivery, epoch: UInt64)?
    private var log: [String]
    /// Running time of earlier boots, and when this one began.
    private var earlier = Duration.zero
    private var began: BootTime

    init(seed: UInt64) throws {
      random = Random(seed: seed)
      log = ["seed \(seed)"]
      scene = try LockScene(random.pick(Backend.allCases), applying: [LockInterleavingTests.bundles[0][0]])
      began = scene.host.boot.now()
    }

    private var place: Comment { "\(log[0]): \(log.dropFirst().suffix(30).joined(separator: ", "))" }
    private var running: Duration { earlier + (scene.host.boot.now() - began) }

    private func reboot() throws {
      earlier = running
      began = BootTime(nanoseconds: 5_000_000_000)
      try scene.reboot()
    }

    private func left(_ standing: Standing) -> UInt32? {
      standing.liftsAfter.map { UInt32(clamping: Int64($0) - (running - standing.since).components.seconds) }
    }

    private var isSpoilt: Bool {
      get throws { try scene.host.disk.read(try scene.profilePath(0, .ipv6), atMost: 1 << 20) == [1] }
    }

    private func deliver(_ order: OrderDelivery) -> () throws -> Void {
      { [scene] in _ = try scene.agent.obey(order, from: scene.host.connection()) }
    }

    // MARK: One move

    func step() throws {
      let move = random.pick(Move.allCases)
      log.append("\(move)")
      guard let plan = try plan(move) else { return }
      let (before, journal, kernel) = (standing, scene.journal, scene.host.firewall.kernel)
      scene.host.faults.restart()
      let dies = random.sometimes(3)
      let fails = !dies && random.sometimes(4)
      if dies { scene.host.faults.arm(.die(1 + random.below(25))) }
      if fails { scene.host.faults.arm(.fail(1 + random.below(15)), errno: random.pick([EIO, ENOSPC])) }
      let result = Result { try plan.act() }
      let isFaulty = scene.host.faults.isDead || fails
      scene.host.faults.restart()
      if move == .drill, !isFaulty {
        #expect(scene.journal == journal && scene.host.firewall.kernel == kernel, place)
      }
      if !isFaulty { try judge(result, plan, before) }
      if dies {
        log.append("dies")
        if move == .reboot || random.sometimes(2) { try reboot() } else { try scene.restart() }
      } else if case .failure = result {
        // Whoever starts the machine, or the agent, tries again.
        if move == .reboot { try reboot() } else if move == .restart { try scene.restart() }
      } else if scene.agent.lockMemory.unrecordedLift != nil {
        // Open until the agent starts anew.
        #expect(move == .console && fails && scene.isOpen, place)
        try scene.restart()
      }
      let ledger = try scene.host.ledger()
      if ledger.open == nil { waiting = nil }
      // With a fault in it, it was done or it was not.
      let epoch = ledger.lock?.epoch.value
      #expect(epoch == before?.epoch || epoch == plan.standing?.epoch, place)
      standing = epoch == nil ? nil : epoch == plan.standing?.epoch ? plan.standing : before
      let heard = ledger.epochFloor?.epoch.value ?? 0
      #expect(heard == floor || heard == plan.floor, place)
      floor = heard
      if let last = lastLock, last.epoch > floor || move == .lock && plan.standing?.epoch != epoch { lastLock = nil }
      if let last = lastUnlock, last.epoch > floor { lastUnlock = nil }
    }

    private func judge(_ result: Result<Void, any Error>, _ plan: Plan, _ before: Standing?) throws {
      let epoch = try scene.host.ledger().lock?.epoch.value
      switch (plan.expected, result) {
      case (.anything, _): break
      case (.success, .success): #expect(epoch == plan.standing?.epoch, place)
      case (.success, .failure(let error)): Issue.record("\(error) \(place)")
      case (.refusal(let code), .success): Issue.record("not refused: \(code) \(place)")
      case (.refusal(let code), .failure(let error)):
        #expect((error as? Refusal)?.code == code, "\(error) \(place)")
        #expect(epoch == before?.epoch, place)
      }
    }

    /// Nil for what cannot be done now.
    private func plan(_ move: Move) throws -> Plan? {
      var plan = Plan(standing: standing, floor: floor)
      let profile = random.pick(LockScene.ranks)
      switch move {
      case .lock: try planLock(&plan, profile.name, profile.rank)
      case .lockAgain:
        guard let last = lastLock else { return nil }
        plan.act = deliver(last.order)
      case .oldLock:
        guard floor > 1 else { return nil }
        // Not the bytes of the lock in force, which may be that old.
        let terms = try SignedOrders.terms(floor - 1, reason: "another")
        plan.act = deliver(try SignedOrders.lockdown(terms, profile: profile.name))
        plan.expected = .refusal(.olderEpoch)
      case .sameEpoch:
        guard floor > 0 else { return nil }
        plan.act = deliver(try SignedOrders.unlock(SignedOrders.terms(floor, reason: "another \(random.next())")))
        plan.expected = .refusal(.equalEpochOtherBytes)
      case .farLock:
        let epoch = floor + (1 << 20) + 1
        plan.act = deliver(try SignedOrders.lockdown(SignedOrders.terms(epoch), profile: profile.name))
        plan.expected = .refusal(.epochTooFarAhead)
      case .otherFleet:
        let terms = try SignedOrders.terms(floor + 1, fleet: FleetID("other")!)
        plan.act = deliver(try SignedOrders.lockdown(terms, profile: profile.name))
        plan.expected = .refusal(.otherFleet)
      case .otherHosts:
        plan.floor = floor + 1
        let terms = try SignedOrders.terms(plan.floor, scope: LockScope(any: ["all"], none: ["web"]))
        plan.act = deliver(try SignedOrders.lockdown(terms, profile: profile.name))
        plan.expected = .success
      case .drill:
        plan.act = deliver(
          try SignedOrders.lockdown(SignedOrders.terms(floor + 1), profile: profile.name, isDrill: true))
      case .unlock:
        plan.floor = floor + 1
        plan.standing = nil
        let order = try SignedOrders.unlock(SignedOrders.terms(plan.floor))
        lastUnlock = (order, plan.floor)
        plan.act = deliver(order)
        plan.expected = .success
      case .unlockAgain:
        guard let last = lastUnlock, last.epoch == floor else { return nil }
        plan.standing = nil
        plan.act = deliver(last.order)
        plan.expected = .success
      case .console:
        plan.standing = nil
        plan.act = { [scene] in _ = try scene.agent.obey(LocalOrder(deed: .lift, reason: "root")) }
        plan.expected = .success
      case .tick, .wait: planTime(&plan, move)
      case .restart: plan.act = { [scene] in try scene.restart() }
      case .reboot: plan.act = { [self] in try reboot() }
      case .tamper:
        let family = random.pick(Family.allCases)
        plan.act = { [scene] in scene.strip(family) }
      case .spoil:
        for index in LockScene.ranks.indices {
          scene.host.disk.tamper(try scene.profilePath(index, .ipv6), [1])
        }
        return nil
      case .apply, .applyWaiting, .confirm, .cancel: return try planChange(&plan, move) ? plan : nil
      }
      return plan
    }

    private func planLock(_ plan: inout Plan, _ profile: String, _ rank: UInt16) throws {
      let after = random.pick([nil, 60, 120, 3600] as [UInt32?])
      let epoch = floor + random.pick([1, 1, 5, 1 << 20] as [UInt64])
      let order = try SignedOrders.lockdown(SignedOrders.terms(epoch), profile: profile, liftsAfter: after)
      plan.act = deliver(order)
      plan.floor = epoch
      plan.standing = Standing(epoch: epoch, profile: profile, rank: rank, liftsAfter: after, since: running)
      lastLock = (order, epoch)
      switch isTighter(rank, after) {
      case true?:
        plan.expected =
          try isSpoilt ? .refusal(.profileAltered) : opens(profile) ? .refusal(.wouldLoosen) : .success
      case false?: plan.expected = .refusal(.wouldLoosen)
      case nil: break
      }
    }

    /// A chain that the lock in force drops.
    private func opens(_ profile: String) -> Bool {
      guard let standing, let chain = LockScene.open[profile] else { return false }
      return LockScene.open[standing.profile] != chain
    }

    /// By what the host itself would say is left, which may be more than was ordered. Nil at the turn of a second.
    private func isTighter(_ rank: UInt16, _ after: UInt32?) -> Bool? {
      guard let standing else { return true }
      guard rank >= standing.rank else { return false }
      guard let after else { return true }
      guard standing.liftsAfter != nil else { return false }
      guard
        let known = scene.agent.lock?.time?.secondsLeft(
          at: scene.host.boot.running(), bootID: scene.host.facts.bootID)
      else { return nil }
      return after + 1 == known ? nil : after >= known
    }

    private func planTime(_ plan: inout Plan, _ move: Move) {
      if move == .wait {
        scene.host.pass(.seconds(random.pick([1, 9, 30, 70])))
        waiting = nil
      }
      if let standing, left(standing) == 0 { plan.standing = nil }
      plan.act = { [scene] in
        if move == .wait { scene.agent.expire(because: "its deadline passed") }
        scene.agent.lockTick()
      }
    }

    private func planChange(_ plan: inout Plan, _ move: Move) throws -> Bool {
      switch move {
      case .apply, .applyWaiting:
        guard release < LockInterleavingTests.bundles.count - 1, waiting == nil else { return false }
        release += 1
        let bundle = LockInterleavingTests.bundles[release][random.below(LockInterleavingTests.kinds.count)]
        guard move == .applyWaiting else {
          plan.act = { [scene] in _ = try scene.host.apply(scene.agent, bundle) }
          return true
        }
        plan.act = { [self] in
          let transaction = TransactionID.random()
          let change = try ConfirmTests.begin(scene.agent, bundle, transaction, from: scene.host.connection())
          waiting = (transaction, change)
        }
      default:
        guard let waiting else { return false }
        self.waiting = nil
        let named = ChangeConfirmation(
          transaction: waiting.transaction, manifest: waiting.change.manifest, nonce: waiting.change.nonce)
        plan.act = { [scene] in
          if move == .cancel {
            _ = try scene.agent.cancel(named.transaction)
          } else {
            _ = try scene.agent.confirm(named, from: scene.host.connection())
          }
        }
      }
      return true
    }

    // MARK: At rest

    /// Whether all is as it should be once everything that recovers has recovered.
    func rest() throws {
      // That a change was taken back and could not be recorded is recorded by the next start.
      if waiting == nil, try scene.host.ledger().open != nil { try scene.restart() }
      scene.agent.checkLock()
      let ledger = try scene.host.ledger()
      if let lock = ledger.lock {
        let isBuiltIn = lock.held?.isBuiltIn == true
        #expect(try isBuiltIn ? scene.holdsBuiltIn : scene.holds(lock.profile.name.description), place)
        #expect(lock.profile.name.description == standing?.profile, place)
        let known = lock.time?.secondsLeft(at: scene.host.boot.running(), bootID: scene.host.facts.bootID)
        #expect((known == nil) == (standing?.liftsAfter == nil), place)
        if let standing, let known, let left = left(standing) {
          // Never less than was ordered, and never more.
          #expect(known >= left && known <= standing.liftsAfter ?? 0, place)
        }
      } else {
        #expect(scene.isOpen && standing == nil, place)
      }
      if waiting == nil {
        #expect(ledger.open == nil && ledger.degraded == nil, place)
        let texts = try LockInterleavingTests.beneath.get()
        let kinds = LockInterleavingTests.kinds.indices.filter { kind in
          LockInterleavingTests.bundles.contains {
            (try? $0[kind].get().manifest) == ledger.committed?.accepted.manifest
          }
        }
        #expect(kinds.contains { texts[$0] == scene.beneath }, place)
        let kernel = scene.host.firewall.kernel
        try scene.restart()
        let again = try scene.host.ledger()
        // Once what is bad on disk is mended the ordered profile takes the place of the built-in one.
        if again.lock?.held == ledger.lock?.held { #expect(scene.host.firewall.kernel == kernel, place) }
        #expect(again.lock?.epoch == ledger.lock?.epoch, place)
      }
      _ = try Journal.parse(scene.journal)
    }
  }
}
