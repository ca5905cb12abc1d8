import Core
import Dispatch
import Glibc
import Synchronization
import Testing
import Wire

@Suite struct OrderTests {
  static let order = OrderDelivery(nonce: Sample.nonce, kind: .lockdown, statement: [1], signatures: [[2]])
  static let locked = Obeyed(epoch: Epoch(7), result: .locked, lock: nil)

  @Test func `an order that came over SSH is obeyed, in one round trip, and is on record`() throws {
    let daemon = try RunningDaemon()
    defer { daemon.stop() }
    let peer = try TestPeer(daemon.socket)
    peer.say(.hello(version: 5), .order(Self.order))
    #expect(try peer.hear()?.type == .agentHello)
    #expect(try peer.hear() == .obeyed(Sample.nonce, Self.locked))
    #expect(daemon.log.contains("order 7 from 192.0.2.7: locked; 0 connections cut"))
    // What the lock leaves to be done is done right after.
    #expect(eventually { daemon.operations.log == ["recover", "order from 192.0.2.7", "tend the lock"] })
  }

  @Test func `a refused order does not end the connection, and is on record`() throws {
    let operations = FakeOperations()
    operations.state.withLock { $0.orderRefusal = Refusal(code: .olderEpoch, detail: "too late\u{1b}") }
    let daemon = try RunningDaemon(operations)
    defer { daemon.stop() }
    let peer = try TestPeer.greeted(daemon)
    peer.say(.order(Self.order), .report(Sample.nonce))
    #expect(try peer.hearRefusal().code == .olderEpoch)
    #expect(try peer.hear()?.type == .report)
    #expect(daemon.log.contains("order from 192.0.2.7: refused: too late\\u{1b}"))
  }

  @Test func `an order waits for a running apply and its turn, and comes before all that is asked`() throws {
    let operations = FakeOperations(holdsApply: true)
    let daemon = try RunningDaemon(operations)
    defer { daemon.stop() }
    let applying = try TestPeer.greeted(daemon)
    applying.send(Sample.staging())
    applying.say(.apply(Sample.transaction, manifest: Sample.manifest, .standard))
    operations.applyBegan.wait()
    let asking = try TestPeer.greeted(daemon)
    asking.say(.report(Sample.nonce))
    let cancelling = try TestPeer.greeted(daemon)
    cancelling.say(.cancel(Sample.transaction))
    usleep(50_000)
    let ordering = try TestPeer.greeted(daemon)
    ordering.say(.order(Self.order))
    usleep(50_000)
    operations.applyMayEnd.signal()
    #expect(try ordering.hear()?.type == .obeyed)
    #expect(try asking.hear()?.type == .report)
    let done = operations.log.filter { $0 != "tend the lock" }
    #expect(done.suffix(4) == ["apply ends", "cancel", "order from 192.0.2.7", "report for 192.0.2.7"])
  }

  @Test func `a lock that a start finds is tended at its time, though nobody asks for anything`() throws {
    let operations = FakeOperations()
    operations.state.withLock { $0.lockDue = .now + .milliseconds(200) }
    let daemon = try RunningDaemon(operations)
    defer { daemon.stop() }
    #expect(eventually { operations.log == ["recover", "tend the lock"] })
    usleep(300_000)
    #expect(operations.log == ["recover", "tend the lock"])
  }
}
