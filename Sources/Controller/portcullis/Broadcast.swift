import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Release
import Rollout
import Store

/// How hosts are talked to while an order waits.
struct ReachOptions: ParsableArguments {
  @Option(help: "Hosts talked to at the same time")
  var parallel: Int = 256

  @Option(help: "Seconds for each try of one host")
  var timeout: Int = 20

  mutating func validate() throws {
    guard (1...4096).contains(parallel) else { throw ValidationError("--parallel takes 1 to 4096") }
    guard (1...3600).contains(timeout) else { throw ValidationError("--timeout takes 1 to 3600 seconds") }
  }

  var limits: ContactLimits { ContactLimits(parallel: parallel, timeout: .seconds(timeout)) }
}

/// For how long hosts that did not obey are tried again.
struct PatienceOptions: ParsableArguments {
  @Option(name: .customLong("for"), help: "Try hosts that did not obey again for so long: 90s, 30m or 2h")
  var time = TimeSpan(argument: "30m")!
}

/// Who signs an order that is made now.
struct SigningOptions: ParsableArguments {
  @Option(help: "How many people must sign it, if more than keys.thresholds says")
  var approvals: Int?

  @Option(help: "Sign with this key instead of the configured one; a .pub file for a key of ssh-agent or a token")
  var key: String?

  var isEmpty: Bool { approvals == nil && key == nil }

  func validate() throws {
    guard approvals.map((1...UnverifiedOrder.maximumSignatures).contains) ?? true else {
      throw ValidationError("--approvals takes 1 to \(UnverifiedOrder.maximumSignatures)")
    }
  }
}

/// Who says yes to so many hosts: a person by typing their number, a script by naming it.
struct HeadcountOptions: ParsableArguments {
  @Option(help: "In place of typing it: exactly so many hosts are meant; wants --reason")
  var confirmHosts: Int?

  @Flag(help: "Never ask; what would need an answer is refused (5)")
  var noInput = false

  @Option(help: "Why, for the record, part of what is signed: printable ASCII, at most 512 characters")
  var reason: String?

  func validate() throws {
    if confirmHosts != nil, reason == nil { throw ValidationError("--confirm-hosts needs a --reason") }
  }

  /// - Parameter word: what is typed before the number.
  func require(_ word: String, _ effect: OrderEffect) throws {
    let hosts = effect.hosts.count
    let counted = hosts == 1 ? "1 host" : "\(hosts) hosts"
    if let confirmHosts {
      guard confirmHosts == hosts else {
        throw Failure(
          "\(word) \(counted)", because: Reason("--confirm-hosts says \(confirmHosts), and the pattern means \(hosts)"),
          hint: "look who they are: portcullis hosts -l PATTERN", kind: .refused)
      }
      return
    }
    guard Terminal.isInteractive, !noInput else {
      throw Failure(
        "\(word) \(counted)", because: Reason("nobody is here to type it"),
        hint: "--confirm-hosts \(hosts) --reason TEXT", kind: .refused)
    }
    Terminal.say("\(effect.text)Type: \(word) \(hosts)")
    guard Terminal.ask("> ") == "\(word) \(hosts)" else {
      throw Failure("\(word) \(counted)", because: Reason("it was not typed"), kind: .refused)
    }
  }
}

/// Which order: one that is made now, or one that was armed. And who says yes to it.
struct OrderedOptions: ParsableArguments {
  @Option(help: "Bring this armed order instead")
  var armed: UInt64?

  @Option(name: .shortAndLong, help: "Hosts and groups, as Ansible's patterns: 'web:&prod:!web7', 'web[01-20]'")
  var limit: String?

  @Option(help: "How long hosts may obey it: 2h (1m to 24h; default: 1h)")
  var arriveWithin: TimeSpan?

  @OptionGroup var headcount: HeadcountOptions
  @OptionGroup var signing: SigningOptions

  var pattern: String { limit ?? TargetOptions.all }
  var arrivesWithin: Int64 { arriveWithin?.seconds ?? OrderOptions.arriveWithin }

  static let saysItself = ValidationError(
    "an armed order says for whom, how long and who signs; no flag can say otherwise")

  func validate() throws {
    if armed != nil, limit != nil || arriveWithin != nil || !signing.isEmpty { throw Self.saysItself }
    guard arriveWithin.map({ (60...OrderTerms.longestWay).contains($0.seconds) }) ?? true else {
      throw ValidationError("--arrive-within takes 1m to 24h")
    }
    if let reason = headcount.reason { try OrderOptions.check(reason: reason) }
  }
}

