import ArgumentParser
import Console
import Core
import Import
import Inventory
import Operations
import Policy
import Rollout
import Store

struct DriftRepairVerb: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "repair", abstract: "Put back, on hosts that drifted, what they committed.",
    discussion: """
      Asks the hosts, shows the plan and asks; what they committed is released again and applied as safely as ever. What \
      is waived stays.
      Example: portcullis drift repair -l web --reason "INC-42"
      """)

  @Flag(help: "Only hosts whose policies say on_drift: repair, and those not again and again: for timers, with --yes")
  var asPoliciesSay = false

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var target: TargetOptions
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var grants: GrantOptions
  @OptionGroup var contact: ContactOptions
  @OptionGroup var approval: ApprovalOptions
  @OptionGroup var output: OutputOptions

  func validate() throws { try grants.requireReason(approval) }

  func perform() async throws -> Int32 {
    let granted = try grants.grants()
    let workspace = try open()
    let hosts = try readInventory(of: workspace).hosts(matching: target.limit)
    let store = try workspace.store()
    let repair = DriftRepair(workspace, limits: contact.value)
    let found = try await repair.find(hosts, asPoliciesSay: asPoliciesSay, store: store)
    func say(_ words: String, _ hosts: [HostID]) {
      if !hosts.isEmpty { Terminal.say("\(words): \(Folding.fold(hosts.map(\.description)))") }
    }
    say("waived, and left alone", found.waived)
    say("unreachable", found.unreachable)
    say(
      "they keep what they committed, which is not what was released last; the next apply moves forward", found.behind)
    say("a change waits there to be confirmed, so they are left alone", found.waiting)
    say("root ordered other rules there at the console, so no timer puts back what was committed", found.atConsole)
    say("drifted, and their policies do not say on_drift: repair", found.reportedOnly)
    say("drifted again soon after a repair, and left until later", found.resting)
    say("drifted, and left alone: something keeps changing them back after every repair", found.givenUp)
    say(
      "drifted, and cannot be repaired: this controller does not have the release that was committed there; 'portcullis "
        + "apply' brings what the policies say", found.missing)
    let needAPerson = found.givenUp + found.missing + found.atConsole
    let silent: Int32 = !found.unreachable.isEmpty ? 4 : needAPerson.isEmpty ? 0 : 2
    guard let planned = found.planned else {
      try store.close()
      try Terminal.print(
        ActionDocument(DriftRepair.verb, target.limit, done: false, sentence: "nothing to repair"), output)
      return silent
    }
    var change = Change(verb: DriftRepair.verb, approval: approval, output: output)
    change.lookAfter = { applied, store in
      guard !applied.tally.interrupted else { return .init(differing: [], silent: []) }
      return try await repair.lookAfter(applied, store: store)
    }
    let code = try await change.carryOut(
      planned, Applying(workspace, limits: contact.value, terms: confirmation.value, grants: granted), store)
    return code == 0 || code == 2 && silent == 4 ? silent : code
  }
}

struct DriftAdopt: FleetVerb {
  static let configuration = CommandConfiguration(
    commandName: "adopt", abstract: "Write a policy that makes rules intended which were added by hand.",
    discussion: """
      Prints it, or writes it to a new file; existing files are never changed. Of rules that are gone it says which line \
      of which policy says them.
      Example: portcullis drift adopt -l web --out policies/debug-port.yaml
      """)

  @Option(name: .shortAndLong, help: "Hosts and groups, as Ansible's patterns: 'web:&prod:!web7', 'web[01-20]'")
  var limit: String

  @Option(help: "A new file, called as the policy: NAME.yaml")
  var out: String?

  @Option(help: "The group it applies to (default: the one that has exactly these hosts)")
  var group: String?

  @OptionGroup var fleet: FleetOptions
  @OptionGroup var contact: ContactOptions
  @OptionGroup var output: OutputOptions

  private var name: String? {
    guard let out else { return "adopted" }
    let file = out.split(separator: "/").last.map(String.init) ?? ""
    return file.hasSuffix(".yaml") ? String(file.dropLast(".yaml".count)) : nil
  }

  func validate() throws {
    guard let name, HostID(name) != nil, name + ".yaml" != PolicySet.commonName else {
      throw ValidationError("--out takes NAME.yaml, of letters, digits, '.', '_' and '-'")
    }
  }

  func perform() async throws -> Int32 {
    let workspace = try open()
    let hosts = try readInventory(of: workspace).hosts(matching: limit)
    if let out, Files.exists(out) {
      throw Failure(
        "adopt what differs", because: Reason("\(SafeText.escape(out)) exists"), hint: "name another file",
        kind: .refused)
    }
    let store = try workspace.store()
    let adopted = try await Adopting(workspace, limits: contact.value)
      .adopt(hosts, name: name ?? "adopted", group: group, store: store)
    try store.close()
    guard let out, let policy = adopted.policy else {
      let document = AdoptDocument(adopted, file: nil)
      try Terminal.print(document, output)
      return document.exitCode
    }
    return try await workspace.audited("drift adopt", hosts: hosts.map(\.id), reason: nil) {
      try Files.create(Array(policy.yaml.utf8), at: out)
      let document = AdoptDocument(adopted, file: out)
      try Terminal.print(document, output)
      return ActionEnd(exitCode: document.exitCode)
    }
  }
}
