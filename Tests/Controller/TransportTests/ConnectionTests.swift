import Core
import Foundation
import Glibc
import Testing

@testable import Transport

extension Servers {
  @Suite(.serialized) struct Channels {
    static let server = Result { try TestServer() }
    let server: TestServer

    init() throws { server = try Self.server.get() }

    @Test func aProgramRunsAndItsStatusComesBack() async throws {
      let connection = try await server.connect()
      #expect(connection.remoteAddress == "127.0.0.1:\(server.port)")
      let channel = try await connection.run("echo hello; echo oops >&2; exit 7", deadline: soon())
      #expect(try await channel.text() == "hello\n")
      #expect(try await channel.read() == nil)
      #expect(try await channel.exitStatus() == 7)
      #expect(await channel.standardError() == Array("oops\n".utf8))
      let second = try await connection.run("kill -9 $$", deadline: soon())
      #expect(try await second.exitStatus() == nil)
      await connection.close()
      let error = await failure { _ = try await connection.run("true", deadline: soon()) }
      #expect(error?.kind == .unreachable)
    }

    @Test func theLoginShellReadsItsInput() async throws {
      let connection = try await server.connect()
      let channel = try await connection.run(nil, deadline: soon())
      try await channel.write(Array("echo from the shell; exit 3\n".utf8))
      #expect(try await channel.text() == "from the shell\n")
      #expect(try await channel.exitStatus() == 3)
    }

    @Test func twentyMegabytesArriveWhole() async throws {
      let connection = try await server.connect()
      let channel = try await connection.run(
        "head -c 20000000 /dev/zero | tr '\\0' 'x' | tee /dev/fd/3 3>&1 >/dev/null; echo", deadline: soon(60))
      var digest = DigestBuilder()
      var count = 0
      while let piece = try await channel.read() {
        #expect(!piece.isEmpty)
        digest.update(piece)
        count += piece.count
      }
      #expect(count == 20_000_001)
      #expect(digest.finish() == Digest(of: [UInt8](repeating: 120, count: 20_000_000) + [10]))
    }

    /// libssh opens the window anew with each piece that is read, whatever it still holds.
    @Test func aReaderThatIsSlowerThanItsHostMissesNothing() async throws {
      let connection = try await server.connect()
      let channel = try await connection.run("head -c 20000000 /dev/zero", deadline: soon(60))
      var count = 0
      while let piece = try await channel.read() {
        count += piece.count
        try await Task.sleep(for: .milliseconds(40))
      }
      #expect(count == 20_000_000)
    }

