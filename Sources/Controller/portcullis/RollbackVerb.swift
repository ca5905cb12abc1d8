import ArgumentParser
import Console
import Core
import Inventory
import Operations
import Rollout
import Store

struct Rollback: FleetVerb {
  static let configuration = CommandConfiguration(
    abstract: "Bring hosts back to what an earlier release said of them, as a new release.",
    discussion: """
      The others keep what they were released last. The policy files still say something else, so the next apply moves \
      forward again: change them too.
      Example: portcullis rollback -l web --to 41 --reason "INC-42"
      """)

  @Option(help: "The release's serial (default: the last one that said something else of these hosts)")
  var to: UInt64?

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
    guard let store = try workspace.existingStore() else {
      throw Failure("rollback", because: Reason("no release was ever made"), kind: .usage)
    }
    let earlier: Serial
    if let to {
      earlier = Serial(to)
    } else {
      guard let before = try await store.lastSayingOtherwise(of: hosts.map(\.id)) else {
        throw Failure(
          "rollback", because: Reason("no release that is kept said anything else of these hosts"),
          hint: "'portcullis enroll --remove --rules generation-0' goes back to what ran before us", kind: .usage)
      }
      earlier = before
    }
    let planned = try await Planning(workspace).plan(hosts, store: store, change: .earlier(earlier))
    Terminal.say("going back to what release \(earlier) said; the next apply from the policy files moves forward again")
    return try await Change(verb: "rollback", approval: approval, output: output)
      .carryOut(
        planned, Applying(workspace, limits: contact.value, terms: confirmation.value, grants: granted), store)
  }
}
