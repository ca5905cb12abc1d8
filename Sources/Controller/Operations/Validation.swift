package import Core
internal import Inventory
package import Lint
package import Policy
package import Store

/// Everything that can be found out from files, and by loading what they are compiled to on this machine.
package struct Validation: Sendable {
  /// A mistake, and the hosts that it concerns; none for what is wrong whoever runs it.
  package struct Finding: Sendable {
    package let lint: LintFinding
    package let hosts: [String]

    package init(lint: LintFinding, hosts: [String]) {
      self.lint = lint
      self.hosts = hosts
    }
  }

  package let hosts: [String]
  package let policies: [String]
  /// Names of lockdown profiles.
  package let profiles: [String]
  /// No policy applies to them.
  package let uncovered: [String]
  /// Assignments of the inventory that mean nothing to us.
  package let ignoredVariables: Int
  /// In reading order.
  package private(set) var findings: [Finding]
  /// What was not loaded for trial, and why.
  package private(set) var notes: [String] = []
  /// What hosts shall run.
  package let subjects: [ScratchLoad.Subject]

  package var errors: Int { findings.count { $0.lint.severity == .error } }
  package var warnings: Int { findings.count { $0.lint.severity == .warning } }

  /// Errors that concern one of these hosts, or are wrong whoever runs it.
  package func errors(of hosts: Set<String>) -> [Finding] {
    findings.filter { $0.lint.severity == .error && ($0.hosts.isEmpty || !hosts.isDisjoint(with: $0.hosts)) }
  }

  /// A ruleset of theirs is one that no host would load.
  package var doesNotLoad: Bool { findings.contains { $0.lint.rule == .doesNotLoad } }

  /// Also loads everything for trial.
  ///
  /// - Parameter store: knows who manages the hosts; nil before the first enrolment.
  package static func run(
    _ workspace: Workspace, strict: Bool, store: FleetStore?, trial: ScratchLoad
  ) async throws -> Validation {
    let sources = try await store?.enrolments().mapValues(\.controllers) ?? [:]
    let reported = try await store?.reportedFacts() ?? [:]
    var validation = try run(workspace, strict: strict, sources: sources, reported: reported)
    validation.add(try await trial.run(validation.subjects))
    return validation
  }

  private mutating func add(_ outcome: ScratchLoad.Outcome) {
    notes += outcome.notes
    var hosts: [LintFinding: [String]] = [:]
    for finding in outcome.findings { hosts[finding.lint, default: []] += finding.hosts }
    findings += hosts.map { Finding(lint: $0, hosts: $1) }
    findings.sort { $0.lint < $1.lint }
  }

  /// Every mistake of all files at once. Hosts whose management source is not known yet are compiled with addresses of
  /// documentation in its place.
  ///
  /// - Parameters:
  ///   - strict: warnings are errors.
  ///   - sources: the management sources learnt at enrolment.
  ///   - reported: what hosts last said of themselves.
  package static func run(
    _ workspace: Workspace, strict: Bool = false, sources: [HostID: [String]] = [:],
    reported: [HostID: ReportedFacts] = [:]
  ) throws -> Validation {
    let inventory = try workspace.inventory()
    guard !inventory.hosts.isEmpty else {
      throw Failure(
        "validate", because: Reason("\(workspace.configuration.inventory.joined(separator: ", ")) names no host"))
    }
    let policies = try workspace.policies()
    let compiler = try PolicyCompiler(policies, inventory: inventory)
    let lockdowns = try LockdownCompiler(policies, inventory: inventory)
    let uncovered = compiler.uncovered(in: inventory)
    let skipped = Set(uncovered.map(\.id))
    var problems = Problems()
    let now = workspace.clock.now()
    var findings = Findings(strict: strict, now: now)
    var subjects = Subjects()
    for host in inventory.hosts where !skipped.contains(host.id) {
      do throws(Diagnostics) {
        let known = (sources[host.id] ?? []) + workspace.configuration.controllers + host.controllers
        let controllers = known.isEmpty ? PolicySet.placeholderControllers : known
        let said = reported[host.id] ?? .none
        let policy = try compiler.compile(for: host, controllers: controllers, reported: said)
        try findings.add(policy, host: host, controllers: controllers, areKnown: !known.isEmpty, said)
        subjects.add(policy, host.id.description)
        _ = try lockdowns.compile(for: host, controllers: controllers, reported: said)
        findings.add(portOf: host, said)
      } catch {
        problems.add(error)
      }
    }
    try problems.throwIfAny()
    findings.add(policies.remarks(inventory, now: now))
    for host in uncovered { findings.add(uncovered: host) }
    for warning in inventory.warnings { findings.add(warning) }
    return Validation(
      hosts: inventory.hosts.map(\.id.description), policies: policies.names,
      profiles: policies.profileNames.map(\.description),
      uncovered: uncovered.map(\.id.description),
      ignoredVariables: inventory.ignoredVariables, findings: findings.sorted(), subjects: subjects.all)
  }
}

