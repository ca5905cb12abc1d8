import Apply
import Core
import Daemon
import Glibc
import Synchronization
import Testing
import Wire

@Suite struct WatchTests {
  static let writer = HostChange.Actor(name: "iptables", process: 812)

  static func change(_ chain: String = "INPUT") -> HostChange {
    let side = HostChange.Side(observed: Digest(of: chain.utf8), differs: true)
    return HostChange(
      sequence: 0, time: UTCTime(secondsSinceEpoch: 1), bootID: "b", cause: .others,
      families: PerFamily(ipv4: side, ipv6: side),
      chains: [HostChange.Chain(family: .ipv4, table: "filter", chain: chain, change: .changed)], actors: [writer])
  }

  let operations = FakeOperations()
  let watcher = FakeWatcher()

  func daemon(adjust: (inout DaemonLimits) -> Void = { _ in }) throws -> RunningDaemon {
    let daemon = try RunningDaemon(operations, watcher: watcher, adjust: adjust)
    try #require(eventually { looks >= 1 })
    return daemon
  }

  var looks: Int { operations.state.withLock { $0.looks.count } }

  func willFind(_ changes: HostChange...) { operations.state.withLock { $0.unseen += changes } }

  static func changes(_ message: AgentMessage?) throws -> Changes {
    guard case .changes(let changes)? = message else { throw Reason("expected changes, got \(message as Any)") }
    return changes
  }

  @Test func `rules are looked at once when the agent starts, and then not before something changes`() throws {
    let daemon = try daemon()
    usleep(600_000)
    daemon.stop()
    #expect(looks == 1)
    // The look, its result and the end.
    #expect(daemon.turns < 8)
  }

