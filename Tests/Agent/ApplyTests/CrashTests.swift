import Apply
import Core
import Glibc
import Release
import Testing
import Wire

/// Puts a fault at every call of every seam, one after the other, until an apply runs through without meeting it.
@Suite struct CrashTests {
  enum Start: CaseIterable { case fresh, committed }
  enum Recovery: CaseIterable { case restart, powerCut }

  struct Scene {
    let host: FakeHost
    let old: PerFamily<String>
    let new: PerFamily<String>
    let floor: Serial?
  }

  static func scene(_ start: Start, _ backend: Backend) throws -> Scene {
    let model = try FakeHost()
    model.firewall.backend = backend
    let modelAgent = try model.recoveredAgent()
    if start == .committed { try model.apply(modelAgent, Samples.old) }
    let old = model.canonical
    try model.apply(modelAgent, Samples.new)
    let host = try FakeHost()
    host.firewall.backend = backend
    let agent = try host.recoveredAgent()
    if start == .committed { try host.apply(agent, Samples.old) }
    return Scene(host: host, old: old, new: model.canonical, floor: try host.ledger().floor?.serial)
  }

  /// Invariants 1 and 3 of the design, after everything that recovers has recovered.
  static func check(_ scene: Scene, _ place: Comment, isBoot: Bool = false) throws {
    let host = scene.host
    let ledger = try host.ledger()
    let now = host.canonical
    let nothing = PerFamily(ipv4: "", ipv6: "")
    if ledger.committed?.accepted.serial == Serial(8) {
      #expect(now == scene.new, place)
    } else {
      // After a boot with nothing committed, nothing is loaded.
      #expect(now == scene.old || (isBoot && ledger.committed == nil && now == nothing), place)
    }
    #expect(ledger.open == nil, place)
    #expect(ledger.degraded == nil, place)
    #expect((ledger.floor?.serial ?? .none) >= (scene.floor ?? .none), place)
    if let committed = ledger.committed {
      #expect(try host.disk.linkTarget("committed") == "bundles/\(committed.name)", place)
      let kept = [committed.name, ledger.previous?.name].compactMap { $0?.description }.sorted()
      #expect(try host.disk.list("bundles") == kept, place)
    } else {
      #expect(try host.disk.list("bundles").isEmpty, place)
    }
  }

  @Test(arguments: Start.allCases, Recovery.allCases)
  func `a process that dies in any call leaves the old bundle or the new one`(
    start: Start, recovery: Recovery
  ) throws {
    for backend in Backend.allCases {
      var number = 0
      while true {
        number += 1
        let scene = try Self.scene(start, backend)
        let host = scene.host
        let agent = try host.recoveredAgent()
        host.faults.arm(.die(number))
        _ = try? host.apply(agent, Samples.new)
        guard host.faults.isDead else { break }
        let place: Comment = "\(start) \(backend) \(recovery), call \(number): \(host.faults.log.last ?? "")"
        host.faults.restart()
        if recovery == .powerCut {
          host.cutPower()
          _ = try host.agent().restore()
        }
        let next = try host.recoveredAgent()
        try Self.check(scene, place, isBoot: recovery == .powerCut)
        let again = try host.apply(next, Samples.new).result
        #expect(again == .committed || again == .unchanged, place)
        #expect(host.canonical == scene.new, place)
      }
      #expect(number > 40)
    }
  }

  @Test(arguments: Start.allCases)
  func `a process that dies in any call of its recovery recovers the next time`(start: Start) throws {
    // Dying in the middle of the second family's load leaves the most to do.
    let probe = try Self.scene(start, .nft)
    let probing = try probe.host.recoveredAgent()
    probe.host.faults.restart()
    try probe.host.apply(probing, Samples.new)
    let loading = try #require(probe.host.faults.log.firstIndex(of: "load ipv4")) + 1
    var number = 0
    while true {
      number += 1
      let scene = try Self.scene(start, .nft)
      let host = scene.host
      let agent = try host.recoveredAgent()
      host.faults.arm(.die(loading))
      _ = try? host.apply(agent, Samples.new)
      host.faults.arm(.die(number))
      _ = try? host.agent().recover()
      guard host.faults.isDead else { break }
      let place: Comment = "\(start), call \(number) of recovery: \(host.faults.log.last ?? "")"
      host.faults.restart()
      _ = try host.recoveredAgent()
      try Self.check(scene, place)
      #expect(host.canonical == scene.old, place)
    }
    #expect(number > 10)
  }

  @Test(arguments: Start.allCases, [EIO, ENOSPC])
  func `a single call that fails leaves the old bundle or the new one, and the answer says which`(
    start: Start, errno: Int32
  ) throws {
    var number = 0
    while true {
      number += 1
      let scene = try Self.scene(start, .legacy)
      let host = scene.host
      let agent = try host.recoveredAgent()
      host.faults.arm(.fail(number), errno: errno)
      let result = Result { try host.apply(agent, Samples.new) }
      let reached = host.faults.calls >= number
      let place: Comment = "\(start), call \(number): \(reached ? host.faults.log[number - 1] : "none")"
      host.faults.restart()
      switch result {
      case .success(let outcome) where outcome.result == .committed: #expect(host.canonical == scene.new, place)
      case .success(let outcome):
        #expect(outcome.result == .reverted, place)
        #expect(host.canonical == scene.old, place)
      case .failure(let error):
        #expect(error is Refusal, place)
        #expect(host.canonical == scene.old, place)
      }
      guard reached else { break }
      _ = try host.recoveredAgent()
      try Self.check(scene, place)
      #expect(try host.apply(try host.recoveredAgent(), Samples.new).result != .reverted, place)
    }
    #expect(number > 40)
  }

