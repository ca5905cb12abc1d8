import Core
import Release

/// One order delivered to one host: order 7 (isolate, for `web`) to h3, signed by lena, onto order 6, with release 42
/// committed and nothing locked. All of it is right until an attack changes something.
struct OrderScene {
  /// Signs lockdowns only, as does carl.
  static let lena = TestSigner(.ed25519)
  /// Lena's second key, on a token.
  static let lenasToken = TestSigner(.securityKeyEd25519)
  static let carl = TestSigner(.ecdsaP256)
  /// Signs releases and unlocks, as does bert.
  static let anna = TestSigner(.ed25519)
  static let annasToken = TestSigner(.securityKeyECDSAP256)
  static let bert = TestSigner(.ed25519)
  static let ended = TestSigner(.ed25519)
  static let coming = TestSigner(.ed25519)
  static let stranger = TestSigner(.ed25519)

  static let now = ReleaseFixture.now

  var kind = OrderKind.lockdown
  var statement: [UInt8]
  var signatures: [[UInt8]] = []
  var signers: AllowedSigners
  var thresholds = Thresholds.one
  var fleet = ReleaseFixture.fleet
  var now = Self.now
  var floor: EpochFloor?
  var committed: Manifest?
  var lock: LockInForce?
  /// The staged profile's files.
  var found: PerFamily<[UInt8]?> = ReleaseFixture.profileRules.map { $1 }

  init() throws {
    signers = try Self.allowedSigners()
    floor = try Self.floor(after: Self.lockdown(epoch: 6).encode())
    committed = try Self.manifest()
    statement = try Self.lockdown().encode()
    try sign(Self.lena)
  }

  static func unlocking() throws -> OrderScene {
    var scene = try OrderScene()
    try scene.send(unlock(), by: anna)
    scene.lock = try scene.lock(.init(6))
    return scene
  }

  static func allowedSigners() throws -> AllowedSigners {
    func signer(
      _ principal: String, _ namespaces: [SigningNamespace], _ key: TestSigner, from start: UTCTime? = nil,
      until end: UTCTime? = nil
    ) throws -> AllowedSigner {
      try AllowedSigner(
        principal: principal, namespaces: namespaces.map(\.rawValue), validAfter: start, validBefore: end,
        key: key.publicKey)
    }
    return AllowedSigners(
      try [
        signer("lena", [.lockdown], lena), signer("lena", [.lockdown], lenasToken), signer("carl", [.lockdown], carl),
        signer("anna", [.release, .unlock], anna), signer("anna", [.release, .unlock], annasToken),
        signer("bert", [.release, .unlock], bert), signer("dora", [.lockdown], ended, until: now),
        signer("eva", [.lockdown], coming, from: now + 1),
      ])!
  }

  static func terms(
    epoch: UInt64 = 7, fleet: FleetID = ReleaseFixture.fleet, scope: LockScope? = nil, issued: UTCTime = now,
    for seconds: Int64 = 3600, reason: String = "INC-991"
  ) throws -> OrderTerms {
    try OrderTerms(
      fleet: fleet, epoch: Epoch(epoch), scope: scope ?? LockScope(any: ["web"]), issued: issued,
      arriveBy: issued + seconds, reason: reason)
  }

  static func lockdown(
    epoch: UInt64 = 7, fleet: FleetID = ReleaseFixture.fleet, scope: LockScope? = nil, isDrill: Bool = false,
    profile: String = "isolate", liftsAfter: UInt32? = 7200, issued: UTCTime = now, reason: String = "INC-991"
  ) throws -> LockdownOrder {
    try LockdownOrder(
      terms: terms(epoch: epoch, fleet: fleet, scope: scope, issued: issued, reason: reason), isDrill: isDrill,
      profile: ProfileName(profile)!, liftsAfter: liftsAfter)
  }

  static func unlock(
    epoch: UInt64 = 7, fleet: FleetID = ReleaseFixture.fleet, scope: LockScope? = nil, issued: UTCTime = now
  ) throws -> UnlockOrder {
    try UnlockOrder(terms: terms(epoch: epoch, fleet: fleet, scope: scope, issued: issued))
  }

  static func floor(after statement: [UInt8], kind: OrderKind = .lockdown, epoch: UInt64 = 6) -> EpochFloor {
    EpochFloor(epoch: Epoch(epoch), order: EpochFloor.digest(of: kind, statement))
  }

  static func manifest(
    labels: [String] = ["prod", "web"], profiles: [ProfileEntry]? = nil, mode: Manifest.Mode = .owned
  ) throws -> Manifest {
    let staged = try [("isolate", UInt16(30)), ("no-egress", 10), ("no-ingress", 20)].map {
      try ReleaseFixture.profile($0, rank: $1)
    }
    return try Manifest(
      fleet: ReleaseFixture.fleet, host: HostID("h3")!, serial: Serial(42), mode: mode, labels: labels, sources: [],
      files: mode == .withdrawn
        ? nil : ReleaseFixture.rules(of: "h3").map { _, content in Manifest.File(describing: content) },
      profiles: mode == .withdrawn ? [] : profiles ?? staged)
  }

  /// The lock that the order with this epoch made.
  func lock(_ epoch: Epoch, profile: String = "isolate", rank: UInt16 = 30, secondsLeft: UInt32? = 7000) throws
    -> LockInForce
  {
    let order = try Self.lockdown(epoch: epoch.value, profile: profile).encode()
    return LockInForce(
      order: EpochFloor.digest(of: .lockdown, order), profile: ProfileName(profile)!, rank: LockRank(rank)!,
      secondsLeft: secondsLeft)
  }

  func verify() throws(OrderProblem) -> VerifiedOrder {
    try OrderVerifier(allowedSigners: signers, thresholds: thresholds, fleet: fleet)
      .verify(
        UnverifiedOrder(kind: kind, statement: statement, signatures: signatures), now: now, floor: floor,
        inForce: lock?.order)
  }

  /// All a host asks before it acts.
  func obey() throws(OrderProblem) -> OrderVerdict {
    let order = try verify()
    let verdict = try OrderJudgement(host: HostID("h3")!, committed: committed, lock: lock).verdict(on: order)
    switch verdict {
    case .lock(let entry), .drill(let entry): _ = try StagedProfile(entry, found: found)
    case .inForce, .ended, .lift, .nothingToLift, .outOfScope: break
    }
    return verdict
  }

  /// Signs whatever the statement holds now, for what it is sent as.
  mutating func sign(_ signers: TestSigner...) throws {
    signatures = try signers.map { try $0.sign(statement, namespace: kind.namespace.rawValue) }
  }

  mutating func send(_ order: LockdownOrder, by signer: TestSigner = lena) throws {
    kind = .lockdown
    statement = order.encode()
    try sign(signer)
  }

  mutating func send(_ order: UnlockOrder, by signer: TestSigner = anna) throws {
    kind = .unlock
    statement = order.encode()
    try sign(signer)
  }

  mutating func edit(_ old: String, _ new: String) {
    statement = replacingFirst(Array(old.utf8), with: Array(new.utf8), in: statement)
  }

  /// Changed and properly signed: what only a signer with a strange tool could make.
  mutating func editSigned(_ old: String, _ new: String) throws {
    edit(old, new)
    try sign(Self.lena)
  }

  /// The order was heard just now, as the journal remembers it.
  mutating func remember() throws { floor = try verify().asHeard }
}
