import ArgumentParser
import Console
import Core
import Operations
import Release
import Store

struct LockdownArm: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "arm", abstract: "Make and sign a lockdown order in calm, and show what it would do. Sends nothing.",
    discussion: """
      'lockdown sign' adds other people's signatures, 'lockdown start --armed' sends it. Hosts that do not have the \
      profile ready are told, and make it exit 2.
      Example: portcullis lockdown arm isolate -l 'web:&prod' --approvals 2 --reason "drill of November"
      """)

  @Argument(help: "A lockdown profile: isolate")
  var profile: ProfileName

  @OptionGroup var target: TargetOptions

  @Option(help: "Each host opens again by itself after so long, of its running time: 2h (1m to 30d; default: never)")
  var liftsAfter: TimeSpan?

  @Option(help: "How long hosts may obey it: 12h (1m to 24h)")
  var validFor = TimeSpan(argument: "24h")!

  @Option(help: "Why, for the record and in the order: printable ASCII, at most 512 characters")
  var reason: String

  @OptionGroup var signing: SigningOptions
  @OptionGroup var fleet: FleetOptions
  @OptionGroup var output: OutputOptions

  var needsNetwork: Bool { false }

  func validate() throws {
    try OrderOptions.check(reason: reason)
    try OrderOptions.check(liftsAfter: liftsAfter)
    guard (60...OrderTerms.longestWay).contains(validFor.seconds) else {
      throw ValidationError("--valid-for takes 1m to 24h")
    }
  }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let inventory = try readInventory(of: workspace)
    let store = try workspace.store()
    let arming = Arming(workspace, store)
    let outlook = try await arming.look(
      .init(
        profile: profile, pattern: target.limit, approvals: signing.approvals,
        liftsAfter: liftsAfter.map { UInt32($0.seconds) }, validFor: validFor.seconds, reason: reason), inventory)
    return try await workspace.audited("lockdown arm", hosts: outlook.hosts, reason: reason) {
      let order = try await arming.arm(outlook, key: signing.key)
      try store.close()
      let document = try ArmDocument(order, outlook)
      try Terminal.print(document, output)
      return ActionEnd(exitCode: document.exitCode, order: order.epoch)
    }
  }
}

/// What flags about orders may say.
enum OrderOptions {
  /// In seconds: how long an order may arrive when nothing is said.
  static let arriveWithin: Int64 = 3600

  static func check(reason: String) throws {
    guard !reason.isEmpty, reason.utf8.count <= 512, reason.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else {
      throw ValidationError("--reason takes printable ASCII, at most 512 characters")
    }
  }

  static func check(liftsAfter: TimeSpan?) throws {
    let allowed = LockdownOrder.lifetimes
    guard let seconds = liftsAfter?.seconds else { return }
    guard (Int64(allowed.lowerBound)...Int64(allowed.upperBound)).contains(seconds) else {
      throw ValidationError("--lifts-after takes 1m to 30d")
    }
  }
}
