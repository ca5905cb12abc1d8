import Core
import Testing
import Wire

/// The bytes on the wire are a promise to other versions and to other programs: here they stand, field by field.
@Suite struct LabelledBytesTests {
  static let tx = String(repeating: "a1", count: 16)
  static let nonce32 = String(repeating: "b2", count: 32)
  static let digest32 = String(repeating: "c3", count: 32)

  static let fromController: [(ControllerMessage, [UInt8])] = [
    (.hello(version: 5), hex(["length": "00000003", "type": "01", "version": "0005"])),
    (
      .stage(
        transaction,
        [
          StagedFile(file: .statement, size: 9), StagedFile(file: .signature(3), size: 310),
          StagedFile(file: .manifest, size: 256), StagedFile(file: .proof, size: 71),
          StagedFile(file: .rules(.ipv4), size: 8 << 20), StagedFile(file: .rules(.ipv6), size: 1),
          StagedFile(file: .sets, size: 2), StagedFile(file: .sysctl, size: 3),
          StagedFile(file: .lockdown(0, .ipv4), size: 4), StagedFile(file: .lockdown(7, .ipv6), size: 256 << 10),
        ]),
      hex([
        "length": "0000004e", "type": "02", "transaction": tx, "files": "0a",
        "statement": "00 00 00000009", "signature 3": "01 03 00000136", "manifest": "02 00 00000100",
        "proof": "03 00 00000047", "ipv4.rules": "04 00 00800000", "ipv6.rules": "04 01 00000001",
        "sets": "05 00 00000002", "sysctl": "06 00 00000003",
        "lockdown.0.ipv4": "07 00 00000004", "lockdown.7.ipv6": "07 0f 00040000",
      ])
    ),
    (.data([1, 2, 3]), hex(["length": "00000004", "type": "03", "piece": "010203"])),
    (
      .apply(transaction, manifest: digest, terms),
      hex([
        "length": "00000034", "type": "04", "transaction": tx, "manifest": digest32, "seconds": "0102", "manual": "01",
      ])
    ),
    (.report(nonce), hex(["length": "00000021", "type": "05", "nonce": nonce32])),
    (
      .text(TextRequest(family: .ipv6, side: .observed)),
      hex(["length": "00000003", "type": "06", "family": "01", "side": "01"])
    ),
    (.goodbye, hex(["length": "00000001", "type": "07"])),
    (.observe, hex(["length": "00000001", "type": "0b"])),
    (
      .watch(after: 258, seconds: 60),
      hex(["length": "0000000b", "type": "0c", "after": "0000000000000102", "seconds": "003c"])
    ),
    (
      .confirm(confirmation),
      hex(["length": "00000051", "type": "08", "transaction": tx, "manifest": digest32, "nonce": nonce32])
    ),
    (.cancel(transaction), hex(["length": "00000011", "type": "09", "transaction": tx])),
    (
      .local(LocalOrder(deed: .safe, reason: "no")),
      hex(["length": "00000008", "type": "0a", "deed": "00", "reason": "00000002 6e6f"])
    ),
    (
      .local(LocalOrder(deed: .rollback, reason: "")),
      hex(["length": "00000006", "type": "0a", "deed": "01", "reason": "00000000"])
    ),
    (
      .local(LocalOrder(deed: .lift, reason: "")),
      hex(["length": "00000006", "type": "0a", "deed": "02", "reason": "00000000"])
    ),
    (
      .order(delivery),
      hex([
        "length": "00000035", "type": "0d", "nonce": nonce32, "kind": "01", "order": "00000003 010203",
        "signatures": "02", "signature": "00000001 04", "other": "00000002 0506",
      ])
    ),
  ]

