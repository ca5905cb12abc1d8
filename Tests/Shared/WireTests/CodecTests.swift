import Core
import TestSupport
import Testing
import Wire

@Suite struct CodecTests {
  static let seed = UInt64.random(in: 0 ... .max)

  @Test func `random messages come back as they went`() throws {
    var random = Random(seed: Self.seed)
    for round in 0..<3000 {
      let sent = random.controllerMessage()
      #expect(try ControllerMessage(frame: frame(sent.encode())) == sent, "seed \(Self.seed), round \(round)")
      let answer = random.agentMessage()
      #expect(try AgentMessage(frame: frame(answer.encode())) == answer, "seed \(Self.seed), round \(round)")
    }
  }

  @Test func `mutated messages are refused or read, never a crash, and what is read is written the same`() {
    var random = Random(seed: Self.seed)
    let corpus = (0..<40).flatMap { _ in [random.controllerMessage().encode(), random.agentMessage().encode()] }
    var read = 0
    for round in 0..<200_000 {
      let bytes = corpus[round % corpus.count]
      var payload = Array(bytes.dropFirst(5))
      var type = bytes[4]
      switch round % 5 {
      case 0 where !payload.isEmpty:
        payload[Int.random(in: 0..<payload.count, using: &random)] ^= 1 << (random.next() % 8)
      case 1 where !payload.isEmpty:
        payload[Int.random(in: 0..<payload.count, using: &random)] = [0, 1, 0x7f, 0xff].randomElement(using: &random)!
      case 2: payload = Array(payload.prefix(Int.random(in: 0...payload.count, using: &random)))
      case 3: payload.insert(contentsOf: random.bytes(2), at: Int.random(in: 0...payload.count, using: &random))
      default: type = (MessageType.allCases.map(\.rawValue) + [0, 255]).randomElement(using: &random)!
      }
      let mutant = Frame(type: type, payload: payload)
      // Another version's hello is read no further than its version.
      if let message = try? ControllerMessage(frame: mutant), message.type != .controllerHello {
        read += 1
        if Array(message.encode().dropFirst(5)) != payload { Issue.record("seed \(Self.seed), round \(round)") }
      }
      if let message = try? AgentMessage(frame: mutant) {
        read += 1
        // A report of a format before is read, and written in today's.
        if message.type == .report, payload.first == 0, (2...6).contains(payload[1]) { continue }
        if Array(message.encode().dropFirst(5)) != payload { Issue.record("seed \(Self.seed), round \(round)") }
      }
    }
    #expect(read > 1000)
  }

  @Test func `streams of random bytes end in an error or in silence`() {
    var random = Random(seed: Self.seed)
    for _ in 0..<2000 {
      var decoder = FrameDecoder()
      // A plausible length now and then, or the decoder would hardly ever get to a message.
      decoder.feed([0, 0, 0, UInt8.random(in: 0...60, using: &random)] + random.bytes(80))
      while let frame = try? decoder.next() {
        _ = try? ControllerMessage(frame: frame)
        _ = try? AgentMessage(frame: frame)
      }
    }
  }

  // MARK: Versions and types

  @Test(arguments: [3, 9] as [UInt8])
  func `a hello of another version is read as far as its version, whatever follows`(number: UInt8) throws {
    let version = UInt16(number)
    let controller = Frame(type: 1, payload: [0, number, 0xde, 0xad])
    #expect(try ControllerMessage(frame: controller) == .hello(version: version))
    let agent = Frame(type: 129, payload: [0, number, 0xde, 0xad])
    #expect(throws: WireProblem.otherVersion(version)) { try AgentMessage(frame: agent) }
    #expect("\(WireProblem.otherVersion(version))" == "the other side speaks protocol \(version), this one 5")
  }

  @Test(arguments: [0, 14, 128, 140, 255] as [UInt8])
  func `an unknown type is named`(type: UInt8) {
    #expect(throws: WireProblem.unknownType(type)) { try ControllerMessage(frame: Frame(type: type, payload: [])) }
    #expect(throws: WireProblem.unknownType(type)) { try AgentMessage(frame: Frame(type: type, payload: [])) }
    #expect("\(WireProblem.unknownType(type))".contains("\(type)"))
  }