    @Test func largeInputArrivesWholeWhileOutputIsRead() async throws {
      let connection = try await server.connect()
      let input = (0..<8_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
      let channel = try await connection.run("cat", deadline: soon(60))
      async let echoed = channel.readAll()
      try await channel.write(input)
      try await channel.finishWriting()
      #expect(try await echoed == input)
      #expect(try await channel.exitStatus() == 0)
      let error = await failure { try await channel.write([1]) }
      #expect(error != nil)
    }

    @Test func inputMoreThanTheProgramReadsIsAnErrorAndItsOutputIsKept() async throws {
      let connection = try await server.connect()
      let channel = try await connection.run("echo enough", deadline: soon())
      let error = await failure {
        for _ in 0..<1000 { try await channel.write([UInt8](repeating: 0, count: 65_536)) }
      }
      #expect(error?.kind == .unreachable)
      #expect(try await channel.text() == "enough\n")
      #expect(try await channel.exitStatus() == 0)
    }

    @Test func standardErrorIsDrainedAndCut() async throws {
      let connection = try await server.connect(limits: ConnectionLimits(standardErrorBytes: 1000))
      let channel = try await connection.run(
        "for i in 1 2 3 4; do echo line $i; head -c 1500000 /dev/zero >&2; done", deadline: soon(30))
      #expect(try await channel.text() == "line 1\nline 2\nline 3\nline 4\n")
      #expect(try await channel.exitStatus() == 0)
      #expect(await channel.standardError().count == 1000)
    }

    @Test func aSlowReaderHoldsTheProgramBackAndNotTheOtherChannels() async throws {
      let connection = try await server.connect()
      let slow = try await connection.run("head -c 30000000 /dev/zero", deadline: soon(30))
      let first = try await slow.read()
      for number in 1...5 {
        let quick = try await connection.run("echo \(number)", deadline: soon())
        #expect(try await quick.text() == "\(number)\n")
      }
      let rest = try await slow.readAll()
      #expect((first?.count ?? 0) + rest.count == 30_000_000)
    }

    @Test func moreBytesThanTheBudgetEndTheConnection() async throws {
      for command in ["head -c 3000000 /dev/zero", "head -c 3000000 /dev/zero >&2"] {
        let connection = try await server.connect(limits: ConnectionLimits(receivedBytes: 1_000_000))
        let channel = try await connection.run(command, deadline: soon())
        var count = 0
        let error = await failure {
          while let piece = try await channel.read() { count += piece.count }
        }
        #expect(error?.kind == .tooMuchData)
        #expect(count <= 1_000_000)
        let next = await failure { _ = try await connection.run("true", deadline: soon()) }
        #expect(next?.kind == .unreachable)
      }
      // Nobody reads: it is counted all the same.
      let connection = try await server.connect(limits: ConnectionLimits(receivedBytes: 500_000))
      let channel = try await connection.run("head -c 3000000 /dev/zero", deadline: soon())
      let error = await failure { _ = try await channel.exitStatus() }
      #expect(error?.kind == .tooMuchData)
    }

    @Test func aDeadlineEndsAReadInTheMiddle() async throws {
      let connection = try await server.connect()
      let channel = try await connection.run("echo begun; sleep 30", deadline: soon(0.5))
      #expect(try await channel.read() == Array("begun\n".utf8))
      let start = ContinuousClock.now
      let error = await failure { _ = try await channel.read() }
      #expect(error?.kind == .deadline)
      #expect(ContinuousClock.now - start < .seconds(15))
      #expect(await failure { _ = try await channel.exitStatus() }?.kind == .deadline)
      // The connection lives on.
      let next = try await connection.run("echo again", deadline: soon())
      #expect(try await next.text() == "again\n")
    }

    @Test func cancellationEndsWhatWaits() async throws {
      let connection = try await server.connect()
      let channel = try await connection.run("sleep 30", deadline: soon(20))
      let reading = Task { await failure { _ = try await channel.read() } }
      try await Task.sleep(for: .milliseconds(100))
      let start = ContinuousClock.now
      reading.cancel()
      #expect(await reading.value?.kind == .cancelled)
      #expect(ContinuousClock.now - start < .seconds(10))
      let next = try await connection.run("echo again", deadline: soon())
      #expect(try await next.text() == "again\n")

      let silent = try FakeServer { Misbehaviour.silent.behave($0) }
      let connector = try LibSSHConnector(knownHosts: .empty, loops: 1)
      let endpoint = silent.endpoint("silent", key: server.clientKey)
      let connecting = Task { await failure { _ = try await connector.connect(to: endpoint, limits: .init()) } }
      try await Task.sleep(for: .milliseconds(100))
      connecting.cancel()
      #expect(await connecting.value?.kind == .cancelled)
      let early = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        return await failure { _ = try await connector.connect(to: endpoint, limits: .init()) }
      }
      #expect(await early.value?.kind == .cancelled)
    }

    @Test func aConnectionThatNobodyHoldsIsClosed() async throws {
      func count() -> Int { server.log.components(separatedBy: "Connection closed by").count }
      let before = count()
      do {
        let connection = try await server.connect()
        _ = connection.remoteAddress
      }
      for _ in 0..<100 where count() == before { try await Task.sleep(for: .milliseconds(20)) }
      #expect(count() > before)
    }

    @Test func theServersDeathIsNoticed() async throws {
      let other = try TestServer()
      let connection = try await other.connect()
      let channel = try await connection.run("sleep 30", deadline: soon(20))
      other.stop()
      let error = await failure { _ = try await channel.exitStatus() }
      #expect(error?.kind == .unreachable)
    }
  }