  static let fromAgent: [(AgentMessage, [UInt8])] = [
    (
      .hello(agentHello),
      hex([
        "length": "0000001b", "type": "81", "version": "0005", "agent version": "00000005 302e312e30",
        "host": "00000004 68303031", "fleet": "00000003 6c6162",
      ])
    ),
    (
      .staged(transaction, manifest: digest),
      hex(["length": "00000031", "type": "82", "transaction": tx, "manifest": digest32])
    ),
    (
      .outcome(
        Outcome(transaction: transaction, result: .reverted, serial: Serial(258), manifest: digest, detail: "no")),
      hex([
        "length": "00000040", "type": "83", "transaction": tx, "result": "02", "serial": "0000000000000102",
        "manifest": digest32, "detail": "00000002 6e6f",
      ])
    ),
    (
      .text(TextRequest(family: .ipv4, side: .expected), piece: [65], last: true),
      hex(["length": "00000005", "type": "85", "family": "00", "side": "00", "last": "01", "piece": "41"])
    ),
    (
      .refused(
        Refusal(code: .rulesDoNotLoad, detail: "x", location: RuleLocation(family: .ipv6, line: 12))),
      hex([
        "length": "0000000d", "type": "86", "code": "0e", "detail": "00000001 78", "location follows": "01",
        "family": "01", "line": "0000000c",
      ])
    ),
    (
      .refused(Refusal(code: .busy, detail: "")),
      hex(["length": "00000007", "type": "86", "code": "11", "detail": "00000000", "location follows": "00"])
    ),
    (
      .report(
        Report(
          nonce: nonce, host: HostID("h")!, fleet: FleetID("f")!, time: UTCTime(secondsSinceEpoch: 1),
          bootID: "b", agentVersion: "v", architecture: "a", kernel: "k", backend: .legacy, iptablesVersion: "i",
          committed: Committed(
            serial: Serial(2), manifest: digest, content: digest, at: UTCTime(secondsSinceEpoch: 3)),
          lastFailure: LastFailure(serial: Serial(4), result: .failed, detail: "d"),
          pending: PendingChange(
            transaction: transaction, manifest: digest, serial: Serial(5), millisecondsLeft: 258, isManual: true),
          localAct: LocalAct(deed: .rollback, at: UTCTime(secondsSinceEpoch: 6), reason: "r"),
          families: PerFamily(
            ipv4: FamilyReport(
              expected: digest, observed: digest, save: digest,
              chains: [ChainDigest(table: "t", chain: "c", digest: digest)]),
            ipv6: FamilyReport(expected: nil, observed: digest, save: digest, chains: [], omittedChains: 5)),
          owners: [.docker, .ufw], otherBackendRules: 6, conflicts: ["u"], degraded: "d", managementSource: "m",
          settings: [
            SettingReport(key: "y", desired: "1", observed: "0"), SettingReport(key: "z", desired: "2", observed: nil),
          ], sshPorts: [22, 2222], leases: PerFamily(ipv4: true, ipv6: false),
          others: OthersReport(
            tables: [
              OthersReport.Table(
                family: "ip", name: "t", owner: .lxd, isHooked: true, drops: false, digest: digest)
            ], omittedTables: 7,
            chains: [OthersReport.Chains(family: .ipv6, owner: .ufw, rules: 8, digest: digest)],
            otherBackend: PerFamily(ipv4: digest, ipv6: nil), sets: ["s"], omittedSets: 9, problem: "p"),
          renewal: Renewal(from: "a", to: "b", at: UTCTime(secondsSinceEpoch: 10)),
          lockdown: LockdownReport(
            lock: lockReport, heard: Epoch(9),
            profiles: [
              LockdownReport.Profile(name: ProfileName("p")!, rank: LockRank(30)!),
              LockdownReport.Profile(name: ProfileName("q")!, rank: LockRank(1)!, problem: "n"),
            ],
            lastLift: LiftReport(epoch: Epoch(6), cause: .console("c"), at: UTCTime(secondsSinceEpoch: 11))),
          listening: ListeningReport(
            [
              ListeningReport.Socket(.udp, [UInt8](repeating: 0, count: 16), port: 53)!,
              ListeningReport.Socket(.tcp, [192, 0, 2, 1], port: 443)!,
            ], omitted: 7))),
      hex([
        "length": "000003b0", "type": "84", "format": "0007", "nonce": nonce32, "host": "00000001 68",
        "fleet": "00000001 66", "time": "0000000000000001", "boot id": "00000001 62",
        "agent version": "00000001 76", "architecture": "00000001 61", "kernel": "00000001 6b", "backend": "01",
        "iptables version": "00000001 69", "committed follows": "01", "serial of commit": "0000000000000002",
        "manifest": digest32, "content": digest32, "time of commit": "0000000000000003", "failure follows": "01",
        "serial of failure": "0000000000000004", "result": "03", "detail": "00000001 64", "pending follows": "01",
        "transaction": tx,
        "pending manifest": digest32, "pending serial": "0000000000000005", "milliseconds left": "00000102",
        "manual": "01", "local act follows": "01", "deed": "01", "time of act": "0000000000000006",
        "reason": "00000001 72",
        "v4 expected follows": "01", "v4 expected": digest32, "v4 observed": digest32, "v4 save": digest32,
        "v4 left out": "00000000", "v4 chains": "00000001", "v4 table": "00000001 74", "v4 chain": "00000001 63",
        "v4 chain digest": digest32, "v6 expected follows": "00", "v6 observed": digest32, "v6 save": digest32,
        "v6 left out": "00000005", "v6 chains": "00000000", "owners": "00000002",
        "docker": "00000006 646f636b6572", "ufw": "00000003 756677", "rules of the other backend": "00000006",
        "conflicts": "00000001", "conflict": "00000001 75", "degraded follows": "01", "degraded": "00000001 64",
        "management source": "00000001 6d", "settings": "00000002", "setting": "00000001 79",
        "desired": "00000001 31", "observed follows": "01", "observed": "00000001 30", "other": "00000001 7a",
        "other desired": "00000001 32", "other observed follows": "00", "SSH ports": "00000002", "port": "0016",
        "other port": "08ae", "leases follow": "01", "IPv4 lease": "01", "IPv6 lease": "00",
        "others follow": "01", "tables left out": "00000007", "foreign tables": "00000001",
        "table family": "00000002 6970", "table name": "00000001 74", "table owner follows": "01",
        "table owner": "00000003 6c7864", "hooked": "01", "drops": "00", "table digest": digest32,
        "foreign chains": "00000001", "family of chains": "01", "owner of chains follows": "01",
        "owner of chains": "00000003 756677", "foreign rules": "00000008", "foreign chains' digest": digest32,
        "v4 other backend follows": "01", "v4 other backend": digest32, "v6 other backend follows": "00",
        "sets left out": "00000009", "foreign sets": "00000001", "foreign set": "00000001 73",
        "problem follows": "01", "problem": "00000001 70", "renewal follows": "01", "from": "00000001 61",
        "to": "00000001 62", "time of renewal": "000000000000000a", "lockdown follows": "01", "lock follows": "01",
        "epoch": "0000000000000007", "order": digest32, "profile": "00000007 69736f6c617465", "rank": "0102",
        "signers": "00000002", "signer": "00000001 61", "other signer": "00000001 62", "reason of lock": "00000001 72",
        "phase": "02", "since": "0000000000000003", "seconds follow": "01", "seconds left": "00000102",
        "serial of profile": "0000000000000002", "v4 difference follows": "00", "v6 difference follows": "01",
        "v6 difference": "00000001 77", "uncut follows": "01", "uncut": "00000001 75", "heard": "0000000000000009",
        "profiles": "00000002",
        "first profile": "00000001 70", "its rank": "001e", "its problem follows": "00",
        "second profile": "00000001 71", "second rank": "0001", "second problem follows": "01",
        "second problem": "00000001 6e", "last lift follows": "01", "lifted epoch": "0000000000000006",
        "cause of lift": "02", "reason of lift": "00000001 63", "time of lift": "000000000000000b",
        "listening follows": "01", "sockets left out": "00000007", "sockets": "00000002", "transport": "06",
        "port of socket": "01bb", "family of socket": "00", "address of socket": "c0000201",
        "other transport": "11", "other socket's port": "0035", "its family": "01",
        "its address": "00000000000000000000000000000000",
      ])
    ),
    (
      .obeyed(nonce, obeyed),
      hex([
        "length": "000000b7", "type": "8b", "nonce": nonce32, "epoch": "0000000000000007", "result": "00",
        "lock follows": "01", "epoch of lock": "0000000000000007", "order": digest32,
        "profile": "00000007 69736f6c617465", "rank": "0102", "signers": "00000002", "signer": "00000001 61",
        "other signer": "00000001 62", "reason": "00000001 72", "phase": "02", "since": "0000000000000003",
        "seconds follow": "01", "seconds left": "00000102", "serial": "0000000000000002",
        "v4 difference follows": "00", "v6 difference follows": "01", "v6 difference": "00000001 77",
        "uncut follows": "01", "uncut": "00000001 75", "connections cut": "00000009", "verify": "00000001",
        "journal": "00000002", "load": "00000003",
        "cut": "00000004", "reread": "00000005", "warnings": "00000001", "warning": "00000001 77",
      ])
    ),
    (
      .obeyed(nonce, Obeyed(epoch: Epoch(8), result: .nothingToLift, lock: nil)),
      hex([
        "length": "00000047", "type": "8b", "nonce": nonce32, "epoch": "0000000000000008", "result": "03",
        "lock follows": "00", "connections cut": "00000000", "times": String(repeating: "00", count: 20),
        "warnings": "00000000",
      ])
    ),
    (
      .applied(change(warnings: ["w", ""])),
      hex([
        "length": "00000062", "type": "87", "transaction": tx, "manifest": digest32, "nonce": nonce32,
        "milliseconds left": "0000e290", "warnings": "00000002", "warning": "00000001 77", "other": "00000000",
      ])
    ),
    (
      .observations(
        Observations(
          observing: [.ipv4], full: [.ipv6],
          entries: [
            Observations.Entry(family: .ipv4, source: "s", proto: "p", port: "9", packets: 258, bytes: 1)
          ], omitted: 3)),
      hex([
        "length": "0000002d", "type": "89", "observing v4": "01", "observing v6": "00", "full v4": "00",
        "full v6": "01", "left out": "00000003", "entries": "00000001", "family": "00", "source": "00000001 73",
        "protocol": "00000001 70",
        "port": "00000001 39", "packets": "0000000000000102", "bytes": "0000000000000001",
      ])
    ),
    (
      .changes(
        Changes(
          entries: [
            HostChange(
              sequence: 7, time: UTCTime(secondsSinceEpoch: 1), bootID: "b", cause: .oursBesides(Serial(2)),
              families: PerFamily(
                ipv4: HostChange.Side(observed: digest, differs: true),
                ipv6: HostChange.Side(observed: digest, differs: false)),
              chains: [HostChange.Chain(family: .ipv6, table: "t", chain: "c", change: .changed)], omittedChains: 5,
              actors: [HostChange.Actor(name: "n", process: 258)], since: UTCTime(secondsSinceEpoch: 258))
          ], omitted: 3, last: 7)),
      hex([
        "length": "0000009c", "type": "8a", "last": "0000000000000007", "left out": "00000003",
        "changes": "00000001", "number": "0000000000000007", "time": "0000000000000001", "boot id": "00000001 62",
        "cause": "02", "serial follows": "01", "serial": "0000000000000002", "v4 observed": digest32,
        "v4 differs": "01", "v6 observed": digest32, "v6 differs": "00", "chains left out": "00000005",
        "chains": "00000001", "family": "01", "table": "00000001 74", "chain": "00000001 63", "change": "02",
        "actors": "00000001", "name": "00000001 6e", "process": "00000102",
        "since follows": "01", "since": "0000000000000102",
      ])
    ),
    (.done("ok"), hex(["length": "00000007", "type": "88", "words": "00000002 6f6b"])),
  ]