/// Brings an order to hosts, shows how it goes, and says what came of it.
struct Broadcast {
  let workspace: Workspace
  let inventory: HostInventory
  let reach: ReachOptions
  let time: TimeSpan
  let output: OutputOptions

  /// An order that others have signed.
  func armed(_ epoch: Epoch, _ kind: StoredOrder.Kind, _ store: FleetStore) async throws -> SealedOrder {
    func refuse(_ why: String, _ hint: String, _ kind: Failure.Kind = .refused) -> Failure {
      Failure("bring order \(epoch)", because: Reason(why), hint: hint, kind: kind)
    }
    guard let stored = try await store.order(epoch) else {
      throw refuse("there is no such order", "'portcullis lockdown status' tells which are armed", .usage)
    }
    guard stored.kind == kind else {
      throw refuse("it is no \(kind.rawValue) order", "it is a \(stored.kind.rawValue) order", .usage)
    }
    let order = try SealedOrder(stored)
    let fresh = "make a fresh order: \(order.again())"
    switch stored.state {
    case .sent(let time):
      // Which leaves out whom a later one is for, and says so.
      throw refuse("it was sent at \(time)", order.isDrill ? fresh : "portcullis lockdown resume \(epoch)")
    case .stale(let later):
      throw refuse("order \(later) was sent since, and hosts obey no earlier one", fresh)
    case .armed: break
    }
    guard stored.signaturesMissing == 0 else { throw unsigned(stored) }
    guard workspace.clock.now() < order.arriveBy else {
      throw refuse("it had to arrive by \(order.arriveBy)", fresh)
    }
    return order
  }

  private func unsigned(_ order: StoredOrder) -> Failure {
    let verb =
      switch order.kind {
      case .lockdown: "start"
      case .drill: "drill"
      case .unlock: "lift"
      }
    return Failure(
      "bring order \(order.epoch)",
      because: Reason("\(order.signatures.count) of \(order.threshold) people have signed it"),
      hint: "another person: 'portcullis lockdown sign \(order.epoch)'; then 'portcullis lockdown \(verb) --armed "
        + "\(order.epoch)'", kind: .refused)
  }

  /// Signs an order, and brings it if nobody else has to sign.
  ///
  /// - Parameter hosts: whom it is brought to, asked when it is signed.
  func carryOut(
    _ verb: String, _ draft: OrderDraft, key: String?, _ store: FleetStore,
    to hosts: (Epoch) async throws -> [InventoryHost]
  ) async throws -> Int32 {
    try await workspace.audited(verb, hosts: draft.hosts, reason: draft.reason) {
      let stored = try await OrderSigning(workspace, store).make(draft, key: key)
      guard stored.signaturesMissing == 0 else {
        Terminal.complain(unsigned(stored))
        return ActionEnd(exitCode: ExitCode.refused.rawValue, order: stored.epoch)
      }
      return try await bring(try SealedOrder(stored), to: try await hosts(stored.epoch), earlier: [:], store)
    }
  }

  /// - Parameter verb: for the audit log.
  func carryOut(
    _ verb: String, _ order: SealedOrder, to hosts: [InventoryHost], earlier: [HostID: OrderClaim] = [:],
    _ store: FleetStore
  ) async throws -> Int32 {
    try await workspace.audited(
      verb, hosts: hosts.filter { order.isMeant(for: $0) }.map(\.id), reason: order.reason == "-" ? nil : order.reason
    ) {
      try await bring(order, to: hosts, earlier: earlier, store)
    }
  }

  private func bring(
    _ order: SealedOrder, to hosts: [InventoryHost], earlier: [HostID: OrderClaim], _ store: FleetStore
  ) async throws -> ActionEnd {
    let teller = BroadcastTeller(order, output.output, timeout: reach.limits.timeout)
    let sent = try await teller.during { told in
      try await Broadcasting(workspace, limits: reach.limits, time: .seconds(time.seconds)).send(
        order, to: hosts, of: inventory, earlier: earlier, store: store, told: told)
    }
    try store.close()
    if output.output == .ndjson {
      teller.end(sent.tally)
    } else {
      let isLate = workspace.clock.now() >= order.arriveBy
      try Terminal.print(BroadcastDocument(order, sent.tally, isLate: isLate), output)
    }
    if let failure = sent.recordingFailure {
      Terminal.complain(
        Failure(
          "record what hosts did", because: failure,
          hint: "they are as shown; make room and run 'portcullis lockdown resume \(order.epoch) --all'"))
    }
    return ActionEnd(exitCode: sent.tally.exitCode(isDrill: order.isDrill).rawValue, order: order.epoch)
  }
}
