package import Audit
internal import Core
package import Inventory
internal import Policy
internal import Release
package import Store
internal import Wire

/// Asks the hosts whether their kernels still hold what they committed, and what exactly differs.
package struct DriftHunt: Sendable {
  package struct Found: Sendable {
    package let drifts: [HostDrift]
    /// After asking, in inventory order.
    package let statuses: [HostStatus]
  }

  let workspace: Workspace
  let limits: ContactLimits

  package init(_ workspace: Workspace, limits: ContactLimits) {
    self.workspace = workspace
    self.limits = limits
  }

  package func hunt(_ hosts: [InventoryHost], store: FleetStore) async throws -> Found {
    let enrolled = try await store.enrolments()
    guard hosts.contains(where: { enrolled[$0.id] != nil }) else {
      throw Failure.noneEnrolled("look for drift")
    }
    let observation = Observation(workspace: workspace, limits: limits)
    let compared = try await observation.refreshComparing(hosts, store: store)
    let statuses = try await observation.statuses(hosts, store: store)
    let drifts = statuses.filter { $0.integrity == .drifted || $0.integrity == .waived }
      .compactMap { compared[$0.host] }
    return Found(drifts: try await known(traced(drifts, store), statuses, store), statuses: statuses)
  }

  /// With what the store knows of them: since when, by whom, and who answers for them.
  func known(
    _ drifts: [HostDrift], _ statuses: [HostStatus], _ store: FleetStore
  ) async throws -> [HostDrift] {
    let spans = try await store.driftSpans(of: drifts.map(\.host))
    let changes = try await store.changes(of: drifts.map(\.host))
    let waived = Set(statuses.filter { $0.integrity == .waived }.map(\.host))
    let waivers = Dictionary(uniqueKeysWithValues: try await store.waivers().map { ($0.host, $0) })
    return drifts.map { drift in
      var known = drift
      known.span = spans[drift.host]
      if let span = known.span { known.trail = DriftTrail(changes[drift.host] ?? [], in: span) }
      // What was compared may be newer than the report.
      if waived.contains(drift.host), let waiver = waivers[drift.host], waiver.difference == drift.exact {
        known.waiver = waiver
      }
      return known
    }
  }

  /// As the policies were when the release was made that a host committed: the files may say something else by now.
  func traced(_ drifts: [HostDrift], _ store: FleetStore) async throws -> [HostDrift] {
    let bundles = try await store.committedBundles(of: drifts.filter(\.hasSources).map(\.host))
    var known: [[Digest]: RuleOrigins] = [:]
    var traced: [HostDrift] = []
    for drift in drifts {
      guard let bundle = bundles[drift.host] else {
        traced.append(drift.untraced(because: "this controller does not have the release that was committed there"))
        continue
      }
      // Hosts that share a policy share the work.
      let manifest = try Manifest.parse(bundle.manifest)
      let key = bundle.texts + [Digest(of: "\(manifest.mode) \(manifest.forwardsForeign)".utf8)]
      if known[key] == nil { known[key] = try await origins(bundle, manifest, store) }
      traced.append(
        known[key].map { origins in drift.traced { origins.source($0, $1) } }
          ?? drift.untraced(because: "the release that was committed there does not say where its rules come from"))
    }
    return traced
  }

  private func origins(
    _ bundle: StoredBundle, _ manifest: Manifest, _ store: FleetStore
  ) async throws -> RuleOrigins? {
    let texts = try await store.texts(Set(bundle.texts))
    guard let rules = bundle.rules?.map({ _, digest in texts[digest] }).whole(),
      let traces = try bundle.traces?.map({ _, digest in try texts[digest].map(RuleTrace.init(encoded:)) }).whole()
    else { return nil }
    return try RuleOrigins(rules, mode: manifest.mode, forwardsForeign: manifest.forwardsForeign, traces)
  }
}
