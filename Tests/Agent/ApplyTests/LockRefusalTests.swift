import AgentTestSupport
import Core
import Release
import Ruleset
import TestSupport
import Testing
import Wire

@testable import Apply

/// Orders that are not obeyed, and change nothing.
@Suite struct LockRefusalTests {
  @Test func `a host whose management comes through a tunnel is not locked by a profile that ends the tunnel`() throws {
    let scene = try LockScene()
    scene.host.facts.tunnels = ["192.0.2.7": TunnelLink(interface: "wg0\u{1b}", kind: "wireguard")]
    for isDrill in [true, false] {
      let refusal = #expect(throws: Refusal.self) { try scene.lock(7, isDrill: isDrill) }
      #expect(refusal?.code == .cannotLock)
      #expect(refusal?.detail.contains("192.0.2.7 comes through wg0\\u{1b} (wireguard)") == true)
    }
    #expect(scene.isOpen)
    #expect(try scene.host.ledger().lock == nil && scene.host.ledger().epochFloor == nil)
    scene.host.facts.tunnels = [:]
    #expect(try scene.lock(8).result == .locked)
    // Where some would still get in, that is all there is to say.
    scene.host.facts.tunnels = ["192.0.2.7": TunnelLink(interface: "wg0", kind: "wireguard")]
    let lock = try #require(try scene.host.ledger().lock)
    let warnings = try scene.agent.requireWayIn(
      try scene.agent.orderedLayers(lock), lock.profile, ["192.0.2.7", "198.51.100.9"])
    #expect(warnings.count == 1 && warnings[0].contains("wg0 (wireguard)"))
  }

  static let refusals: [(String, Refusal.Code, @Sendable (LockScene) throws -> Void)] = [
    ("an unknown profile", .unknownProfile, { try $0.lock(7, "quarantine") }),
    ("an empty scope", .emptyScope, { try $0.lock(7, scope: LockScope(any: [])) }),
    (
      "a missing profile", .profileMissing,
      {
        try $0.host.disk.remove($0.profilePath(0, .ipv6))
        try $0.lock(7)
      }
    ),
    (
      "an altered profile", .profileAltered,
      {
        $0.host.disk.tamper(try $0.profilePath(), LockScene.rules("storage", .ipv4))
        try $0.lock(7)
      }
    ),
    (
      "a damaged manifest", .profileMissing,
      {
        let name = try #require(try $0.host.ledger().committed?.name)
        $0.host.disk.tamper("bundles/\(name)/manifest", [1])
        try $0.lock(7)
      }
    ),
    (
      "no signature", .unsigned,
      {
        let signed = try SignedOrders.lockdown(SignedOrders.terms(7), by: [])
        _ = try $0.agent.obey(signed, from: $0.host.connection())
      }
    ),
    (
      "a stranger's signature", .unknownKey,
      {
        let signed = try SignedOrders.lockdown(SignedOrders.terms(7), by: [.stranger])
        _ = try $0.agent.obey(signed, from: $0.host.connection())
      }
    ),
    (
      "one who may only unlock", .otherNamespace,
      {
        let signed = try SignedOrders.lockdown(SignedOrders.terms(7), by: [.anna])
        _ = try $0.agent.obey(signed, from: $0.host.connection())
      }
    ),
    (
      "too few people", .tooFewPrincipals,
      {
        try $0.host.trust.create("thresholds", try Thresholds(lockdown: 2, unlock: 1).encode())
        let signed = try SignedOrders.lockdown(SignedOrders.terms(7), by: [.lena, .lena])
        _ = try $0.agent.obey(signed, from: $0.host.connection())
      }
    ),
    (
      "a lockdown sent as an unlock", .otherNamespace,
      {
        let signed = try SignedOrders.lockdown(SignedOrders.terms(7))
        _ = try $0.agent.obey(
          OrderDelivery(
            nonce: signed.nonce, kind: .unlock, statement: signed.statement, signatures: signed.signatures),
          from: $0.host.connection())
      }
    ),
    (
      "another fleet", .otherFleet,
      {
        let signed = try SignedOrders.lockdown(SignedOrders.terms(7, fleet: FleetID("other")!))
        _ = try $0.agent.obey(signed, from: $0.host.connection())
      }
    ),
    (
      "an order too late", .orderExpired,
      {
        $0.host.clock.time = SignedBundles.now + 3600
        try $0.lock(7)
      }
    ),
    (
      "a clock ten years off", .clockOff,
      {
        $0.host.clock.time = SignedBundles.now + -10 * 365 * 86_400
        try $0.lock(7)
      }
    ),
    (
      "a clock ten years ahead", .clockOff,
      {
        $0.host.clock.time = SignedBundles.now + 10 * 365 * 86_400
        try $0.lock(7)
      }
    ),
    (
      "a signature of other bytes", .badSignature,
      {
        let (signed, other) = (
          try SignedOrders.lockdown(SignedOrders.terms(7)), try SignedOrders.lockdown(SignedOrders.terms(8))
        )
        _ = try $0.agent.obey(
          OrderDelivery(
            nonce: signed.nonce, kind: .lockdown, statement: signed.statement, signatures: other.signatures),
          from: $0.host.connection())
      }
    ),
    (
      "signed bytes that are no order", .malformed,
      {
        let signed = try SignedOrders.delivery(.lockdown, Array("portcullis-lockdown 2\n".utf8), by: [.lena])
        _ = try $0.agent.obey(signed, from: $0.host.connection())
      }
    ),
    (
      "an order of more than 4 KiB", .tooLarge,
      {
        let signed = try SignedOrders.delivery(.lockdown, [UInt8](repeating: 65, count: 4097), by: [.lena])
        _ = try $0.agent.obey(signed, from: $0.host.connection())
      }
    ),
    ("an epoch too far ahead", .epochTooFarAhead, { try $0.lock(7 + 1 << 21) }),
    (
      "programs that are gone", .cannotLock,
      {
        $0.host.firewall.programsProblem = FirewallProblem(
          .unavailable, program: "iptables", family: nil, words: "there is none")
        try $0.lock(7)
      }
    ),
    (
      "a full disk", .diskFull,
      {
        $0.host.faults.arm(.failFrom(1), errno: 28)
        $0.host.faults.isFull = true
        try $0.lock(7)
      }
    ),
  ]