  @Test(arguments: [true, false])
  func `what a lock needs is a reason to look only where rules may have moved`(mayMoveRules: Bool) throws {
    operations.state.withLock { $0.tickMovesRules = mayMoveRules }
    let daemon = try daemon()
    defer { daemon.stop() }
    operations.state.withLock { $0.lockDue = .now }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.report(Sample.nonce))
    #expect(try peer.hear()?.type == .report)
    #expect(eventually { operations.log.contains("tend the lock") })
    guard !mayMoveRules else {
      #expect(eventually { looks == 2 })
      return
    }
    usleep(300_000)
    #expect(looks == 1)
  }

  @Test func `tables that appear unannounced are looked at, and as long as none does only that is asked`() throws {
    let daemon = try daemon { $0.poll = .milliseconds(50) }
    defer { daemon.stop() }
    #expect(eventually { watcher.silent.withLock { $0.asked > 5 } })
    #expect(looks == 1)
    watcher.silent.withLock { $0.tables = Array("filter\n".utf8) }
    #expect(eventually { looks == 2 })
    let asked = watcher.silent.withLock { $0.asked }
    #expect(eventually { watcher.silent.withLock { $0.asked > asked + 5 } })
    #expect(looks == 2)
  }

  @Test func `a table that appears during a look is looked at by the next one`() throws {
    let daemon = try daemon { $0.poll = .milliseconds(50) }
    defer { daemon.stop() }
    operations.state.withLock { $0.duringLook = { self.watcher.silent.withLock { $0.tables = [1] } } }
    watcher.announce(Self.writer)
    #expect(eventually { looks == 3 })
  }

  @Test func `what nothing tells of, as files and kernel settings, is looked at now and then`() throws {
    let daemon = try daemon { $0.pollBesideRules = .milliseconds(100) }
    defer { daemon.stop() }
    #expect(eventually { looks >= 3 })
  }

  @Test func `an agent that cannot hear announcements says so once, polls, and tries again`() throws {
    let tries = Mutex(0)
    let daemon = try RunningDaemon(
      operations, adjust: { $0.poll = .milliseconds(50) },
      listen: { [watcher] in
        try tries.withLock { tries in
          tries += 1
          if tries < 4 { throw Reason("no buffers\u{1b}") }
        }
        return watcher
      })
    #expect(eventually { tries.withLock { $0 == 4 } })
    usleep(300_000)
    let heard = looks
    #expect((3...5).contains(heard))
    watcher.announce(Self.writer)
    #expect(eventually { looks == heard + 1 })
    daemon.stop()
    #expect(daemon.log.filter { $0.contains("no buffers\\u{1b}") }.count == 1)
  }

  @Test func `who waits for a change is told of it, and who made it is known to the look`() throws {
    let daemon = try daemon()
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.watch(after: 0, seconds: 60))
    willFind(Self.change())
    watcher.announce(Self.writer)
    let changes = try Self.changes(try peer.hear())
    #expect(changes.entries.map(\.sequence) == [1] && changes.last == 1 && changes.omitted == 0)
    #expect(changes.entries.first?.chains == Self.change().chains)
    #expect(operations.state.withLock { $0.looks.last?.actors } == [Self.writer])
    // What is known already is no news.
    peer.say(.watch(after: 1, seconds: 0), .watch(after: 0, seconds: 60))
    #expect(try Self.changes(try peer.hear()).entries == [])
    #expect(try Self.changes(try peer.hear()).entries.count == 1)
  }

  @Test func `who asks at once for what is not written yet is told of it too`() throws {
    let daemon = try daemon { $0.keep = .seconds(600) }
    defer { daemon.stop() }
    willFind(Self.change())
    watcher.announce(Self.writer)
    try #require(eventually { looks == 2 })
    let peer = try TestPeer.greeted(daemon)
    peer.say(.watch(after: 0, seconds: 0))
    #expect(try Self.changes(try peer.hear()).entries.map(\.sequence) == [1])
  }

  @Test func `a watch ends when its time is over, or when something else is said`() throws {
    let daemon = try daemon()
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    let start = ContinuousClock.now
    peer.say(.watch(after: 0, seconds: 1))
    #expect(try Self.changes(try peer.hear()) == Changes(last: 0))
    #expect(start.duration(to: .now) >= .milliseconds(900))
    peer.say(.watch(after: 0, seconds: 600), .report(Sample.nonce))
    #expect(try peer.hear()?.type == .changes)
    #expect(try peer.hear()?.type == .report)
    peer.say(.watch(after: 0, seconds: 600), .goodbye)
    #expect(try peer.hearAll().map(\.type) == [.changes])
  }

  @Test func `a waiting watch keeps its connection beyond the time of an idle one, and costs nothing`() throws {
    let daemon = try daemon { $0.idle = .milliseconds(300) }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.watch(after: 0, seconds: 1))
    #expect(try Self.changes(try peer.hear()) == Changes(last: 0))
    #expect(try peer.hearRefusal().detail.contains("nothing was asked"))
    daemon.stop()
    #expect(daemon.turns < 20)
  }

  @Test func `a writer that never pauses is looked at less and less often`() throws {
    let daemon = try daemon()
    for _ in 0..<300 {
      watcher.announce(Self.writer)
      usleep(10_000)
    }
    daemon.stop()
    // Within three seconds: after 0.2, 0.4, 0.8 and 1.6.
    #expect(looks <= 6)
    #expect(daemon.turns < 40)
  }

  @Test func `while a change waits to be confirmed nobody looks, and afterwards somebody does`() throws {
    operations.state.withLock { $0.waits = .seconds(20) }
    let daemon = try daemon()
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.send(Sample.staging())
    peer.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard))
    #expect(try peer.hear()?.type == .staged)
    #expect(try peer.hear()?.type == .applied)
    watcher.announce(Self.writer)
    usleep(500_000)
    #expect(looks == 1)
    let other = try TestPeer.greeted(daemon, port: 51516)
    other.say(.confirm(Sample.confirmation))
    #expect(try other.hear()?.type == .outcome)
    #expect(eventually { looks == 2 })
  }

  @Test func `after an act of the agent's own the rules are looked at, announced or not`() throws {
    let daemon = try daemon()
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.send(Sample.staging())
    peer.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard))
    #expect(try peer.hear()?.type == .staged)
    #expect(try peer.hear()?.type == .outcome)
    #expect(eventually { looks == 2 })
  }

  @Test func `what an order changes and reads back is looked at once, after the other hosts had their time`() throws {
    operations.state.withLock { [watcher] in
      $0.duringOrder = {
        watcher.announce()
        usleep(300_000)
        watcher.announce()
      }
    }
    let daemon = try daemon { $0.afterReadBack = .seconds(2) }
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.order(OrderTests.order))
    #expect(try peer.hear()?.type == .obeyed)
    usleep(400_000)
    #expect(looks == 1)
    #expect(eventually { looks == 2 })
    usleep(500_000)
    #expect(looks == 2)
  }

  @Test func `what others change while an order is obeyed is looked at soon`() throws {
    operations.state.withLock { [watcher] in $0.duringOrder = { watcher.announce(Self.writer) } }
    let daemon = try daemon { $0.afterReadBack = .seconds(60) }
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.order(OrderTests.order))
    #expect(try peer.hear()?.type == .obeyed)
    #expect(eventually { looks == 2 })
    #expect(operations.state.withLock { $0.looks.last?.actors } == [Self.writer])
  }

  @Test(arguments: [nil, Refusal(code: .cannotLock, detail: "no table mangle")])
  func `after an order what others change, and after one that failed whatever there is, is looked at soon`(
    refusal: Refusal?
  ) throws {
    operations.state.withLock { $0.orderRefusal = refusal }
    let daemon = try daemon { $0.afterReadBack = .seconds(60) }
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.order(OrderTests.order))
    #expect(try peer.hear()?.type == (refusal == nil ? .obeyed : .refused))
    if refusal == nil { watcher.announce(Self.writer) }
    #expect(eventually { looks == 2 })
  }

  @Test(arguments: [Obeyed.Result.outOfScope, .ended, .nothingToLift, .drilled])
  func `an order that changes nothing puts off no look at what others changed meanwhile`(result: Obeyed.Result) throws {
    operations.state.withLock { [watcher] in
      $0.orderResult = result
      $0.duringOrder = { watcher.announce(Self.writer) }
    }
    let daemon = try daemon { $0.afterReadBack = .seconds(60) }
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.order(OrderTests.order))
    #expect(try peer.hear()?.type == .obeyed)
    #expect(eventually { looks == 2 })
  }

  @Test(arguments: [false, true])
  func `orders without end keep no look off for long, nor does an apply that waits for them`(
    hasApply: Bool
  ) throws {
    operations.state.withLock { $0.duringOrder = { usleep(100_000) } }
    let daemon = try daemon { limits in
      limits.afterReadBack = .seconds(60)
      limits.overdueLook = .seconds(1)
    }
    defer { daemon.stop() }
    // There is always one more order waiting than is being obeyed.
    let peers = try (0..<3).map { try TestPeer.greeted(daemon, port: UInt16(51600 + $0)) }
    let applying = try TestPeer.greeted(daemon, port: 51610)
    applying.send(Sample.staging())
    #expect(try applying.hear()?.type == .staged)
    for peer in peers { peer.say(.order(OrderTests.order)) }
    if hasApply { applying.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard)) }
    watcher.announce(Self.writer)
    for round in 0..<40 where looks < 2 {
      let peer = peers[round % peers.count]
      #expect(try peer.hear()?.type == .obeyed)
      peer.say(.order(OrderTests.order))
    }
    #expect(looks == 2)
    #expect(operations.state.withLock { $0.looks.last?.actors } == [Self.writer])
    #expect(!operations.log.contains("apply begins"))
  }

  @Test func `questions without end keep no look waiting for long, nor what is to be written down`() throws {
    operations.state.withLock { $0.duringReport = { usleep(100_000) } }
    let daemon = try daemon { limits in
      limits.overdueLook = .seconds(1)
      limits.keep = .milliseconds(200)
    }
    defer { daemon.stop() }
    // There is always one more question waiting than is being answered.
    let peers = try (0..<3).map { try TestPeer.greeted(daemon, port: UInt16(51600 + $0)) }
    for peer in peers { peer.say(.report(Sample.nonce)) }
    willFind(Self.change())
    watcher.announce(Self.writer)
    for round in 0..<80 where looks < 2 || !operations.changes.isKept {
      let peer = peers[round % peers.count]
      #expect(try peer.hear()?.type == .report)
      peer.say(.report(Sample.nonce))
    }
    #expect(looks == 2)
    #expect(operations.changes.last == 1 && operations.changes.isKept)
  }

  @Test func `a report that saw more than the last look is followed by one`() throws {
    let daemon = try daemon()
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.report(Sample.nonce))
    #expect(try peer.hear()?.type == .report)
    usleep(300_000)
    #expect(looks == 1)
    operations.state.withLock { $0.isBehind = true }
    peer.say(.report(Sample.nonce))
    #expect(try peer.hear()?.type == .report)
    #expect(eventually { looks == 2 })
  }

  @Test func `where changes are not announced, rules are looked at from time to time`() throws {
    operations.state.withLock { $0.isAnnounced = false }
    let daemon = try daemon { $0.poll = .milliseconds(50) }
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.watch(after: 0, seconds: 60))
    willFind(Self.change())
    #expect(try Self.changes(try peer.hear()).entries.count == 1)
    #expect(eventually { looks > 4 })
  }

  @Test func `looking that fails is told once, and tried again`() throws {
    operations.state.withLock { $0.lookRefusal = Refusal(code: .internalError, detail: "no program\u{1b}") }
    let daemon = try daemon { $0.poll = .milliseconds(50) }
    #expect(eventually { looks > 3 })
    operations.state.withLock { $0.lookRefusal = nil }
    willFind(Self.change())
    #expect(eventually { operations.changes.last == 1 })
    daemon.stop()
    #expect(daemon.log.filter { $0.contains("no program\\u{1b}") }.count == 1)
  }

  @Test func `what is told is on disk, and what is not is soon`() throws {
    let daemon = try daemon { $0.keep = .milliseconds(500) }
    willFind(Self.change())
    watcher.announce()
    #expect(eventually { operations.changes.last == 1 })
    #expect(!operations.changes.isKept)
    let peer = try TestPeer.greeted(daemon)
    peer.say(.watch(after: 0, seconds: 60))
    #expect(try Self.changes(try peer.hear()).last == 1)
    #expect(operations.changes.isKept)
    peer.say(.goodbye)
    willFind(Self.change("OUTPUT"))
    watcher.announce()
    #expect(eventually { operations.changes.last == 2 })
    #expect(eventually { operations.changes.isKept })
    willFind(Self.change("FORWARD"))
    watcher.announce()
    #expect(eventually { operations.changes.last == 3 })
    daemon.stop()
    #expect(operations.changes.isKept)
  }

  @Test func `a full disk keeps no change from being told, and is not asked without pause`() throws {
    operations.state.withLock { $0.isDiskFull = true }
    let daemon = try daemon { $0.keep = .milliseconds(200) }
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.watch(after: 0, seconds: 60))
    willFind(Self.change())
    watcher.announce()
    #expect(try Self.changes(try peer.hear()).last == 1)
    peer.say(.watch(after: 1, seconds: 1))
    #expect(try Self.changes(try peer.hear()).last == 1)
    #expect(operations.state.withLock { $0.keeps } <= 12)
  }
}
