import Core
import TestSupport
import Testing
import Wire

/// Reports, which are the largest messages and are stored too.
extension CodecTests {
  @Test func `a report has the same bytes on its own as in its frame`() throws {
    var random = Random(seed: Self.seed)
    for _ in 0..<200 {
      let report = random.anyReport()
      #expect(try Report(encoded: report.encode()) == report, "seed \(Self.seed)")
      #expect(AgentMessage.report(report).encode().dropFirst(5) == report.encode()[...])
    }
    #expect(throws: WireProblem.malformedReport(.trailing(count: 1))) {
      try Report(encoded: report().encode() + [0])
    }
    #expect(throws: WireProblem.malformedReport(.truncated(field: "format of report"))) { try Report(encoded: []) }
  }

  @Test func `stored reports of the formats before are read`() throws {
    // Stores keep reports for years. Format 6 said nothing of lockdowns, nor of what listens.
    let lockdown = 1 + 1
    var old = report()
    old.degraded = "why"
    var encoded = Array(old.encode().dropLast(lockdown))
    encoded[1] = 6
    #expect(try Report(encoded: encoded) == old)
    // Format 5 said nothing of what others have, nor of renewals.
    let others = 1 + 1 + lockdown
    encoded = Array(old.encode().dropLast(others))
    encoded[1] = 5
    #expect(try Report(encoded: encoded) == old)
    // Format 4 said neither where sshd listens nor whether there are leases.
    let services = 4 + 1 + others
    encoded = Array(old.encode().dropLast(services))
    encoded[1] = 4
    #expect(try Report(encoded: encoded) == old)
    // Format 3 said nothing of kernel settings.
    encoded = Array(old.encode().dropLast(services + 4))
    encoded[1] = 3
    #expect(try Report(encoded: encoded) == old)
    // Format 2 only said whether the safe policy was loaded.
    old.degraded = nil
    encoded = Array(old.encode().dropLast(services + 4))
    encoded[1] = 2
    #expect(try Report(encoded: encoded) == old)
    let flag = encoded.count - 4 - old.managementSource.utf8.count - 1
    encoded[flag] = 1
    old.degraded = "its agent does not say why"
    #expect(try Report(encoded: encoded) == old)
  }

  @Test func `owners are written in order and once, and read only so`() throws {
    var sent = report()
    sent.owners = [.ufw, .docker, .ufw]
    #expect(try Report(encoded: sent.encode()).owners == [.docker, .ufw])
    sent.owners = [.docker, .ufw]
    let names = [Array("docker".utf8), Array("ufw".utf8)].map { [0, 0, 0, UInt8($0.count)] + $0 }
    let bytes = sent.encode()
    let place = try #require(bytes.indices.first { bytes[$0...].starts(with: names[0] + names[1]) })
    for wrong in [names[1] + names[0], names[0] + names[0], names[0] + [0, 0, 0, 3] + Array("u~w".utf8)] {
      var mutant = bytes
      mutant.replaceSubrange(place..<place + names[0].count + names[1].count, with: wrong)
      #expect(throws: WireProblem.malformedReport(.malformed(field: "owner"))) { try Report(encoded: mutant) }
    }
  }

  @Test func `software that only a newer agent knows costs nothing of its report`() throws {
    var sent = report()
    sent.ownerWords = ["docker", "newer-1"]
    var table = OthersReport.Table(
      family: "inet", name: "t", owner: nil, isHooked: true, drops: true, digest: digest)
    table.ownerWord = "newer-2"
    var chains = OthersReport.Chains(family: .ipv6, owner: nil, rules: 1, digest: digest)
    chains.ownerWord = "newer-3"
    sent.others = OthersReport(tables: [table], chains: [chains])
    let read = try Report(encoded: sent.encode())
    #expect(read == sent && read.owners == [.docker] && read.encode() == sent.encode())
    sent.ownerWords = (10...60).map { "newer-\($0)" }
    #expect(try Report(encoded: sent.encode()).ownerWords == Array(sent.ownerWords.prefix(WireLimit.owners)))
  }

  @Test(arguments: ["", "Docker", "dock\u{1b}er", "dock er", String(repeating: "d", count: 33)])
  func `a word that no agent calls software by is refused`(word: String) throws {
    var sent = report()
    sent.ownerWords = ["docker"]
    let bytes = sent.encode()
    let known: [UInt8] = [0, 0, 0, 6] + Array("docker".utf8)
    let place = try #require(bytes.indices.first { bytes[$0...].starts(with: known) })
    var mutant = bytes
    mutant.replaceSubrange(place..<place + known.count, with: [0, 0, 0, UInt8(word.utf8.count)] + Array(word.utf8))
    #expect(throws: WireProblem.self) { try Report(encoded: mutant) }
  }

  @Test func `ports are written in order and once, of more than eight none, and read only so`() throws {
    var sent = report()
    sent.sshPorts = [2222, 22, 0, 22]
    #expect(try Report(encoded: sent.encode()).sshPorts == [22, 2222])
    sent.sshPorts = Array(1...9)
    #expect(try Report(encoded: sent.encode()).sshPorts == [])
    sent.sshPorts = Array(1...8)
    let bytes = sent.encode()
    let start = bytes.count - 4 - 8 * 2
    for ports: [UInt8] in [[0, 0, 0, 2], [0, 2, 0, 2], [0, 2, 0, 1]] {
      var mutant = bytes
      mutant.replaceSubrange(start..<start + 4, with: ports)
      #expect(throws: WireProblem.malformedReport(.malformed(field: "SSH port"))) { try Report(encoded: mutant) }
    }
    var many = bytes
    many[start - 1] = 9
    #expect(throws: WireProblem.self) { try Report(encoded: many) }
  }

  @Test func `what others have is cut to its limits, and more of it is refused`() throws {
    var sent = report()
    let long = String(repeating: "漢", count: 300)
    let table = OthersReport.Table(
      family: long, name: long, owner: .docker, isHooked: true, drops: true, digest: digest)
    sent.others = OthersReport(
      tables: Array(repeating: table, count: 70),
      chains: ForeignOwner.allCases.flatMap { owner in
        [Family.ipv4, .ipv6].map { OthersReport.Chains(family: $0, owner: owner, rules: 1, digest: digest) }
      }, sets: Array(repeating: long, count: 99), problem: long + long)
    let others = try #require(try Report(encoded: sent.encode()).others)
    #expect(others.tables.count == WireLimit.foreignTables && others.omittedTables == 6)
    #expect(others.tables.allSatisfy { $0.name.utf8.count <= WireLimit.foreignTable && long.hasPrefix($0.name) })
    #expect(others.chains.count == 2 * ForeignOwner.allCases.count)
    #expect(others.sets.count == WireLimit.foreignSets && others.omittedSets == 35)
    #expect((others.problem?.utf8.count ?? 0) <= WireLimit.reason)
    sent.others = OthersReport(tables: [table])
    let bytes = sent.encode()
    let name = Array("docker".utf8)
    let place = try #require(bytes.indices.first { bytes[$0...].starts(with: name) })
    var mutant = bytes
    mutant.replaceSubrange(place..<place + name.count, with: Array("Docker".utf8))
    #expect(throws: WireProblem.malformedReport(.malformed(field: "owner of table"))) { try Report(encoded: mutant) }
  }

  @Test func `a stored report of another format is refused by name`() {
    var bytes = report().encode()
    bytes[1] = 1
    #expect(throws: WireProblem.malformedReport(.malformed(field: "format of report"))) { try Report(encoded: bytes) }
  }

  @Test(arguments: [1, 9_999, 10_000, 10_001, 60_000], [3, 28, 255])
  func `a report fits a frame however many chains there are, and says how many it left out`(
    count: Int, length: Int
  ) throws {
    let chains = (0..<count).map { index in
      let number = String(index)
      return ChainDigest(
        table: "filter", chain: number + String(repeating: "c", count: max(0, length - number.utf8.count)),
        digest: digest)
    }
    let sent = report(chains: chains)
    let bytes = AgentMessage.report(sent).encode()
    #expect(bytes.count <= WireLimit.frame)
    #expect(bytes == AgentMessage.report(sent).encode())
    guard case .report(let received) = try AgentMessage(frame: frame(bytes)) else { return }
    for family in Family.allCases {
      let part = received.families[family]
      #expect(part.chains.count + part.omittedChains == count)
      #expect(part.chains[...] == chains.prefix(part.chains.count))
    }
    // What was read is written again without losing more.
    #expect(try Report(encoded: received.encode()) == received)
  }

  @Test func `a report of which everything is at its limit fits a frame`() throws {
    let long = String(repeating: "x", count: 5000)
    let chains = (0..<20_000).map { ChainDigest(table: "filter", chain: "chain-\($0)", digest: digest) }
    var sent = report(chains: chains)
    sent.host = HostID(String(repeating: "h", count: 63))!
    sent.bootID = long
    sent.agentVersion = long
    sent.architecture = long
    sent.kernel = long
    sent.iptablesVersion = long
    sent.lastFailure = LastFailure(serial: Serial(1), result: .failed, detail: long)
    sent.localAct = LocalAct(deed: .safe, at: sent.time, reason: long)
    sent.owners = ForeignOwner.allCases
    sent.conflicts = Array(repeating: long, count: 99)
    sent.degraded = long
    sent.managementSource = long
    sent.settings = Array(repeating: SettingReport(key: long, desired: long, observed: long), count: 200)
    sent.sshPorts = Array(1...8)
    let table = OthersReport.Table(
      family: long, name: long, owner: .docker, isHooked: true, drops: true, digest: digest)
    sent.others = OthersReport(
      tables: Array(repeating: table, count: 70),
      chains: ForeignOwner.allCases.flatMap { owner in
        Family.allCases.map { OthersReport.Chains(family: $0, owner: owner, rules: 1, digest: digest) }
      }, otherBackend: PerFamily(ipv4: digest, ipv6: digest), sets: Array(repeating: long, count: 99), problem: long)
    sent.renewal = Renewal(from: long, to: long, at: sent.time)
    var lock = lockReport
    lock.principals = Array(repeating: long, count: 20)
    lock.reason = long
    lock.differences = PerFamily(ipv4: long, ipv6: long)
    lock.uncut = long
    let profile = LockdownReport.Profile(
      name: ProfileName(String(repeating: "p", count: 32))!, rank: LockRank(1)!, problem: long)
    sent.lockdown = LockdownReport(
      lock: lock, heard: Epoch(1), profiles: Array(repeating: profile, count: 9),
      lastLift: LiftReport(epoch: Epoch(1), cause: .console(long), at: sent.time))
    sent.listening = ListeningReport(
      (1...300).map { ListeningReport.Socket(.tcp, [UInt8](repeating: 9, count: 16), port: $0)! })
    let bytes = AgentMessage.report(sent).encode()
    #expect(bytes.count - 4 <= WireLimit.frame)
    let received = try Report(encoded: sent.encode())
    #expect(received.lockdown?.lock?.principals.count == BundleFile.maximumSignatures)
    #expect(received.lockdown?.profiles.count == WireLimit.profiles)
    #expect(received.listening?.sockets.count == WireLimit.listening && received.listening?.omitted == 44)
  }

  @Test func `sockets are written in order and once, TCP first, and read only so`() throws {
    func socket(_ transport: ListeningReport.Socket.Transport, _ port: UInt16, _ first: UInt8 = 0) throws
      -> ListeningReport.Socket
    { try #require(ListeningReport.Socket(transport, [first, 0, 0, 0], port: port)) }
    let (udp, tcp, other) = (try socket(.udp, 53), try socket(.tcp, 443), try socket(.tcp, 443, 10))
    var sent = report()
    sent.listening = ListeningReport([udp, other, tcp, udp])
    let read = try #require(try Report(encoded: sent.encode()).listening)
    #expect(read.sockets == [tcp, other, udp] && read.omitted == 0)
    #expect(tcp.isForAnyAddress && !other.isForAnyAddress)
    let whole = sent.encode()
    // Transport, port, family, address.
    let size = 1 + 2 + 1 + 4
    let (head, list) = (whole.dropLast(3 * size), whole.suffix(3 * size))
    let parts = (0..<3).map { Array(list.dropFirst($0 * size).prefix(size)) }
    let portless = [parts[0][0], 0, 0] + parts[0].dropFirst(3)
    for wrong in [[1, 0, 2], [0, 0, 2], [0, 2, 1]].map({ $0.flatMap { parts[$0] } }) + [portless + parts[1] + parts[2]]
    {
      #expect(throws: WireProblem.malformedReport(.malformed(field: "socket"))) {
        try Report(encoded: Array(head) + wrong)
      }
    }
    let crowd = Array(head.dropLast(4)) + [0, 0, 1, 1] + list
    #expect(
      throws: WireProblem.malformedReport(.tooLong(field: "number of sockets", length: 257, limit: 256))
    ) { try Report(encoded: crowd) }
  }
}