  @Test(arguments: Start.allCases)
  func `a disk and programs that die for good leave a host that the next start mends`(start: Start) throws {
    var number = 0
    while true {
      number += 1
      let scene = try Self.scene(start, .nft)
      let host = scene.host
      let agent = try host.recoveredAgent()
      host.faults.arm(.failFrom(number))
      _ = try? host.apply(agent, Samples.new)
      guard host.faults.calls >= number else { break }
      let place: Comment = "\(start), from call \(number): \(host.faults.log[number - 1])"
      host.faults.restart()
      _ = try host.recoveredAgent()
      try Self.check(scene, place)
    }
    #expect(number > 40)
  }

  @Test func `a full disk refuses, leaves nothing behind, and changes nothing`() throws {
    let host = try FakeHost()
    let agent = try host.recoveredAgent()
    let bundles = try host.disk.list("bundles")
    for number in 1...6 {
      host.faults.restart()
      let creations = try creationCalls(host, agent)
      guard number <= creations.count else { break }
      host.faults.arm(.fail(creations[number - 1]), errno: ENOSPC)
      let refusal = #expect(throws: Refusal.self) { try host.apply(agent, Samples.new) }
      #expect(refusal?.code == .diskFull)
      host.faults.restart()
      #expect(try host.disk.list("bundles") == bundles)
      #expect(host.firewall.loads == 0)
    }
  }

  /// The numbers of the calls that write bundle files, from a run on a host of its own.
  private func creationCalls(_ host: FakeHost, _ agent: HostAgent) throws -> [Int] {
    let other = try FakeHost()
    let probe = try other.recoveredAgent()
    other.faults.restart()
    try other.apply(probe, Samples.new)
    return other.faults.log.indices.filter { other.faults.log[$0].hasPrefix("create bundles") }.map { $0 + 1 }
  }

  @Test func `a damaged committed bundle is never loaded at boot`() throws {
    let host = try FakeHost()
    try host.apply(try host.recoveredAgent(), Samples.old)
    let name = try #require(try host.ledger().committed?.name)
    host.disk.tamper("bundles/\(name)/ipv4.rules", Array(Samples.old4.replacing("22", with: "23").utf8))
    host.firewall.kernel = .init(ipv4: [:], ipv6: [:])
    guard case .safePolicy(let why) = try host.agent().restore() else {
      Issue.record("restored a bundle that nobody signed")
      return
    }
    #expect(why.contains("ipv4.rules"))
    #expect(host.canonical.ipv4.contains(":INPUT DROP"))
    #expect(try host.ledger().degraded != nil)
    // The successor mends it.
    #expect(try host.apply(try host.recoveredAgent(), Samples.new).result == .committed)
    #expect(try host.ledger().degraded == nil)
  }

  @Test func `a damaged journal refuses applies, and boots into the safe policy`() throws {
    let host = try FakeHost()
    try host.apply(try host.recoveredAgent(), Samples.old)
    var bytes = try #require(try host.disk.read("journal", atMost: 1 << 20))
    bytes[12] ^= 1
    host.disk.tamper("journal", bytes)
    #expect(throws: Failure.self) { try host.agent().recover() }
    guard case .safePolicy(let why) = try host.agent().restore() else {
      Issue.record("restored from a journal that cannot be read")
      return
    }
    #expect(why.contains("damaged at byte 0"))
  }

  @Test func `a disk that is still read-only does not keep the committed bundle from being restored`() throws {
    for number in [0, 26, 32] {
      let scene = try Self.scene(.committed, .nft)
      let host = scene.host
      let agent = try host.recoveredAgent()
      if number > 0 { host.faults.arm(.die(number)) }
      if number > 0 { _ = try? host.apply(agent, Samples.new) }
      host.faults.restart()
      let committed = try #require(try host.ledger().committed?.accepted.serial)
      host.firewall.kernel = .init(ipv4: [:], ipv6: [:])
      host.disk.isReadOnly = true
      #expect(try host.agent().restore() == .committed(committed))
      #expect(host.canonical == (committed == Serial(8) ? scene.new : scene.old))
    }
  }

  @Test func `removal returns to what was found and empties what only we declared`() throws {
    let host = try FakeHost()
    host.firewall.append("-A INPUT -p tcp -m tcp --dport 8080 -j DROP", to: "filter", .ipv4)
    let found = host.canonical
    let agent = try host.recoveredAgent()
    try host.apply(agent, Samples.new)
    #expect(host.canonical != found)
    #expect(try agent.returnToGeneration0())
    #expect(host.canonical == found)
  }
}
