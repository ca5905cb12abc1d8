package import Core
internal import Inventory
package import Lint
package import Policy

/// Everything that can be found out from files alone.
package struct Validation: Sendable {
  /// A mistake, and the hosts that it concerns; none for what is wrong whoever runs it.
  package struct Finding: Sendable {
    package let lint: LintFinding
    package let hosts: [String]
  }

  package let hosts: [String]
  package let policies: [String]
  /// No policy applies to them.
  package let uncovered: [String]
  /// Of the inventory.
  package let warnings: [Diagnostic]
  /// Assignments of the inventory that mean nothing to us.
  package let ignoredVariables: Int
  /// In reading order.
  package let findings: [Finding]
  /// Each text once.
  package let compiled: [CompiledPolicy]

  package var hasErrors: Bool { findings.contains { $0.lint.severity == .error } }

  /// Every mistake of all files at once. Hosts whose management source is not known yet are compiled with addresses of
  /// documentation in its place.
  ///
  /// - Parameters:
  ///   - strict: warnings are errors.
  ///   - only: hosts to look at; nil for all.
  ///   - sources: the management sources learnt at enrolment.
  ///   - reported: what hosts last said of themselves.
  package static func run(
    _ workspace: Workspace, strict: Bool = false, only: Set<HostID>? = nil, sources: [HostID: [String]] = [:],
    reported: [HostID: ReportedFacts] = [:]
  ) throws -> Validation {
    let inventory = try workspace.inventory()
    guard !inventory.hosts.isEmpty else {
      throw Failure(
        "validate", because: Reason("\(workspace.configuration.inventory.joined(separator: ", ")) names no host"))
    }
    let policies = try workspace.policies()
    let compiler = try PolicyCompiler(policies, inventory: inventory)
    let uncovered = compiler.uncovered(in: inventory)
    let skipped = Set(uncovered.map(\.id))
    var problems = Problems()
    let now = workspace.clock.now()
    var findings = Findings(strict: strict, now: now)
    var compiled: [CompiledPolicy] = []
    for host in inventory.hosts where !skipped.contains(host.id) && only?.contains(host.id) != false {
      do throws(Diagnostics) {
        let known = (sources[host.id] ?? []) + workspace.configuration.controllers + host.controllers
        let controllers = known.isEmpty ? PolicySet.placeholderControllers : known
        let said = reported[host.id] ?? .none
        let policy = try compiler.compile(for: host, controllers: controllers, reported: said)
        if try findings.add(policy, host: host, controllers: controllers, areKnown: !known.isEmpty, said) {
          compiled.append(policy)
        }
        findings.add(portOf: host, said)
      } catch {
        problems.add(error)
      }
    }
    try problems.throwIfAny()
    findings.add(policies.remarks(inventory, now: now))
    for host in uncovered where only == nil { findings.add(uncovered: host) }
    return Validation(
      hosts: inventory.hosts.map(\.id.description), policies: policies.names,
      uncovered: uncovered.map(\.id.description), warnings: inventory.warnings,
      ignoredVariables: inventory.ignoredVariables, findings: findings.sorted(), compiled: compiled)
  }
}

/// Collects what is found, each text looked at once however many hosts have it.
private struct Findings {
  let strict: Bool
  let now: UTCTime
  private var hosts: [LintFinding: [String]] = [:]
  private var known: [Digest: [LintFinding]] = [:]

  init(strict: Bool, now: UTCTime) {
    self.strict = strict
    self.now = now
  }

  /// False when the same text was looked at before.
  mutating func add(
    _ policy: CompiledPolicy, host: InventoryHost, controllers: [String], areKnown: Bool, _ reported: ReportedFacts
  ) throws(Diagnostics) -> Bool {
    let ports = host.sshPorts(reported)
    let leases = host.leases(reported)
    let key = Digest(
      of: policy.digests.ipv4.bytes + policy.digests.ipv6.bytes
        + "\(ports) \(leases) \(policy.beside.mode) \(areKnown ? controllers.sorted() : []) \(policy.leftOut)".utf8)
    let isNew = known[key] == nil
    if isNew {
      var subject = try LintSubject(
        policy.rules,
        places: LintPlaces(whole: policy.start) { policy.source(of: $0, line: $1) })
      subject.controllers = controllers
      subject.sshPorts = ports
      subject.facts.hasLeases = leases
      subject.now = now
      subject.facts.isOwned = policy.beside.mode == .owned
      subject.facts.closesIPv6 = policy.closesIPv6
      subject.facts.leftOut = policy.leftOut
      subject.facts.closing = policy.closing
      subject.facts.forwardsForeign = policy.beside.forwardsForeign
      subject.facts.forwards = policy.forwards.map { _, forwards in forwards }
      known[key] = Linter.run(subject).map { finding in
        // Where nobody knows yet who manages the host, nobody can tell either whether they get in.
        guard !areKnown, finding.rule == .noSSHFromControllers else { return finding }
        return LintFinding(
          finding.rule, severity: .warning, at: finding.diagnostic.location,
          "no management source of the host is known, and not everybody gets in by SSH",
          hint: "accept the service ssh from controllers, which enrolment then learns", subject: finding.subject)
      }
    }
    for finding in known[key] ?? [] { add(finding, host.id.description) }
    return isNew
  }

  mutating func add(_ remarks: [PolicyRemark]) {
    for remark in remarks {
      let rule: LintRule =
        switch remark.kind {
        case .unusedSet: .unusedSet
        case .unusedService: .unusedService
        case .unusedSchedule: .unusedSchedule
        case .expiredItem: .expiredItem
        case .policyWithoutHosts: .policyWithoutHosts
        }
      let said = remark.diagnostic
      add(LintFinding(rule, at: said.location, said.message, hint: said.hint, subject: remark.subject), nil)
    }
  }

  mutating func add(portOf host: InventoryHost, _ reported: ReportedFacts) {
    guard let stated = host.sshPort, !reported.sshPorts.isEmpty, !reported.sshPorts.contains(stated.port) else {
      return
    }
    let seen = reported.sshPorts.map { "\($0)" }.joined(separator: ", ")
    add(
      LintFinding(
        .sshPortDisagrees, at: stated.location,
        "portcullis_ssh_port says \(stated.port), and sshd was last seen to listen on \(seen)",
        hint: "leave the variable out where the host's own report is right", subject: "portcullis_ssh_port"),
      host.id.description)
  }

  mutating func add(uncovered host: InventoryHost) {
    add(
      LintFinding(
        .hostWithoutPolicy, at: host.location, "no policy applies to this host",
        hint: "a policy with applies_to: all is for every host", subject: host.id.description), host.id.description)
  }

  private mutating func add(_ finding: LintFinding, _ host: String?) {
    hosts[strict ? finding.strict : finding, default: []] += [host].compactMap(\.self)
  }

  func sorted() -> [Validation.Finding] {
    hosts.keys.sorted().map { Validation.Finding(lint: $0, hosts: hosts[$0] ?? []) }
  }
}