  @Test(arguments: fromController)
  func `a controller's message has exactly these bytes, both ways`(message: ControllerMessage, bytes: [UInt8]) throws {
    #expect(message.encode() == bytes)
    #expect(try ControllerMessage(frame: frame(bytes)) == message)
  }

  @Test(arguments: fromAgent)
  func `an agent's message has exactly these bytes, both ways`(message: AgentMessage, bytes: [UInt8]) throws {
    #expect(Hex.encode(message.encode()) == Hex.encode(bytes))
    #expect(try AgentMessage(frame: frame(bytes)) == message)
  }

  @Test func `every message type stands in one of the tables`() {
    let seen = Set(Self.fromController.map { $0.0.type } + Self.fromAgent.map { $0.0.type })
    #expect(seen == Set(MessageType.allCases))
  }

  @Test(arguments: fromController.map(\.1))
  func `a controller's message cut short or grown by a byte is refused`(bytes: [UInt8]) throws {
    let whole = try frame(bytes)
    // A data message is all piece: only its being empty is wrong.
    guard whole.type != MessageType.data.rawValue else { return }
    for cut in 0..<whole.payload.count {
      #expect(throws: WireProblem.self) {
        try ControllerMessage(frame: Frame(type: whole.type, payload: Array(whole.payload[..<cut])))
      }
    }
    #expect(throws: WireProblem.malformed(MessageType(rawValue: whole.type)!, .trailing(count: 1))) {
      try ControllerMessage(frame: Frame(type: whole.type, payload: whole.payload + [0]))
    }
  }

  @Test(arguments: fromAgent.map(\.1))
  func `an agent's message cut short or grown by a byte is refused`(bytes: [UInt8]) throws {
    let whole = try frame(bytes)
    guard whole.type != MessageType.text.rawValue else { return }
    for cut in 0..<whole.payload.count {
      #expect(throws: WireProblem.self) {
        try AgentMessage(frame: Frame(type: whole.type, payload: Array(whole.payload[..<cut])))
      }
    }
    #expect(throws: WireProblem.malformed(MessageType(rawValue: whole.type)!, .trailing(count: 1))) {
      try AgentMessage(frame: Frame(type: whole.type, payload: whole.payload + [0]))
    }
  }
}
