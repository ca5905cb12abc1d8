package import Core
internal import Policy
internal import Release
package import Rollout
internal import Store

/// What a release is to say of every host, wherever that comes from: the policies, or what was released before.
package struct ReleaseContent: Sendable {
  package struct Host: Sendable {
    /// Of the manifest without its serial.
    package let content: Digest
    /// As the manifest says it.
    package let mode: String
    /// Nil when the host is withdrawn.
    package let rules: PerFamily<RulesText>?
    /// Ipsets that the rules name, and kernel settings beside them; nil when there are none.
    package let sets: RulesText?
    package let sysctl: RulesText?
    /// The lockdown profiles that are staged with it, by name.
    package let profiles: [ProfileTexts]
    let manifest: @Sendable (Serial, [Grant]) throws -> Manifest
    /// Where in the policies each line of the rules comes from; nil when the release they are from does not say.
    let traces: PerFamily<RuleTrace>?

    var texts: [RulesText] {
      (rules.map { [$0.ipv4, $0.ipv6] } ?? []) + [sets, sysctl].compactMap { $0 }
        + profiles.flatMap { [$0.rules.ipv4, $0.rules.ipv6] }
    }

    var desired: DesiredBundle {
      DesiredBundle(
        content: content, mode: mode, rules: rules,
        beside: BesideTexts(sets: sets, sysctl: sysctl, profiles: profiles))
    }
  }

  package let fleet: FleetID
  package internal(set) var byHost: [HostID: Host]
  package let enrolled: Set<HostID>
  /// Hosts of the inventory that no policy applies to.
  package let uncovered: Set<HostID>

  init(fleet: FleetID, byHost: [HostID: Host], enrolled: Set<HostID>, uncovered: Set<HostID> = []) {
    self.fleet = fleet
    self.byHost = byHost
    self.enrolled = enrolled
    self.uncovered = uncovered
  }

  package init(_ drafts: Drafts) {
    let fleet = drafts.fleet
    self.init(
      fleet: fleet,
      byHost: drafts.byHost.mapValues { draft in
        Host(
          content: draft.content, mode: draft.mode.rawValue, rules: draft.rules, sets: draft.sets, sysctl: draft.sysctl,
          profiles: draft.profiles,
          manifest: { try draft.manifest(fleet: fleet, serial: $0, grants: $1) },
          traces: draft.compiled.traces)
      }, enrolled: drafts.enrolled, uncovered: drafts.uncovered)
  }
}

extension ReleaseContent.Host {
  /// What was released before, under a new serial and without its grants: those were for once.
  init(_ bundle: StoredBundle, texts: [Digest: RulesText]) throws {
    let manifest = try Manifest.parse(bundle.manifest)
    func text(_ digest: Digest, _ what: String) throws -> RulesText {
      guard let text = texts[digest] else {
        throw Failure(
          "read the \(what) of \(bundle.host) in release \(bundle.serial)",
          because: Reason("they are not kept any more"))
      }
      return text
    }
    let rules = try bundle.rules?.map { family, digest in try text(digest, "\(family) rules") }
    self.init(
      content: bundle.content, mode: manifest.mode.rawValue, rules: rules,
      sets: try bundle.sets.map { try text($0, "ipsets") },
      sysctl: try bundle.sysctl.map { try text($0, "kernel settings") },
      profiles: try zip(manifest.profiles, bundle.profiles).map { entry, digests in
        ProfileTexts(
          name: entry.name, rank: entry.rank,
          rules: try digests.map { family, digest in try text(digest, "\(family) rules of lockdown \(entry.name)") })
      },
      manifest: { try manifest.released(as: $0, grants: $1) },
      traces: bundle.traces?.map { _, digest in texts[digest].flatMap { try? RuleTrace(encoded: $0.bytes) } }.whole())
  }

  /// Nil when where its rules come from is not known.
  var origins: RuleOrigins? {
    guard let rules, let traces, let manifest = try? manifest(Serial(1), []) else { return nil }
    return try? RuleOrigins(
      rules.map { $1.bytes }, mode: manifest.mode, forwardsForeign: manifest.forwardsForeign, traces)
  }

  /// The host gives our rules up; who manages it and which groups it is in stays as it was last released.
  static func withdrawing(_ last: Manifest) throws -> ReleaseContent.Host {
    let manifest = try Manifest(
      fleet: last.fleet, host: last.host, serial: last.serial, mode: .withdrawn, labels: last.labels,
      sources: last.sources, files: nil)
    return ReleaseContent.Host(
      content: manifest.contentDigest, mode: manifest.mode.rawValue, rules: nil, sets: nil, sysctl: nil, profiles: [],
      manifest: { try manifest.released(as: $0, grants: $1) }, traces: nil)
  }
}

extension Manifest {
  fileprivate func released(as serial: Serial, grants: [Grant]) throws -> Manifest {
    try Manifest(
      fleet: fleet, host: host, serial: serial, grants: grants, mode: mode, forwardsForeign: forwardsForeign,
      deniesForeign: deniesForeign, foreignAllowed: foreignAllowed, labels: labels, sources: sources, files: files,
      sets: sets,
      sysctl: sysctl, profiles: profiles)
  }
}
