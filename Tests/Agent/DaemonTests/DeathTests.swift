import Apply
import Core
import Daemon
import Foundation
import Glibc
import Synchronization
import Testing
import Wire

/// Processes that die at the worst moment. Each runs in a process of its own, which really dies.
@Suite struct DeathTests {
  @Test(arguments: [SIGHUP, SIGTERM, SIGKILL])
  func `a bridge that a signal kills after the answer changes nothing`(signal: Int32) async throws {
    let operations = FakeOperations(waits: .seconds(4000))
    let daemon = try RunningDaemon(operations)
    defer { daemon.stop() }
    let socket = daemon.socket
    await #expect(processExitsWith: .signal(signal)) { [socket = socket as String, signal = signal as Int32] in
      let bridge = BridgeTests.RunningBridge(socket, Preamble(sshConnection: "192.0.2.7 51515 192.0.2.1 22"))
      bridge.send(
        ControllerMessage.hello(version: 5).encode() + Sample.staging()
          + ControllerMessage.apply(Sample.transaction, manifest: Sample.manifest, .standard).encode())
      var decoder = FrameDecoder()
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        if let frame = try decoder.next() {
          if case .applied = try AgentMessage(frame: frame) { break }
          continue
        }
        let count = read(bridge.output, &buffer, buffer.count)
        guard count > 0 else { exit(1) }
        decoder.feed(buffer[..<count])
      }
      kill(getpid(), signal)
      sleep(10)
    }
    usleep(100_000)
    #expect(operations.confirmBy != nil)
    let peer = try TestPeer.greeted(daemon, port: 51516)
    peer.say(.confirm(Sample.confirmation))
    #expect(try ConfirmationTests.hearOutcome(peer) == .committed)
    #expect(operations.state.withLock { $0.expiries.isEmpty })
  }

  @Test func `a hang-up does not end the daemon's process, SIGTERM asks it to stop`() async {
    await #expect(processExitsWith: .exitCode(7)) {
      let signals = try Signals()
      kill(getpid(), SIGHUP)
      usleep(100_000)
      var waiting = pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&waiting, 1, 0) == 0 else { exit(1) }
      kill(getpid(), SIGTERM)
      usleep(100_000)
      exit(poll(&waiting, 1, 2000) == 1 ? 7 : 2)
    }
  }
}