  @Test(arguments: refusals.indices, [false, true])
  func `what is refused changes nothing, on an open host and on a locked one`(index: Int, isLocked: Bool) throws {
    let (name, code, attack) = Self.refusals[index]
    let scene = try LockScene()
    if isLocked { try scene.lock(3, "no-ingress") }
    scene.host.faults.restart()
    let (kernel, journal) = (scene.host.firewall.kernel, scene.journal)
    let refusal = #expect(throws: Refusal.self, "\(name)") { try attack(scene) }
    #expect(refusal?.code == code, "\(name): \(refusal?.detail ?? "")")
    scene.host.faults.restart()
    #expect(scene.host.firewall.kernel == kernel && scene.journal == journal, "\(name)")
    #expect(scene.agent.lock?.epoch == (isLocked ? Epoch(3) : nil), "\(name)")
  }

  @Test func `every code of an order's refusal is tried`() {
    let elsewhere: Set<Refusal.Code> = [.olderEpoch, .equalEpochOtherBytes, .wouldLoosen, .lockedDown]
    let codes = Refusal.Code.allCases.filter { $0.rawValue >= Refusal.Code.unknownProfile.rawValue }
    #expect(Set(codes).subtracting(Self.refusals.map(\.1)) == elsewhere)
  }

  @Test func `epochs that were heard are not heard again with other bytes, nor lower ones`() throws {
    let scene = try LockScene()
    try scene.lock(7)
    for (epoch, code) in [(7, Refusal.Code.equalEpochOtherBytes), (6, .olderEpoch)] as [(UInt64, Refusal.Code)] {
      let refusal = #expect(throws: Refusal.self) { try scene.unlock(epoch) }
      #expect(refusal?.code == code)
    }
    try scene.unlock(8)
    let refusal = #expect(throws: Refusal.self) { try scene.lock(7) }
    #expect(refusal?.code == .olderEpoch)
    #expect(scene.isOpen)
  }

  @Test func `an order that ended does not lock again`() throws {
    let scene = try LockScene()
    let order = try SignedOrders.lockdown(SignedOrders.terms(7))
    _ = try scene.agent.obey(order, from: scene.host.connection())
    _ = try scene.agent.obey(LocalOrder(deed: .lift, reason: "wrong host"))
    #expect(try scene.agent.obey(order, from: scene.host.connection()).result == .ended)
    #expect(scene.isOpen)
  }
}
