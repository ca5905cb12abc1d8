import Core
import Foundation
import Inventory
import Release
import Store
import TestSupport
import Testing

@testable import Operations

/// A fleet of one host with real keys of two people, and a clock of its own.
final class SigningScene {
  static let now = UTCTime("2026-11-22T02:00:00Z")!

  let folder: FleetFolder
  let clock = SettableClock(now)
  private(set) var workspace: Workspace
  var store: FleetStore { folder.store }
  var signing: OrderSigning { OrderSigning(workspace, store) }

  /// Anna signs with the configured keys. Bert and Cora have lockdown keys; Anna has a second one.
  init(thresholds: Thresholds = .one) async throws {
    folder = try FleetFolder(policy: FleetFolder.bothHalves)
    var configuration = folder.workspace.configuration
    let path = folder.path + "/keys"
    configuration.keys = SigningKeys(
      allowedSignersPath: path + "/allowed_signers", signingKeyPath: path + "/release", thresholds: thresholds)
    workspace = Workspace(configuration: configuration, clock: clock)
    _ = try await configuration.keys.initialize(principal: "anna@x", adopting: nil, passphrase: .none)
    var lines = String(decoding: try Files.read(configuration.keys.allowedSignersPath), as: UTF8.self)
    for (name, principal) in [("bert", "bert@x"), ("cora", "cora@x"), ("anna2", "anna@x")] {
      _ = try await Program.sshKeygen.succeed(
        ["-q", "-t", "ed25519", "-C", name, "-N", "", "-f", key(name)], doing: "make a key")
      let half = try PublicKeyFile.parse(try Files.read(key(name) + ".pub"), file: name)
      lines += try AllowedSigner(principal: principal, namespaces: ["lockdown@portcullis"], key: half.key).line
    }
    try FileManager.default.removeItem(atPath: configuration.keys.allowedSignersPath)
    try Files.write(Array(lines.utf8), to: configuration.keys.allowedSignersPath)
  }

  func key(_ name: String) -> String { folder.path + "/keys/" + name }

  static func draft(
    _ content: OrderDraft.Content = .lockdown(ProfileName("isolate")!, liftsAfter: 7200), approvals: Int? = nil
  ) throws -> OrderDraft {
    OrderDraft(
      content, scope: try LockScope(any: ["all"]), hosts: [HostID("h1")!], arriveWithin: 3600, reason: "INC-1",
      approvals: approvals)
  }

  /// As the host does.
  func verify(_ order: StoredOrder, thresholds: Thresholds) throws -> VerifiedOrder {
    let keys = workspace.configuration.keys
    let signers = try AllowedSigners.parse(try Files.read(keys.allowedSignersPath), file: "allowed_signers")
    return try OrderVerifier(allowedSigners: signers, thresholds: thresholds, fleet: workspace.configuration.fleet)
      .verify(
        UnverifiedOrder(
          kind: order.kind.signed, statement: order.statement, signatures: order.signatures.map(\.armored)),
        now: clock.time, floor: nil)
  }
}

struct OrderSigningTests {
  private func failure(_ body: () async throws -> Void) async -> ErrorChain? {
    do { try await body() } catch { return ErrorChain(error) }
    return nil
  }

  @Test(arguments: [
    OrderDraft.Content.lockdown(ProfileName("isolate")!, liftsAfter: 7200), .drill(ProfileName("isolate")!), .unlock,
  ])
  func `each kind is made, kept, and taken by a host`(content: OrderDraft.Content) async throws {
    let scene = try await SigningScene()
    let made = try await scene.signing.make(try SigningScene.draft(content))
    #expect(try await scene.store.order(made.epoch) == made)
    let verified = try scene.verify(made, thresholds: .one)
    #expect(verified.principals == ["anna@x"] && verified.terms.epoch == Epoch(1))
    #expect(verified.content.isDrill == (made.kind == .drill))
    #expect(try await scene.store.hosts(of: made.epoch) == [HostID("h1")!])
    #expect(try await scene.signing.make(try SigningScene.draft(content)).epoch == Epoch(2))
  }

  @Test func `two people make two signatures, two keys of one person do not`() async throws {
    let two = try Thresholds(lockdown: 2, unlock: 1)
    let scene = try await SigningScene(thresholds: two)
    let made = try await scene.signing.make(try SigningScene.draft())
    #expect(made.threshold == 2 && made.signaturesMissing == 1)
    #expect(throws: OrderProblem.self) { try scene.verify(made, thresholds: two) }
    let again = await failure { _ = try await scene.signing.sign(made.epoch, key: scene.key("anna2")) }
    #expect(again?.kind == .refused && again?.message.contains("anna@x has signed it: people count") == true)
    var seen: StoredOrder?
    let (order, signature) = try await scene.signing.sign(made.epoch, key: scene.key("bert")) { seen = $0 }
    #expect(seen == made && signature.principal == "bert@x" && order.signaturesMissing == 0)
    #expect(try scene.verify(order, thresholds: two).principals == ["anna@x", "bert@x"])
  }