  @Suite(.serialized) struct HostKeysAndLogins {
    static let server = Result { try TestServer(hostKeyTypes: ["ed25519", "ecdsa", "rsa"]) }
    let server: TestServer
    let scratch: Scratch

    init() throws {
      server = try Self.server.get()
      scratch = try Scratch()
    }

    func connect(
      _ known: String, _ change: (inout HostEndpoint) -> Void = { _ in }, name: String = "host"
    ) async throws -> String {
      let hosts = KnownHosts.parse(Array(known.utf8), file: "known_hosts")
      var endpoint = server.endpoint(name)
      change(&endpoint)
      let connector = try LibSSHConnector(knownHosts: hosts, loops: 1)
      let connection = try await connector.connect(to: endpoint, limits: ConnectionLimits())
      return try await connection.run("echo $USER", deadline: soon()).text()
    }

    func key(_ type: String) throws -> String { try TestServer.publicKey("\(server.scratch.path)/host_\(type)") }

    @Test("a host with several keys proves itself by the one that is pinned", arguments: ["ed25519", "ecdsa", "rsa"])
    func pinnedType(type: String) async throws {
      #expect(try await connect("[host]:\(server.port) \(key(type))\n") == "root\n")
      #expect(try await connect("[127.0.0.1]:\(server.port) \(key(type))\n") == "root\n")
    }

    @Test func hashedNamesAreFound() async throws {
      let file = try scratch.write("[host]:\(server.port) \(key("ed25519"))\n", to: "known_hosts")
      try run("/usr/bin/ssh-keygen", "-q", "-H", "-f", file)
      #expect(try await connect(String(contentsOfFile: file, encoding: .utf8)) == "root\n")
    }

    @Test func anUnknownHostIsRefusedWithItsFingerprint() async throws {
      let error = await failure { _ = try await connect("") }
      let shown = try HostKey(base64: key("ed25519").split(separator: " ")[1].utf8)?.fingerprint ?? ""
      #expect(error?.kind == .hostKeyUnknown)
      #expect(error?.detail.contains(shown) == true)
      #expect(error?.hint != nil)
      #expect(!server.log.contains("Accepted publickey for nobody"))
    }

    @Test("a changed host key is refused with both fingerprints", arguments: ["ed25519", "ecdsa"])
    func changed(type: String) async throws {
      let other = try TestServer.publicKey(scratch.key("other", type: type))
      let error = await failure { _ = try await connect("[host]:\(server.port) \(other)\n") }
      #expect(error?.kind == .hostKeyChanged)
      for text in [other, try key(type)] {
        let fingerprint = try #require(HostKey(base64: text.split(separator: " ")[1].utf8)).fingerprint
        #expect(error?.detail.contains(fingerprint) == true)
      }
    }

    @Test func aHostWithoutTheTypeThatIsPinnedIsRefusedWithTheKeyItShows() async throws {
      let plain = try TestServer()
      let other = try TestServer.publicKey(scratch.key("other", type: "ecdsa"))
      let connector = try LibSSHConnector(knownHosts: plain.knownHosts(key: other), loops: 1)
      let error = await failure { _ = try await connector.connect(to: plain.endpoint(), limits: .init()) }
      #expect(error?.kind == .hostKeyChanged)
      #expect(error?.detail.components(separatedBy: "SHA256:").count == 3)
    }

    @Test func aRevokedKeyIsRefusedEvenWhenItIsPinnedToo() async throws {
      let line = try "[host]:\(server.port) \(key("ed25519"))\n"
      let error = await failure { _ = try await connect(line + "@revoked * \(key("ed25519"))\n") }
      #expect(error?.kind == .hostKeyRevoked)
      // With another key pinned the host may still prove itself by that.
      let both = try line + "@revoked * \(key("ed25519"))\n[host]:\(server.port) \(key("ecdsa"))\n"
      #expect(try await connect(both) == "root\n")
    }

    @Test func aKeyTheHostDoesNotKnowIsRefused() async throws {
      let stranger = try scratch.key("stranger")
      let error = await failure {
        _ = try await connect("[host]:\(server.port) \(key("ed25519"))\n") { $0.identityFile = stranger }
      }
      #expect(error?.kind == .authenticationRefused)
    }

