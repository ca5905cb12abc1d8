import CLibSSH
import Core
import Foundation
import Glibc
import Testing

@testable import Transport

extension Servers {
  @Suite(.serialized) struct Hostile {
    static let server = Result { try TestServer(extra: "LoginGraceTime 0") }
    let server: TestServer

    init() throws { server = try Self.server.get() }

    @Test("each misbehaviour has its own error, in time", arguments: Misbehaviour.allCases)
    func misbehaviour(_ kind: Misbehaviour) async throws {
      let fake = try FakeServer { kind.behave($0) }
      let connector = try LibSSHConnector(knownHosts: .empty, loops: 1)
      let start = ContinuousClock.now
      let error = await failure {
        _ = try await connector.connect(
          to: fake.endpoint(kind.rawValue, key: server.clientKey),
          limits: ConnectionLimits(connectTimeout: .milliseconds(1500)))
      }
      #expect(error?.kind == kind.expected, "\(error.map { "\($0.kind): \($0.detail)" } ?? "connected")")
      #expect(ContinuousClock.now - start < .seconds(2.5))
      #expect(error?.host == kind.rawValue)
      #expect(error?.detail.utf8.allSatisfy { $0 >= 0x20 } == true)
      #expect((error?.detail.utf8.count ?? 0) < 1200)
    }

    @Test func badHostsDelayNobody() async throws {
      let fakes = try Misbehaviour.allCases.map { kind in (kind, try FakeServer { kind.behave($0) }) }
      let connector = try LibSSHConnector(knownHosts: server.knownHosts(), loops: 1)
      let server = server
      try await withThrowingTaskGroup(of: Void.self) { group in
        for (kind, fake) in fakes {
          for _ in 0..<3 {
            let endpoint = fake.endpoint(kind.rawValue, key: server.clientKey)
            group.addTask {
              let error = await failure {
                _ = try await connector.connect(to: endpoint, limits: ConnectionLimits(connectTimeout: .seconds(4)))
              }
              #expect(error?.kind == kind.expected)
            }
          }
        }
        try await Task.sleep(for: .milliseconds(100))
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: String.self) { good in
          for number in 0..<20 {
            good.addTask {
              let connection = try await connector.connect(to: server.endpoint(), limits: ConnectionLimits())
              return try await connection.run("echo \(number)", deadline: soon()).text()
            }
          }
          for try await text in good { #expect(text.hasSuffix("\n")) }
        }
        // They are done before the bad ones are given up.
        #expect(ContinuousClock.now - start < .seconds(4))
        try await group.waitForAll()
      }
    }

    @Test func aFloodingHostDelaysNobody() async throws {
      let connector = try LibSSHConnector(knownHosts: server.knownHosts(), loops: 1)
      let limits = ConnectionLimits(receivedBytes: 1 << 40)
      let flood = try await connector.connect(to: server.endpoint(), limits: limits)
      let channel = try await flood.run("yes", deadline: soon(20))
      let reading = Task { await failure { while try await channel.read() != nil {} } }
      try await Task.sleep(for: .milliseconds(100))
      let start = ContinuousClock.now
      for number in 0..<5 {
        let connection = try await connector.connect(to: server.endpoint(), limits: ConnectionLimits())
        #expect(try await connection.run("echo \(number)", deadline: soon()).text() == "\(number)\n")
      }
      #expect(ContinuousClock.now - start < .seconds(10))
      reading.cancel()
      #expect(await reading.value?.kind == .cancelled)
    }

