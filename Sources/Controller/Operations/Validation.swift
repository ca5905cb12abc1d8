package import Core
internal import Inventory
internal import Policy

/// Everything that can be found out from files alone.
package struct Validation: Sendable {
  package let hosts: [String]
  package let policies: [String]
  /// No policy applies to them.
  package let uncovered: [String]
  /// Rules of both families over all hosts.
  package let warnings: [Diagnostic]

  /// Every mistake of all files at once. Hosts whose management source is not known yet are compiled with addresses of
  /// documentation in its place.
  package static func run(_ workspace: Workspace) throws -> Validation {
    let inventory = try workspace.inventory()
    guard !inventory.hosts.isEmpty else {
      throw Failure(
        "validate", because: Reason("\(workspace.configuration.inventory.joined(separator: ", ")) names no host"))
    }
    let policies = try workspace.policies()
    try policies.check(against: inventory)
    let uncovered = policies.uncovered(in: inventory)
    let skipped = Set(uncovered.map(\.id))
    var problems = Problems()
    for host in inventory.hosts where !skipped.contains(host.id) {
      do throws(Diagnostics) {
        _ = try policies.compile(for: host, controllers: PolicySet.placeholderControllers)
      } catch {
        problems.add(error)
      }
    }
    try problems.throwIfAny()
    return Validation(
      hosts: inventory.hosts.map(\.id.description), policies: policies.policies.map(\.name),
      uncovered: uncovered.map(\.id.description), warnings: inventory.warnings)
  }
}