  @Test func `messages of the wrong side are refused as such`() throws {
    for (_, bytes) in LabelledBytesTests.fromAgent {
      let frame = try frame(bytes)
      #expect(throws: WireProblem.wrongDirection(MessageType(rawValue: frame.type)!)) {
        try ControllerMessage(frame: frame)
      }
    }
    for (_, bytes) in LabelledBytesTests.fromController {
      let frame = try frame(bytes)
      #expect(throws: WireProblem.wrongDirection(MessageType(rawValue: frame.type)!)) { try AgentMessage(frame: frame) }
    }
  }

  // MARK: Limits

  static let tooMuch: [(String, [StagedFile])] = [
    ("no files", []),
    ("an empty file", [StagedFile(file: .manifest, size: 0)]),
    ("a file twice", [StagedFile(file: .manifest, size: 1), StagedFile(file: .manifest, size: 1)]),
    ("a seventeenth signature", [StagedFile(file: .signature(16), size: 1)]),
    ("a manifest over 64 KiB", [StagedFile(file: .manifest, size: 64 << 10 + 1)]),
    ("rules over 8 MiB", [StagedFile(file: .rules(.ipv6), size: 8 << 20 + 1)]),
    ("a profile over 256 KiB", [StagedFile(file: .lockdown(0, .ipv4), size: 256 << 10 + 1)]),
    ("a ninth profile", [StagedFile(file: .lockdown(8, .ipv4), size: 1)]),
    ("a size of 4 GiB", [StagedFile(file: .rules(.ipv4), size: .max)]),
  ]

  @Test(arguments: tooMuch.indices)
  func `an announcement that breaks a limit is refused`(index: Int) throws {
    let frame = try frame(ControllerMessage.stage(transaction, Self.tooMuch[index].1).encode())
    #expect(throws: WireProblem.self, "\(Self.tooMuch[index].0)") { try ControllerMessage(frame: frame) }
  }

  @Test(
    arguments: [
      (8, 0), (0, 1), (2, 1), (3, 9), (4, 2), (5, 1), (6, 1), (7, 16), (255, 255),
    ] as [(UInt8, UInt8)])
  func `a file that does not exist is refused`(role: UInt8, index: UInt8) {
    let payload = transaction.bytes + [1, role, index, 0, 0, 0, 1]
    #expect(throws: WireProblem.malformed(.stage, .malformed(field: "role of file"))) {
      try ControllerMessage(frame: Frame(type: 2, payload: payload))
    }
  }

  @Test(arguments: [0, 14, 601, .max] as [UInt16])
  func `confirmation terms out of bounds are refused on the wire, and made the nearest that are in them here`(
    seconds: UInt16
  ) {
    let payload = transaction.bytes + digest.bytes + [UInt8(seconds >> 8), UInt8(seconds & 0xff), 0]
    #expect(throws: WireProblem.malformed(.apply, .malformed(field: "confirmation seconds"))) {
      try ControllerMessage(frame: Frame(type: 4, payload: payload))
    }
    #expect(ConfirmationTerms(seconds: seconds, isManual: false).seconds == (seconds < 15 ? 15 : 600))
  }

  @Test(arguments: [15, 60, 600] as [UInt16])
  func `confirmation terms at their bounds are taken as they are`(seconds: UInt16) throws {
    let sent = ControllerMessage.apply(
      transaction, manifest: digest, ConfirmationTerms(seconds: seconds, isManual: true))
    let payload = transaction.bytes + digest.bytes + [UInt8(seconds >> 8), UInt8(seconds & 0xff), 1]
    #expect(try ControllerMessage(frame: Frame(type: 4, payload: payload)) == sent)
  }

  @Test(arguments: [3, 255] as [UInt8])
  func `a byte that is none of its few values is refused`(byte: UInt8) {
    #expect(throws: WireProblem.malformed(.apply, .malformed(field: "manual confirmation"))) {
      try ControllerMessage(frame: Frame(type: 4, payload: transaction.bytes + digest.bytes + [0, 60, byte]))
    }
    #expect(throws: WireProblem.malformed(.local, .malformed(field: "deed"))) {
      try ControllerMessage(frame: Frame(type: 10, payload: [byte, 0, 0, 0, 0]))
    }
  }

  @Test func `an apply of version 1, without terms, is refused`() {
    #expect(throws: WireProblem.malformed(.apply, .truncated(field: "confirmation seconds"))) {
      try ControllerMessage(frame: Frame(type: 4, payload: transaction.bytes + digest.bytes))
    }
  }

  @Test func `a local order's reason is cut to its limit, and one over it is refused`() throws {
    let long = LocalOrder(deed: .safe, reason: String(repeating: "x", count: WireLimit.reason + 1))
    guard case .local(let order) = try ControllerMessage(frame: frame(ControllerMessage.local(long).encode())) else {
      Issue.record("not a local order")
      return
    }
    #expect(order.reason.utf8.count == WireLimit.reason)
    let payload = [0, 0, 0, 2, 1] + [UInt8](repeating: 65, count: WireLimit.reason + 1)
    #expect(
      throws: WireProblem.malformed(
        .local, .tooLong(field: "reason", length: WireLimit.reason + 1, limit: WireLimit.reason))
    ) { try ControllerMessage(frame: Frame(type: 10, payload: payload)) }
  }

  @Test func `warnings are cut in number and length, and more of them are refused`() throws {
    let long = String(repeating: "漢", count: WireLimit.warning)
    let sent = change(warnings: Array(repeating: long, count: WireLimit.warnings + 5))
    guard case .applied(let read) = try AgentMessage(frame: frame(AgentMessage.applied(sent).encode())) else {
      Issue.record("not an applied change")
      return
    }
    #expect(read.warnings.count == WireLimit.warnings)
    #expect(read.warnings.allSatisfy { long.hasPrefix($0) && $0.utf8.count > WireLimit.warning - 3 })
    let head = transaction.bytes + digest.bytes + nonce.bytes + [0, 0, 0, 1]
    let payload = head + [0, 0, 0, 17] + [UInt8](repeating: 0, count: 4 * 17)
    #expect(
      throws: WireProblem.malformed(.applied, .tooLong(field: "number of warnings", length: 17, limit: 16))
    ) { try AgentMessage(frame: Frame(type: 135, payload: payload)) }
  }

  @Test func `a piece is between one byte and the limit`() {
    func data(_ count: Int) throws -> ControllerMessage {
      try ControllerMessage(frame: Frame(type: 3, payload: Array(repeating: 1, count: count)))
    }
    #expect(throws: WireProblem.self) { try data(0) }
    #expect(throws: Never.self) { try data(WireLimit.piece) }
    #expect(throws: WireProblem.self) { try data(WireLimit.piece + 1) }
  }

  @Test func `only the last piece of a text may be empty`() {
    #expect(throws: WireProblem.self) { try AgentMessage(frame: Frame(type: 133, payload: [0, 0, 0])) }
    #expect(throws: Never.self) { try AgentMessage(frame: Frame(type: 133, payload: [0, 0, 1])) }
  }

  @Test func `bytes that are not UTF-8 are refused where text belongs`() {
    let payload: [UInt8] = [17] + [0, 0, 0, 2, 0xc3, 0x28] + [0]
    #expect(throws: WireProblem.malformed(.refused, .malformed(field: "detail"))) {
      try AgentMessage(frame: Frame(type: 134, payload: payload))
    }
  }

  @Test(arguments: [0, 1, 2, 3])
  func `a long detail is cut between characters, so that it can be read`(shift: Int) throws {
    let detail = String(repeating: "x", count: shift) + String(repeating: "漢", count: 3000)
    let message = AgentMessage.refused(Refusal(code: .rulesDoNotLoad, detail: detail))
    guard case .refused(let refusal) = try AgentMessage(frame: frame(message.encode())) else {
      Issue.record("not a refusal")
      return
    }
    #expect(refusal.detail.utf8.count > WireLimit.detail - 3 && refusal.detail.utf8.count <= WireLimit.detail)
    #expect(detail.hasPrefix(refusal.detail))
  }

  // MARK: Reports

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

  @Test func `an order over its limits is refused, and a signature too many`() {
    let head = nonce.bytes + [0]
    func order(_ payload: [UInt8]) throws -> ControllerMessage {
      try ControllerMessage(frame: Frame(type: 13, payload: head + payload))
    }
    let text = [UInt8](repeating: 65, count: WireLimit.order + 1)
    #expect(
      throws: WireProblem.malformed(.order, .tooLong(field: "order", length: 4097, limit: 4096))
    ) { try order([0, 0, 0x10, 1] + text + [0]) }
    #expect(throws: Never.self) { try order([0, 0, 0x10, 0] + text.dropLast() + [0]) }
    #expect(
      throws: WireProblem.malformed(.order, .tooLong(field: "number of signatures", length: 17, limit: 16))
    ) { try order([0, 0, 0, 0, 17] + [UInt8](repeating: 0, count: 4 * 17)) }
    #expect(
      throws: WireProblem.malformed(.order, .tooLong(field: "signature", length: 4097, limit: 4096))
    ) { try order([0, 0, 0, 0, 1, 0, 0, 0x10, 1] + text) }
    #expect(throws: WireProblem.malformed(.order, .malformed(field: "kind of order"))) {
      try ControllerMessage(frame: Frame(type: 13, payload: nonce.bytes + [2, 0, 0, 0, 0, 0]))
    }
  }

  @Test func `a host's clock outside the format becomes the nearest time that is in it`() throws {
    var wrong = report()
    wrong.time = UTCTime(secondsSinceEpoch: -5)
    #expect(try Report(encoded: wrong.encode()).time == UTCTime(secondsSinceEpoch: 0))
    wrong.time = UTCTime(secondsSinceEpoch: .max)
    #expect(try Report(encoded: wrong.encode()).time.description == "9999-12-31T23:59:59Z")
  }

  @Test(arguments: [0, 1, WireLimit.piece - 1, WireLimit.piece, WireLimit.piece + 1, 3 * WireLimit.piece])
  func `pieces put together are the text, and the last one says so`(count: Int) {
    let text = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    var pieces = Pieces(text)
    var joined: [UInt8] = []
    var ends: [Bool] = []
    while let (piece, last) = pieces.next() {
      #expect(piece.count <= WireLimit.piece)
      joined += piece
      ends.append(last)
    }
    #expect(joined == text)
    #expect(ends == Array(repeating: false, count: ends.count - 1) + [true])
  }
}