  @Test func `more people may be asked for than the fleet does, never fewer, and not more than there are`() async throws
  {
    let scene = try await SigningScene(thresholds: try Thresholds(lockdown: 2, unlock: 1))
    #expect(try await scene.signing.make(try SigningScene.draft(approvals: 3)).threshold == 3)
    let fewer = await failure { _ = try await scene.signing.make(try SigningScene.draft(approvals: 1)) }
    #expect(fewer?.kind == .usage && fewer?.message.contains("2 people have to sign it, not 1") == true)
    let more = await failure { _ = try await scene.signing.make(try SigningScene.draft(approvals: 4)) }
    #expect(more?.kind == .refused && more?.message.contains("anna@x, bert@x, cora@x may") == true)
    #expect(more?.hints.first?.contains("namespaces=\"lockdown@portcullis\"") == true)
  }

  @Test func `what hosts would not take for signed is not kept`() async throws {
    let scene = try await SigningScene()
    // Hosts take releases from this key.
    let wrong = await failure {
      _ = try await scene.signing.make(try SigningScene.draft(), key: scene.key("release"))
    }
    #expect(wrong?.kind == .refused && wrong?.hints.first?.contains("lockdown@portcullis") == true)
    let missing = await failure { _ = try await scene.signing.make(try SigningScene.draft(), key: "/nowhere") }
    #expect(missing?.message.contains("there is no key /nowhere") == true)
    #expect(try await scene.store.orders().isEmpty)
    // Two epochs are spent: nobody else gets them.
    #expect(try await scene.store.lastEpoch() == Epoch(2))
  }

  @Test func `nobody signs what is sent, stale, late or unknown`() async throws {
    let scene = try await SigningScene(thresholds: try Thresholds(lockdown: 2, unlock: 1))
    let armed = try await scene.signing.make(try SigningScene.draft())
    func refused(_ epoch: Epoch) async -> String? {
      await failure { _ = try await scene.signing.sign(epoch, key: scene.key("bert")) }?.line
    }
    #expect(await refused(Epoch(9))?.contains("there is no such order") == true)
    scene.clock.time = SigningScene.now + 3600
    let late = await refused(armed.epoch)
    #expect(late?.contains("no host obeys it any more") == true)
    #expect(late?.contains("make a fresh order, and sign that one: portcullis lockdown start ") == true)
    scene.clock.time = SigningScene.now
    let unlock = try await scene.signing.make(try SigningScene.draft(.unlock))
    try await scene.store.markSent(unlock.epoch, to: [HostID("h1")!], at: SigningScene.now)
    #expect(await refused(armed.epoch)?.contains("order 2 was sent since") == true)
    let sent = await refused(unlock.epoch)
    #expect(sent?.contains("it was sent at") == true)
    #expect(
      sent?.contains("make a fresh order, and sign that one: portcullis lockdown lift -l 'all' --approvals 2") == true)
  }

  @Test func `an order names at most 64, and says what to do about more`() async throws {
    let folder = try FleetFolder(policy: FleetFolder.bothHalves, hosts: (1...80).map { "h\($0)" })
    let inventory = try folder.workspace.inventory()
    #expect(try LockScope("all,!h1", of: inventory).words == "all,!host:h1")
    #expect(try LockScope("h[1-64]", of: inventory).any.count == 64)
    let error = #expect(throws: Failure.self) { try LockScope("h[1-65]", of: inventory) }
    #expect(error?.kind == .usage)
    #expect(error.map { ErrorChain($0).line }?.contains("it is 65 names") == true)
    #expect(error?.hint?.contains("name groups") == true)
  }

  /// Hosts know no groups, only labels.
  @Test func `a pattern whose words hosts would read otherwise makes no order`() throws {
    let orders = try SentOrders(
      "hosts: {h2: {portcullis_labels: [web]}, h3: {portcullis_labels: [db]}}, children: {web: {hosts: {h1: {}}}}")
    let inventory = try orders.inventory()
    for pattern in ["web", "all,!web", "all,&web", "web,h3"] {
      let error = #expect(throws: Failure.self, "\(pattern)") { try LockScope(pattern, of: inventory) }
      #expect(error?.kind == .refused)
      #expect(error.map { ErrorChain($0).message }?.contains("h2 would read it otherwise") == true)
    }
    for pattern in ["all", "h1", "web,h2", "h[1-3],!h1"] {
      #expect(throws: Never.self, "\(pattern)") { try LockScope(pattern, of: inventory) }
    }
  }

  @Test func `an order for nobody is neither made nor brought`() async throws {
    let orders = try SentOrders(["h1", "h2"])
    let inventory = try orders.inventory()
    let error = #expect(throws: Failure.self) { try LockScope("h1,!h1", of: inventory) }
    #expect(error?.kind == .usage)
    let order = try await orders.make(.lock, "h1", isSent: false)
    #expect(try order.hosts(of: inventory).map(\.id.description) == ["h1"])
    try orders.rewrite("hosts: {h2: {}}")
    let gone = try orders.inventory()
    let nobody = #expect(throws: Failure.self) { try order.hosts(of: gone) }
    #expect(nobody?.kind == .usage)
  }
}
