import Core
import TestSupport
import Wire

let transaction = TransactionID(bytes: Array(repeating: 0xa1, count: 16))!
let otherTransaction = TransactionID(bytes: Array(repeating: 0xa2, count: 16))!
let nonce = Nonce(bytes: Array(repeating: 0xb2, count: 32))!
let digest = Digest(bytes: Array(repeating: 0xc3, count: 32))!
let agentHello = AgentHello(
  version: 5, agentVersion: "0.1.0", host: HostID("h001")!, fleet: FleetID("lab")!)

let terms = ConfirmationTerms(seconds: 258, isManual: true)
let confirmation = ChangeConfirmation(transaction: transaction, manifest: digest, nonce: nonce)

func change(manifest: Digest = digest, warnings: [String] = []) -> AppliedChange {
  AppliedChange(
    transaction: transaction, manifest: manifest, nonce: nonce, millisecondsLeft: 58_000, warnings: warnings)
}

let delivery = OrderDelivery(
  nonce: nonce, kind: .unlock, statement: [1, 2, 3], signatures: [[4], [5, 6]])

let lockReport = LockReport(
  epoch: Epoch(7), order: digest, profile: ProfileName("isolate")!, rank: LockRank(258)!, principals: ["a", "b"],
  reason: "r", phase: .fallback, since: UTCTime(secondsSinceEpoch: 3), secondsLeft: 258, serial: Serial(2),
  differences: PerFamily(ipv4: nil, ipv6: "w"), uncut: "u")

let obeyed = Obeyed(
  epoch: Epoch(7), result: .locked, lock: lockReport, flowsCut: 9,
  times: Obeyed.Times(verify: 1, journal: 2, load: 3, cut: 4, reread: 5), warnings: ["w"])

func outcome(_ result: Outcome.Result = .committed, manifest: Digest = digest) -> Outcome {
  Outcome(transaction: transaction, result: result, serial: Serial(7), manifest: manifest, detail: "")
}

func report(nonce: Nonce = nonce, chains: [ChainDigest] = []) -> Report {
  Report(
    nonce: nonce, host: HostID("h001")!, fleet: FleetID("lab")!, time: UTCTime("2026-11-21T01:00:00Z")!,
    bootID: "b", agentVersion: "0.1.0", architecture: "x86_64", kernel: "6.1", backend: .nft,
    iptablesVersion: "1.8.9", committed: nil, lastFailure: nil,
    families: PerFamily { _ in FamilyReport(expected: nil, observed: digest, save: digest, chains: chains) },
    otherBackendRules: 0, conflicts: [], degraded: nil, managementSource: "")
}

/// A bundle of the smallest files that pass the codec. Nothing here is signed: the wire does not look.
func bundle(rules: Int = 5) -> [BundleFile: [UInt8]] {
  [
    .statement: Array("statement".utf8), .signature(0): Array("sig".utf8), .manifest: Array("manifest".utf8),
    .proof: Array("proof".utf8), .rules(.ipv4): Array(repeating: 4, count: rules),
    .rules(.ipv6): Array(repeating: 6, count: rules),
  ]
}

/// The one frame that these bytes are.
func frame(_ bytes: [UInt8]) throws -> Frame {
  var decoder = FrameDecoder()
  decoder.feed(bytes)
  let frame = try decoder.next()
  try decoder.finish()
  guard let frame else { throw WireProblem.emptyFrame }
  return frame
}

func hex(_ parts: KeyValuePairs<String, String>) -> [UInt8] {
  parts.flatMap { Hex.decode($0.value.utf8.filter { $0 != UInt8(ascii: " ") })! }
}