    @Test func descriptorsAreGivenBack() async throws {
      // Sockets only: Foundation's threads have descriptors of their own.
      func sockets() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
          try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + $0)
        }.filter { $0.hasPrefix("socket:") }
      }
      let connector = try LibSSHConnector(knownHosts: server.knownHosts(), loops: 2)
      let server = server
      let before = try sockets().count
      for _ in 0..<3 {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for _ in 0..<10 {
            group.addTask {
              let connection = try await connector.connect(to: server.endpoint(), limits: ConnectionLimits())
              let channel = try await connection.run("echo x; sleep 30", deadline: soon())
              _ = try await channel.read()
              await connection.close()
            }
            group.addTask {
              let error = await failure {
                _ = try await connector.connect(to: server.endpoint("stranger"), limits: ConnectionLimits())
              }
              #expect(error?.kind == .hostKeyUnknown)
            }
          }
          try await group.waitForAll()
        }
        for kind in Misbehaviour.allCases where kind != .drip {
          let fake = try FakeServer { kind.behave($0) }
          _ = await failure {
            _ = try await connector.connect(
              to: fake.endpoint("fake", key: server.clientKey),
              limits: ConnectionLimits(connectTimeout: .milliseconds(300)))
          }
        }
      }
      for _ in 0..<50 where try sockets().count > before { try await Task.sleep(for: .milliseconds(100)) }
      let left = try sockets().count
      #expect(left <= before)
    }

    @Test func anAddressThatDoesNotAnswerIsPassedOver() async throws {
      let closed = try freePort()
      #expect(closed != server.port)
      let connector = try LibSSHConnector(knownHosts: server.knownHosts(), loops: 1)
      // 127.0.0.77 refuses (sshd listens on 127.0.0.1 only); 192.0.2.1 is nobody's.
      for addresses in [
        ["127.0.0.77", "127.0.0.1"], ["192.0.2.1", "127.0.0.1"], ["::1"], ["no.such.invalid", "::1"],
      ] {
        let start = ContinuousClock.now
        let connection = try await connector.connect(
          to: server.endpoint(addresses: addresses), limits: ConnectionLimits())
        #expect(try await connection.run("echo ok", deadline: soon()).text() == "ok\n")
        #expect(connection.remoteAddress == (addresses.last == "::1" ? "[::1]" : "127.0.0.1") + ":\(server.port)")
        #expect(ContinuousClock.now - start < .seconds(3))
      }
      let byName = try await connector.connect(
        to: server.endpoint(addresses: ["localhost"]), limits: ConnectionLimits())
      #expect(byName.remoteAddress.hasSuffix(":\(server.port)"))
    }

    @Test func addressesThatAllFailAreAllNamed() async throws {
      let connector = try LibSSHConnector(knownHosts: .empty, loops: 1)
      var endpoint = server.endpoint(addresses: ["127.0.0.77", "no.such.invalid"])
      let refused = await failure { _ = try await connector.connect(to: endpoint, limits: ConnectionLimits()) }
      #expect(refused?.kind == .unreachable)
      #expect(refused?.detail.contains("127.0.0.77:\(server.port): Connection refused") == true)
      #expect(refused?.detail.contains("no.such.invalid") == true)
      endpoint.user = "ro ot"
      #expect(
        await failure { _ = try await connector.connect(to: endpoint, limits: ConnectionLimits()) }?.kind == .localFile)
    }
  }

  @Suite(.serialized) struct Jumps {
    static let servers = Result { (bastion: try TestServer(), inner: try TestServer()) }
    let bastion: TestServer
    let inner: TestServer

    init() throws { (bastion, inner) = try Self.servers.get() }

    func connector(bastionKey: String? = nil) throws -> LibSSHConnector {
      let known = """
        [bastion]:\(bastion.port) \(try bastionKey ?? bastion.hostKey)
        [host]:\(inner.port) \(try inner.hostKey)

        """
      return try LibSSHConnector(knownHosts: KnownHosts.parse(Array(known.utf8), file: "known_hosts"), loops: 2)
    }

    var behind: HostEndpoint { inner.endpoint(jump: .via(bastion.endpoint("bastion"))) }
    var bastionLogins: Int { bastion.log.components(separatedBy: "Accepted publickey").count - 1 }

    @Test func aReaderThatIsSlowerThanItsHostMissesNothingBehindABastion() async throws {
      let connection = try await connector().connect(to: behind, limits: ConnectionLimits())
      let channel = try await connection.run("head -c 20000000 /dev/zero", deadline: soon(60))
      var count = 0
      while let piece = try await channel.read() {
        count += piece.count
        try await Task.sleep(for: .milliseconds(40))
      }
      #expect(count == 20_000_000)
    }

    @Test func hostsBehindOneBastionShareItsConnection() async throws {
      let before = bastionLogins
      let connector = try connector()
      let endpoint = behind
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<10 {
          group.addTask {
            let connection = try await connector.connect(to: endpoint, limits: ConnectionLimits())
            let channel = try await connection.run("echo \(number)", deadline: soon())
            #expect(try await channel.text() == "\(number)\n")
            #expect(try await channel.exitStatus() == 0)
          }
        }
        try await group.waitForAll()
      }
      // Once more, a moment later: it is still there.
      let again = try await connector.connect(to: endpoint, limits: ConnectionLimits())
      await again.close()
      #expect(bastionLogins - before == 1)
      try await Task.sleep(for: .seconds(5.5))
      #expect(bastion.log.components(separatedBy: "Connection closed by").count >= 2)
    }

    @Test func megabytesPassBothWays() async throws {
      let connection = try await connector().connect(to: behind, limits: ConnectionLimits())
      let input = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 37 ^ $0 >> 9) }
      let channel = try await connection.run("cat", deadline: soon(60))
      async let echoed = channel.readAll()
      try await channel.write(input)
      try await channel.finishWriting()
      #expect(try await echoed == input)
    }

    @Test func aBastionWithAnotherKeyIsRefusedForTheHostsBehindIt() async throws {
      let scratch = try Scratch()
      let other = try TestServer.publicKey(scratch.key("other"))
      let connector = try connector(bastionKey: other)
      let endpoint = behind
      let error = await failure { _ = try await connector.connect(to: endpoint, limits: ConnectionLimits()) }
      #expect(error?.kind == .hostKeyChanged)
      #expect(error?.host == "host")
      #expect(error?.detail.hasPrefix("through bastion: ") == true)
    }

    @Test func theInnerHostKeyIsCheckedToo() async throws {
      let known = try bastion.knownHosts(as: "bastion")
      let connector = try LibSSHConnector(knownHosts: known, loops: 1)
      let endpoint = behind
      let error = await failure { _ = try await connector.connect(to: endpoint, limits: ConnectionLimits()) }
      #expect(error?.kind == .hostKeyUnknown)
    }

    @Test func aBastionBehindABastionWorksAndAClosedPortIsNamed() async throws {
      let connector = try connector()
      var twice = behind
      twice.jump = .via(bastion.endpoint("bastion", jump: .via(bastion.endpoint("bastion"))))
      let connection = try await connector.connect(to: twice, limits: ConnectionLimits())
      #expect(try await connection.run("echo deep", deadline: soon()).text() == "deep\n")
      await connection.close()
      var nowhere = behind
      nowhere.port = try freePort()
      let error = await failure { _ = try await connector.connect(to: nowhere, limits: ConnectionLimits()) }
      #expect(error?.kind == .unreachable)
      #expect(error?.detail.contains("bastion does not reach it") == true)
      // Several addresses are tried from there.
      var second = behind
      second.addresses = ["127.0.0.77", "127.0.0.1"]
      let reached = try await connector.connect(to: second, limits: ConnectionLimits())
      #expect(reached.remoteAddress == "127.0.0.1:\(inner.port)")
    }

    @Test func aDyingBastionEndsTheHostsBehindIt() async throws {
      let own = try TestServer()
      let known = KnownHosts.parse(
        Array("[bastion]:\(own.port) \(try own.hostKey)\n[host]:\(inner.port) \(try inner.hostKey)\n".utf8), file: "k")
      let connector = try LibSSHConnector(knownHosts: known, loops: 1)
      let connection = try await connector.connect(
        to: inner.endpoint(jump: .via(own.endpoint("bastion"))), limits: ConnectionLimits())
      let channel = try await connection.run("sleep 30", deadline: soon(20))
      own.stop()
      #expect(await failure { _ = try await channel.exitStatus() }?.kind == .unreachable)
    }
  }

  @Suite(.serialized) struct Scale {
    static let server = Result { try TestServer() }
    let server: TestServer

    init() throws { server = try Self.server.get() }

    static func processorTime() -> Duration {
      var usage = rusage()
      getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
      return .microseconds(
        (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1_000_000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
    }

    static func residentBytes() -> Int {
      let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
      return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4096
    }

    @Test func twoHundredConnectionsAtOnceAreCheap() async throws {
      let connector = try LibSSHConnector(knownHosts: server.knownHosts())
      let endpoint = server.endpoint()
      let count = 200
      // The first one pays for what is loaded once.
      let first = try await connector.connect(to: endpoint, limits: ConnectionLimits())
      _ = try await first.run("true", deadline: soon()).exitStatus()
      let memory = Self.residentBytes()
      let processor = Self.processorTime()
      let start = ContinuousClock.now
      let open = try await withThrowingTaskGroup(of: (any HostConnection).self) { group in
        for number in 0..<count {
          group.addTask {
            let limits = ConnectionLimits(connectTimeout: .seconds(60))
            let connection = try await connector.connect(to: endpoint, limits: limits)
            let channel = try await connection.run("echo \(number)", deadline: soon(60))
            #expect(try await channel.text() == "\(number)\n")
            #expect(try await channel.exitStatus() == 0)
            return connection
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      let each = (Self.processorTime() - processor) / count
      let bytes = (Self.residentBytes() - memory) / count
      print("cold connection: \(each) of processor time, \(bytes >> 10) KiB resident; \(count) in \(.now - start)")
      #expect(open.count == count)
      #expect(bytes < 150 << 10)

      let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count
      // Not one for each connection; how many else there are is up to what runs beside it.
      #expect(threads < count / 2, "\(threads)")
      let sweep = ContinuousClock.now
      try await withThrowingTaskGroup(of: Void.self) { group in
        for connection in open {
          group.addTask {
            let channel = try await connection.run("cat", deadline: soon(60))
            try await channel.write([UInt8](repeating: 1, count: 64 << 10))
            try await channel.finishWriting()
            #expect(try await channel.readAll().count == 64 << 10)
          }
        }
        try await group.waitForAll()
      }
      let before = (Self.residentBytes() - memory) / count
      // What the allocator keeps for the next burst does not count against connections.
      malloc_trim(0)
      let after = (Self.residentBytes() - memory) / count
      print("64 KiB there and back on each: \(before >> 10), then \(after >> 10) KiB resident; \(.now - sweep)")
      #expect(after < 150 << 10)
      for connection in open { await connection.close() }
      await first.close()
    }
  }
}
