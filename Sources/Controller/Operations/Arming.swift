internal import Audit
package import Core
package import Inventory
package import Release
package import Store
internal import Wire

/// Makes a lockdown order in calm, for the day it is needed: who signs, whom it is for, and what it would do there.
package struct Arming: Sendable {
  package struct Request: Sendable {
    package var profile: ProfileName
    package var pattern: String
    package var approvals: Int?
    /// In seconds; nil for never.
    package var liftsAfter: UInt32?
    /// In seconds.
    package var validFor: Int64
    package var reason: String

    package init(
      profile: ProfileName, pattern: String, approvals: Int?, liftsAfter: UInt32?, validFor: Int64, reason: String
    ) {
      self.profile = profile
      self.pattern = pattern
      self.approvals = approvals
      self.liftsAfter = liftsAfter
      self.validFor = validFor
      self.reason = reason
    }
  }

  /// What is known before anything is signed.
  package struct Outlook: Sendable {
    package let request: Request
    package let scope: LockScope
    package let hosts: [HostID]
    package let coverage: StagedCoverage
    package let effect: FleetEffect
  }

  let workspace: Workspace
  let store: FleetStore

  package init(_ workspace: Workspace, _ store: FleetStore) {
    self.workspace = workspace
    self.store = store
  }

  /// - Throws: `.refused` when no host of the pattern has the profile.
  package func look(_ request: Request, _ inventory: HostInventory) async throws -> Outlook {
    let hosts = try inventory.hosts(matching: request.pattern).map(\.id)
    let scope = try LockScope(request.pattern, of: inventory)
    let observations = try await store.observations()
    let enrolled = try await store.enrolments()
    let bundles = try await store.committedBundles(of: hosts)
    let manifests = try bundles.mapValues { try Manifest.parse($0.manifest) }
    var coverage = StagedCoverage()
    for host in hosts {
      coverage.add(
        host, observations[host], committed: manifests[host], isEnrolled: enrolled[host] != nil,
        profile: request.profile, scope: scope)
    }
    guard !coverage.staged.isEmpty else { throw unstaged(request.profile, hosts, observations, coverage) }
    let effect = try await effect(on: coverage.staged) { host in
      guard let bundle = bundles[host], let manifest = manifests[host],
        let listening = observations[host]?.lastReport?.report.listening
      else { return nil }
      return EffectQuestion(request.profile, bundle, manifest, listening)
    }
    return Outlook(request: request, scope: scope, hosts: hosts, coverage: coverage, effect: effect)
  }

  /// Each question is answered once, however many hosts ask it.
  private func effect(on hosts: [HostID], _ question: (HostID) -> EffectQuestion?) async throws -> FleetEffect {
    var asking: [EffectQuestion: [HostID]] = [:]
    var unknown: [HostID] = []
    for host in hosts {
      if let question = question(host) { asking[question, default: []].append(host) } else { unknown.append(host) }
    }
    let texts = try await store.texts(Set(asking.keys.flatMap(\.digests)))
    var effects: [HostID: ArmedEffect] = [:]
    for (question, hosts) in asking {
      let effect = try question.answer(texts)
      for host in hosts { effects[host] = effect }
    }
    return FleetEffect(effects, unknown: unknown)
  }

  package func arm(_ outlook: Outlook, key: String? = nil) async throws -> StoredOrder {
    let request = outlook.request
    return try await OrderSigning(workspace, store).make(
      OrderDraft(
        .lockdown(request.profile, liftsAfter: request.liftsAfter), scope: outlook.scope, hosts: outlook.hosts,
        arriveWithin: request.validFor, reason: request.reason, approvals: request.approvals), key: key)
  }

  private func unstaged(
    _ profile: ProfileName, _ hosts: [HostID], _ observations: [HostID: HostObservation], _ coverage: StagedCoverage
  ) -> Failure {
    let names = Set(
      hosts.flatMap { observations[$0]?.lastReport?.report.lockdown?.profiles ?? [] }.map(\.name.description))
    let near = NearestName.to(profile.description, among: names.sorted()).map { "did you mean '\($0)'?" }
    let why = coverage.notStaged.max { ($0.value.count, $1.key) < ($1.value.count, $0.key) }?.key ?? ""
    return Failure(
      "arm \(profile)", because: Reason("none of \(hosts.count) hosts has it: \(why)"),
      hint: near
        ?? "write policies/lockdown/\(profile).yaml and apply; 'portcullis status --refresh' asks what hosts have",
      kind: .refused)
  }
}