extension Random {
  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) } }

  mutating func text(atMost limit: Int) -> String {
    let alphabet = Array("abcXYZ019 -._é漢🔒\u{1b}\n")
    var text = ""
    for _ in 0..<Int.random(in: 0...12, using: &self) {
      let next = text + String(alphabet.randomElement(using: &self)!)
      guard next.utf8.count <= limit else { break }
      text = next
    }
    return text
  }

  mutating func name(atMost limit: Int) -> String {
    let alphabet = Array("abcdefgh0123456789")
    return String(
      (0..<Int.random(in: 1...min(20, limit), using: &self)).map { _ in alphabet.randomElement(using: &self)! })
  }

  mutating func anyDigest() -> Digest { Digest(bytes: bytes(32))! }
  mutating func anyFamily() -> Family { Bool.random(using: &self) ? .ipv4 : .ipv6 }
  mutating func anyTime() -> UTCTime { UTCTime(secondsSinceEpoch: .random(in: 0...253_402_300_799, using: &self)) }
  mutating func anySerial() -> Serial { Serial(.random(in: 0 ... .max, using: &self)) }
  mutating func anyTransaction() -> TransactionID { TransactionID(bytes: bytes(16))! }
  mutating func anyTextRequest() -> TextRequest {
    TextRequest(family: anyFamily(), side: Bool.random(using: &self) ? .expected : .observed)
  }

  mutating func maybe<T>(_ make: (inout Random) -> T) -> T? {
    Bool.random(using: &self) ? make(&self) : nil
  }

  mutating func stagedFiles() -> [StagedFile] {
    let files: [BundleFile] =
      [.statement, .manifest, .proof, .rules(.ipv4), .rules(.ipv6), .sets, .sysctl]
      + (0..<BundleFile.maximumSignatures).map { .signature($0) } + BundleFile.lockdowns
    return files.shuffled(using: &self).prefix(Int.random(in: 1...files.count, using: &self)).map {
      StagedFile(file: $0, size: .random(in: 1...$0.maximumSize, using: &self))
    }
  }

  mutating func anyTerms() -> ConfirmationTerms {
    ConfirmationTerms(
      seconds: .random(in: ConfirmationTerms.allowed, using: &self), isManual: .random(using: &self))
  }

  mutating func anyDeed() -> LocalOrder.Deed { [.safe, .rollback, .lift].randomElement(using: &self)! }

  mutating func anyProfile() -> ProfileName { ProfileName(name(atMost: 32))! }
  mutating func anyRank() -> LockRank { LockRank(UInt16.random(in: 0...1000, using: &self))! }
  mutating func anyEpoch() -> Epoch { Epoch(.random(in: 0 ... .max, using: &self)) }

  mutating func anyDelivery() -> OrderDelivery {
    OrderDelivery(
      nonce: Nonce(bytes: bytes(32))!, kind: OrderDelivery.Kind.allCases.randomElement(using: &self)!,
      statement: bytes(.random(in: 0...300, using: &self)),
      signatures: (0..<Int.random(in: 0...16, using: &self)).map { _ in bytes(.random(in: 0...30, using: &self)) })
  }

  mutating func anyLock() -> LockReport {
    LockReport(
      epoch: anyEpoch(), order: anyDigest(), profile: anyProfile(), rank: anyRank(),
      principals: (0..<Int.random(in: 0...16, using: &self)).map { _ in text(atMost: WireLimit.principal) },
      reason: text(atMost: WireLimit.reason), phase: LockReport.Phase.allCases.randomElement(using: &self)!,
      since: anyTime(), secondsLeft: maybe { .random(in: 0 ... .max, using: &$0) }, serial: anySerial(),
      differences: PerFamily(
        ipv4: maybe { $0.text(atMost: WireLimit.reason) }, ipv6: maybe { $0.text(atMost: WireLimit.reason) }),
      uncut: maybe { $0.text(atMost: WireLimit.reason) })
  }

  mutating func anyObeyed() -> Obeyed {
    Obeyed(
      epoch: anyEpoch(), result: Obeyed.Result.allCases.randomElement(using: &self)!, lock: maybe { $0.anyLock() },
      flowsCut: .random(in: 0 ... .max, using: &self),
      times: Obeyed.Times(verify: .random(in: 0 ... .max, using: &self), reread: 1),
      warnings: (0..<Int.random(in: 0..<4, using: &self)).map { _ in text(atMost: WireLimit.warning) })
  }

  mutating func anyLockdown() -> LockdownReport {
    LockdownReport(
      lock: maybe { $0.anyLock() }, heard: anyEpoch(),
      profiles: (0..<Int.random(in: 0...8, using: &self)).map { _ in
        LockdownReport.Profile(
          name: anyProfile(), rank: anyRank(), problem: maybe { $0.text(atMost: WireLimit.reason) })
      },
      lastLift: maybe {
        LiftReport(
          epoch: $0.anyEpoch(),
          cause: [.order($0.anyEpoch()), .itself, .console($0.text(atMost: WireLimit.reason))]
            .randomElement(using: &$0)!, at: $0.anyTime())
      })
  }

  mutating func controllerMessage() -> ControllerMessage {
    switch Int.random(in: 0..<13, using: &self) {
    case 0: .hello(version: 5)
    case 1: .stage(anyTransaction(), stagedFiles())
    case 2: .data(bytes(.random(in: 1...300, using: &self)))
    case 3: .apply(anyTransaction(), manifest: anyDigest(), anyTerms())
    case 4: .report(Nonce(bytes: bytes(32))!)
    case 5: .text(anyTextRequest())
    case 6:
      .confirm(
        ChangeConfirmation(transaction: anyTransaction(), manifest: anyDigest(), nonce: Nonce(bytes: bytes(32))!))
    case 7: .cancel(anyTransaction())
    case 8: .local(LocalOrder(deed: anyDeed(), reason: text(atMost: WireLimit.reason)))
    case 9: .observe
    case 11: .order(anyDelivery())
    case 10: .watch(after: .random(in: 0 ... .max, using: &self), seconds: .random(in: 0...600, using: &self))
    default: .goodbye
    }
  }

  mutating func familyReport() -> FamilyReport {
    FamilyReport(
      expected: maybe { $0.anyDigest() }, observed: anyDigest(), save: anyDigest(),
      chains: (0..<Int.random(in: 0..<4, using: &self)).map { _ in
        ChainDigest(table: text(atMost: 32), chain: text(atMost: 255), digest: anyDigest())
      }, omittedChains: .random(in: 0...9, using: &self))
  }

  mutating func anyResult() -> Outcome.Result { Outcome.Result(rawValue: .random(in: 0...3, using: &self))! }

  mutating func anyReport() -> Report {
    Report(
      nonce: Nonce(bytes: bytes(32))!, host: HostID(name(atMost: 253))!, fleet: FleetID(name(atMost: 63))!,
      time: anyTime(), bootID: text(atMost: 64), agentVersion: text(atMost: 64), architecture: text(atMost: 32),
      kernel: text(atMost: 128), backend: Bool.random(using: &self) ? .nft : .legacy,
      iptablesVersion: text(atMost: 64),
      committed: maybe {
        Committed(serial: $0.anySerial(), manifest: $0.anyDigest(), content: $0.anyDigest(), at: $0.anyTime())
      },
      lastFailure: maybe {
        LastFailure(serial: $0.anySerial(), result: $0.anyResult(), detail: $0.text(atMost: 4096))
      },
      pending: maybe {
        PendingChange(
          transaction: $0.anyTransaction(), manifest: $0.anyDigest(), serial: $0.anySerial(),
          millisecondsLeft: .random(in: 0 ... .max, using: &$0), isManual: .random(using: &$0))
      },
      localAct: maybe {
        LocalAct(deed: $0.anyDeed(), at: $0.anyTime(), reason: $0.text(atMost: WireLimit.reason))
      },
      families: PerFamily(ipv4: familyReport(), ipv6: familyReport()),
      owners: ForeignOwner.allCases.filter { _ in Bool.random(using: &self) }.sorted(),
      otherBackendRules: .random(in: 0...1000, using: &self),
      conflicts: (0..<Int.random(in: 0..<4, using: &self)).map { _ in text(atMost: 64) },
      degraded: Bool.random(using: &self) ? text(atMost: 4096) : nil, managementSource: text(atMost: 64),
      settings: (0..<Int.random(in: 0..<3, using: &self)).map { _ in
        SettingReport(key: text(atMost: 96), desired: text(atMost: 32), observed: maybe { $0.text(atMost: 32) })
      },
      sshPorts: Set((0..<Int.random(in: 0..<9, using: &self)).map { _ in .random(in: 1...65_535, using: &self) })
        .sorted(),
      leases: maybe { PerFamily(ipv4: .random(using: &$0), ipv6: .random(using: &$0)) },
      others: maybe { $0.anyOthers() },
      renewal: maybe {
        Renewal(from: $0.text(atMost: WireLimit.programs), to: $0.text(atMost: WireLimit.programs), at: $0.anyTime())
      },
      lockdown: maybe { $0.anyLockdown() }, listening: maybe { $0.anyListening() })
  }

  mutating func anyListening() -> ListeningReport {
    ListeningReport(
      (0..<Int.random(in: 0..<5, using: &self)).map { _ in
        ListeningReport.Socket(
          ListeningReport.Socket.Transport.allCases.randomElement(using: &self)!, bytes(.random(using: &self) ? 4 : 16),
          port: .random(in: 1...65_535, using: &self))!
      }, omitted: .random(in: 0...9, using: &self))
  }

  mutating func anyOthers() -> OthersReport {
    OthersReport(
      tables: (0..<Int.random(in: 0..<4, using: &self)).map { _ in
        OthersReport.Table(
          family: text(atMost: WireLimit.tableFamily), name: text(atMost: WireLimit.foreignTable),
          owner: maybe { TableOwner.allCases.randomElement(using: &$0)! }, isHooked: .random(using: &self),
          drops: .random(using: &self), digest: anyDigest())
      }, omittedTables: .random(in: 0...9, using: &self),
      chains: (0..<Int.random(in: 0..<4, using: &self)).map { _ in
        OthersReport.Chains(
          family: anyFamily(), owner: maybe { ForeignOwner.allCases.randomElement(using: &$0)! },
          rules: .random(in: 0...100_000, using: &self), digest: anyDigest())
      },
      otherBackend: PerFamily(ipv4: maybe { $0.anyDigest() }, ipv6: maybe { $0.anyDigest() }),
      sets: (0..<Int.random(in: 0..<4, using: &self)).map { _ in text(atMost: WireLimit.setName) },
      omittedSets: .random(in: 0...9, using: &self), problem: maybe { $0.text(atMost: WireLimit.reason) })
  }

  mutating func anyObservations() -> Observations {
    Observations(
      observing: Set(Family.allCases.filter { _ in Bool.random(using: &self) }),
      full: Set(Family.allCases.filter { _ in Bool.random(using: &self) }),
      entries: (0..<Int.random(in: 0..<4, using: &self)).map { _ in
        Observations.Entry(
          family: anyFamily(), source: text(atMost: 64), proto: text(atMost: 32), port: text(atMost: 32),
          packets: .random(in: 0 ... .max, using: &self), bytes: .random(in: 0 ... .max, using: &self))
      }, omitted: .random(in: 0...9, using: &self))
  }

  mutating func anyChange() -> HostChange {
    HostChange(
      sequence: .random(in: 0 ... .max, using: &self), time: anyTime(), bootID: text(atMost: 64),
      cause: [.others, .ours(maybe { $0.anySerial() }), .oursBesides(maybe { $0.anySerial() })]
        .randomElement(using: &self)!,
      families: PerFamily(
        ipv4: HostChange.Side(observed: anyDigest(), differs: .random(using: &self)),
        ipv6: HostChange.Side(observed: anyDigest(), differs: .random(using: &self))),
      chains: (0..<Int.random(in: 0..<4, using: &self)).map { _ in
        HostChange.Chain(
          family: anyFamily(), table: text(atMost: 32), chain: text(atMost: 255),
          change: [.added, .removed, .changed].randomElement(using: &self)!)
      }, omittedChains: .random(in: 0...9, using: &self),
      actors: (0..<Int.random(in: 0...4, using: &self)).map { _ in
        HostChange.Actor(name: text(atMost: 64), process: .random(in: 0 ... .max, using: &self))
      }, since: maybe { $0.anyTime() })
  }

  mutating func agentMessage() -> AgentMessage {
    switch Int.random(in: 0..<11, using: &self) {
    case 9: .obeyed(Nonce(bytes: bytes(32))!, anyObeyed())
    case 0:
      .hello(
        AgentHello(
          version: 5, agentVersion: text(atMost: 64), host: HostID(name(atMost: 253))!,
          fleet: FleetID(name(atMost: 63))!))
    case 1: .staged(anyTransaction(), manifest: anyDigest())
    case 2:
      .outcome(
        Outcome(
          transaction: anyTransaction(), result: anyResult(), serial: anySerial(), manifest: anyDigest(),
          detail: text(atMost: 4096)))
    case 3: .report(anyReport())
    case 4: .text(anyTextRequest(), piece: bytes(.random(in: 1...300, using: &self)), last: Bool.random(using: &self))
    case 5:
      .applied(
        AppliedChange(
          transaction: anyTransaction(), manifest: anyDigest(), nonce: Nonce(bytes: bytes(32))!,
          millisecondsLeft: .random(in: 0 ... .max, using: &self),
          warnings: (0..<Int.random(in: 0..<4, using: &self)).map { _ in text(atMost: WireLimit.warning) }))
    case 6: .done(text(atMost: WireLimit.detail))
    case 7: .observations(anyObservations())
    case 8:
      .changes(
        Changes(
          entries: (0..<Int.random(in: 0..<4, using: &self)).map { _ in anyChange() },
          omitted: .random(in: 0...9, using: &self), last: .random(in: 0 ... .max, using: &self)))
    default:
      .refused(
        Refusal(
          code: Refusal.Code.allCases.randomElement(using: &self)!, detail: text(atMost: 4096),
          location: maybe { RuleLocation(family: $0.anyFamily(), line: .random(in: 1...100_000, using: &$0)) }))
    }
  }
}
