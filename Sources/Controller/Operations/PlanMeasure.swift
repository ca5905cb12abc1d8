internal import Core
internal import Inventory
internal import Rollout
internal import Store
internal import Wire

/// What `make bench` measures of planning: files of a large fleet read, compiled and planned, as if every host were
/// enrolled and had not reported yet.
package struct PlanMeasure: Sendable {
  package let hosts: Int
  /// Of one host, both families.
  package let rules: Int
  package let files: Duration
  package let plan: Duration

  package static func run(_ workspace: Workspace) throws -> PlanMeasure {
    let start = ContinuousClock.now
    let inventory = try workspace.inventory()
    var enrolments: [HostID: Store.Enrolment] = [:]
    for host in inventory.hosts {
      enrolments[host.id] = Store.Enrolment(
        host: host.id, at: workspace.clock.now(), agent: Digest(of: []), agentVersion: "0", architecture: "x86_64",
        backend: .nft, hasGenerationZero: false, controllers: ["192.0.2.1", "2001:db8::1"])
    }
    let read = ContinuousClock.now
    let content = ReleaseContent(try Drafts.compile(workspace, enrolments: enrolments))
    let inputs = inventory.hosts.map {
      PlanInput(host: $0.id, desired: content.byHost[$0.id]?.desired, knowledge: .silent)
    }
    let plan = try RolloutPlanner(fleet: workspace.configuration.fleet, serialBase: .none).plan(inputs)
    let lines = content.byHost.values.first?.rules.map { rules in
      [rules.ipv4, rules.ipv6].reduce(0) { count, text in
        count + text.bytes.split(separator: UInt8(ascii: "\n")).count { $0.starts(with: "-A".utf8) }
      }
    }
    return PlanMeasure(
      hosts: plan.touched.count, rules: lines ?? 0, files: start.duration(to: read),
      plan: start.duration(to: .now))
  }
}
