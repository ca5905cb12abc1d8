import ArgumentParser
import Console
import Core
import Operations
import Release
import Wire

extension OutputFormat: ExpressibleByArgument {}

/// How a verb prints. Data goes to standard output, everything else to standard error.
struct OutputOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "text, json, ndjson, wide or name")
  var output: OutputFormat = .text
}

/// Which fleet.
struct FleetOptions: ParsableArguments {
  @Option(help: "The fleet's portcullis.yaml (or $PORTCULLIS_CONFIG; ./portcullis.yaml)")
  var config: String?

  @Option(help: "The controller's state folder, over the configured one")
  var state: String?

  @Flag(name: .shortAndLong, help: "Say also how many variables of the inventory were passed over")
  var verbose = false

  func sayPassedOver(_ count: Int) {
    guard verbose else { return }
    Terminal.say("\(count) \(count == 1 ? "assignment" : "assignments") of ansible_ variables that mean nothing to us")
  }
}

/// Which policies and inventory, over the configured ones.
struct SourceOptions: ParsableArguments {
  @Option(help: "Folder of policies, over the configured one")
  var policies: String?

  @Option(name: .shortAndLong, help: "Inventory file, folder or program, over the configured ones; may be repeated")
  var inventory: [String] = []
}

struct InventoryOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "Inventory file, folder or program, over the configured ones; may be repeated")
  var inventory: [String] = []
}

/// Which hosts.
struct TargetOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "Hosts and groups, as Ansible's patterns: 'web:&prod:!web7', 'web[01-20]'")
  var limit: String = TargetOptions.all

  static let all = "all"
}

/// How hosts are talked to.
struct ContactOptions: ParsableArguments {
  @Option(help: "Hosts talked to at the same time")
  var parallel: Int = 64

  @Option(help: "Seconds for everything said to one host")
  var timeout: Int = 60

  mutating func validate() throws {
    guard (1...4096).contains(parallel) else { throw ValidationError("--parallel takes 1 to 4096") }
    guard (1...3600).contains(timeout) else { throw ValidationError("--timeout takes 1 to 3600 seconds") }
  }

  var value: ContactLimits { ContactLimits(parallel: parallel, timeout: .seconds(timeout)) }
}

/// Who said yes, and why.
struct ApprovalOptions: ParsableArguments {
  @Flag(help: "Do it without asking")
  var yes = false

  @Flag(help: "Never ask; what would need an answer is refused (5)")
  var noInput = false

  @Option(help: "Why, for the record: printable ASCII, at most 512 characters")
  var reason: String?
}

/// Until when, and by whom, a change must be confirmed.
struct ConfirmationOptions: ParsableArguments {
  @Option(help: "Seconds until a host that was not confirmed goes back by itself (15 to 600)")
  var confirmTimeout: Int = 60

  @Option(help: "auto: over a new connection; manual: by 'portcullis confirm'")
  var confirm: Way = .auto

  enum Way: String, ExpressibleByArgument, CaseIterable { case auto, manual }

  mutating func validate() throws {
    let allowed = ConfirmationTerms.allowed
    guard (Int(allowed.lowerBound)...Int(allowed.upperBound)).contains(confirmTimeout) else {
      throw ValidationError("--confirm-timeout takes \(allowed.lowerBound) to \(allowed.upperBound) seconds")
    }
  }

  var value: ConfirmationTerms { ConfirmationTerms(seconds: UInt16(confirmTimeout), isManual: confirm == .manual) }
}

/// What a person answers for, once.
struct GrantOptions: ParsableArguments {
  @Flag(help: "Go on although the rules would shut out the managers; wants --reason")
  var overrideLockout = false

  @Flag(help: "Move foreign rules that stand above ours and accept, below ours")
  var takeOver = false

  @Flag(help: "What else filters packets there now is as it should be: from now on drift is what differs from that")
  var acceptOthers = false

  @Option(help: "Wipe these owners' chains in exclusive mode: docker, calico, …; separated by commas")
  var evict: String?

  func requireReason(_ approval: ApprovalOptions) throws {
    if overrideLockout, approval.reason == nil {
      throw ValidationError("--override-lockout needs a --reason, which is signed with the release")
    }
  }

  func grants() throws -> [Grant] {
    var grants: [Grant] = []
    if overrideLockout { grants.append(.overrideLockout) }
    if takeOver { grants.append(.takeOver) }
    if acceptOthers { grants.append(.acceptOthers) }
    if let evict { grants += try Evictions.parse(evict) }
    return grants
  }
}