/// Hosts with the same rules in both families are one subject.
private struct Subjects {
  private(set) var all: [ScratchLoad.Subject] = []
  private var indices: [[Digest]: Int] = [:]

  mutating func add(_ policy: CompiledPolicy, _ host: String) {
    let key = [policy.digests.ipv4, policy.digests.ipv6]
    if let index = indices[key] {
      all[index].hosts.append(host)
    } else {
      indices[key] = all.count
      all.append(ScratchLoad.Subject(policy: policy, hosts: [host]))
    }
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

  mutating func add(
    _ policy: CompiledPolicy, host: InventoryHost, controllers: [String], areKnown: Bool, _ reported: ReportedFacts
  ) throws(Diagnostics) {
    let ports = host.sshPorts(reported)
    let leases = host.leases(reported)
    let key = Digest(
      of: policy.digests.ipv4.bytes + policy.digests.ipv6.bytes
        + "\(ports) \(leases) \(policy.beside.mode) \(areKnown ? controllers.sorted() : []) \(policy.leftOut)".utf8)
    if known[key] == nil {
      var subject = try LintSubject(
        policy.rules,
        places: LintPlaces(whole: policy.start) { policy.source(of: $0, line: $1) })
      subject.controllers = controllers
      subject.sets = KnownSets(policy.addressSets)
      subject.sshPorts = ports
      subject.facts.hasLeases = leases
      subject.now = now
      subject.facts.isOwned = policy.beside.mode == .owned
      subject.facts.closesIPv6 = policy.closesIPv6
      subject.facts.leftOut = policy.leftOut
      subject.facts.closing = policy.closing
      subject.facts.impliedAnswers = policy.impliedAnswers
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
  }

  mutating func add(_ remarks: [PolicyRemark]) {
    for remark in remarks {
      let rule: LintRule =
        switch remark.kind {
        case .unusedSet: .unusedSet
        case .unusedService: .unusedService
        case .unusedSchedule: .unusedSchedule
        case .expiredItem: .expiredItem
        case .unknownHelper: .unknownHelper
        case .policyWithoutHosts: .policyWithoutHosts
        case .sameRank: .sameRank
        case .higherRankOpens: .higherRankOpens
        case .lockdownWithoutDNS: .lockdownWithoutDNS
        case .lockdownWithoutTime: .lockdownWithoutTime
        case .lockdownLosesJumps: .lockdownLosesJumps
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

  mutating func add(_ warning: Diagnostic) {
    add(
      LintFinding(
        .inventoryWarning, at: warning.location, warning.message, hint: warning.hint, subject: warning.message), nil)
  }

  private mutating func add(_ finding: LintFinding, _ host: String?) {
    hosts[strict ? finding.strict : finding, default: []] += [host].compactMap(\.self)
  }

  func sorted() -> [Validation.Finding] {
    hosts.keys.sorted().map { Validation.Finding(lint: $0, hosts: hosts[$0] ?? []) }
  }
}