    @Test func keysOfOtherTypesLogIn() async throws {
      for type in ["ecdsa", "rsa"] {
        let file = try scratch.key("client_\(type)", type: type)
        let path = server.scratch.path + "/authorized_keys"
        try run("/bin/sh", "-c", "cat \(file).pub >>\(path)")
        #expect(try await connect("[host]:\(server.port) \(key("ed25519"))\n") { $0.identityFile = file } == "root\n")
      }
    }

    @Test func filesThatCannotBeUsedAreNamed() async throws {
      let known = try "[host]:\(server.port) \(key("ed25519"))\n"
      let locked = try scratch.key("locked", passphrase: "secret")
      let broken = try scratch.write("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", to: "broken")
      for (file, word) in [(locked, "encrypted"), (broken, "not a private key"), ("/nonexistent", "No such file")] {
        let error = await failure { _ = try await connect(known) { $0.identityFile = file } }
        #expect(error?.kind == .localFile)
        #expect(error?.detail.contains(word) == true, "\(error.map(\.detail) ?? "")")
      }
      #expect(await failure { _ = try await connect(known) { $0.identityFile = nil } }?.kind == .localFile)
    }

    @Test func theAgentSignsForTheKeyThatIsNamedOrForOneOfItsOwn() async throws {
      let socket = "\(scratch.path)/agent"
      let agent = try Bound("/usr/bin/ssh-agent -D -a \(socket) </dev/null &", directory: scratch.path)
      defer { agent.stop() }
      for _ in 0..<100 where !FileManager.default.fileExists(atPath: socket) { usleep(20_000) }
      func add(_ key: String) throws {
        try run("/usr/bin/env", "SSH_AUTH_SOCK=\(socket)", "/usr/bin/ssh-add", "-q", key)
      }
      for number in 1...3 { try add(scratch.key("stranger\(number)")) }
      let known = try "[host]:\(server.port) \(key("ed25519"))\n"
      let strangers = await failure {
        _ = try await connect(known) {
          $0.identityFile = nil
          $0.agentSocket = socket
        }
      }
      #expect(strangers?.kind == .authenticationRefused)
      try add(server.clientKey)
      #expect(
        try await connect(known) {
          $0.identityFile = nil
          $0.agentSocket = socket
        } == "root\n")
      // Named by its public half alone; the agent's other keys are not offered.
      let publicHalf = try scratch.write(
        String(contentsOfFile: server.clientKey + ".pub", encoding: .utf8), to: "named.pub")
      #expect(
        try await connect(known) {
          $0.identityFile = publicHalf
          $0.agentSocket = socket
        } == "root\n")
      let missing = await failure {
        _ = try await connect(known) {
          $0.identityFile = nil
          $0.agentSocket = scratch.path + "/nobody"
        }
      }
      #expect(missing?.kind == .localFile)
    }

    @Test(
      "weak servers are refused in words",
      arguments: [
        ("Ciphers aes128-cbc,aes128-ctr", "cipher"), ("Ciphers aes256-ctr\nMACs hmac-sha1", "MAC"),
        ("Ciphers aes256-gcm@openssh.com", "cipher"), ("KexAlgorithms diffie-hellman-group14-sha1", "key exchange"),
      ])
    func weak(configuration: String, word: String) async throws {
      let server = try TestServer(extra: configuration)
      let error = await failure { _ = try await server.connect() }
      #expect(error?.kind == .protocolViolation)
      #expect(error?.detail.contains(word) == true, "\(error.map(\.detail) ?? "")")
    }

    @Test(
      "what we require is enough by itself",
      arguments: [
        "Ciphers aes256-ctr\nMACs hmac-sha2-512-etm@openssh.com", "KexAlgorithms ecdh-sha2-nistp256",
        "Ciphers chacha20-poly1305@openssh.com",
      ])
    func sufficient(configuration: String) async throws {
      let server = try TestServer(extra: configuration)
      let connection = try await server.connect()
      #expect(try await connection.run("echo in", deadline: soon()).text() == "in\n")
    }
  }
}
