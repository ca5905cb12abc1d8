package import Core
package import Inventory

/// What is likely not meant, told from the files alone.
package struct PolicyRemark: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    case unusedSet, unusedService, unusedSchedule, expiredItem, unknownHelper, policyWithoutHosts
    case sameRank, higherRankOpens, lockdownWithoutDNS, lockdownWithoutTime, lockdownLosesJumps
  }

  package let kind: Kind
  package let diagnostic: Diagnostic
  /// What it is about, without places.
  package let subject: String
}

extension PolicySet {
  package func remarks(_ inventory: HostInventory, now: UTCTime) -> [PolicyRemark] {
    policies.flatMap { policy in
      unused(policy) + expired(policy, now) + unknownHelpers(policy) + withoutHosts(policy, inventory)
    } + profileRemarks(inventory) + unusedCommon()
  }

  private func unused(_ policy: PolicyFile) -> [PolicyRemark] {
    let mentions = PolicyMentions(policy)
    return Self.unused(
      CommonFile(sets: policy.sets, services: policy.services, schedules: policy.schedules), mentions.setNames,
      Set(mentions.services.map(\.value)), Set(mentions.schedules.map(\.value)), in: policy.name)
  }

  private func unusedCommon() -> [PolicyRemark] {
    let mentions =
      policies.map { PolicyMentions($0) } + profiles.map { PolicyMentions($0) } + [PolicyMentions(common)]
    return Self.unused(
      common, mentions.reduce(into: []) { $0.formUnion($1.setNames) },
      Set(mentions.flatMap { $0.services.map(\.value) }), Set(mentions.flatMap { $0.schedules.map(\.value) }),
      in: Self.commonName)
  }

  static func unused(
    _ defined: CommonFile, _ sets: Set<String>, _ services: Set<String>, _ schedules: Set<String>, in file: String
  ) -> [PolicyRemark] {
    func remark(_ kind: PolicyRemark.Kind, _ what: String, _ name: String, _ place: SourceLocation) -> PolicyRemark {
      PolicyRemark(
        kind: kind,
        diagnostic: Diagnostic(place, "\(what) \(quoted(name)) is used nowhere", hint: "delete it, or use it"),
        subject: "\(file) \(what) \(name)")
    }
    return
      defined.sets.filter { !sets.contains($0.key) }.map { remark(.unusedSet, "set", $0, $1.location) }
      + defined.services.filter { !services.contains($0.key) }.map {
        remark(.unusedService, "service", $0, $1.location)
      }
      + defined.schedules.filter { !schedules.contains($0.key) }
      .map { remark(.unusedSchedule, "schedule", $0, $1.location) }
  }

  private func expired(_ policy: PolicyFile, _ now: UTCTime) -> [PolicyRemark] {
    let matches =
      policy.sections.values.flatMap { $0.map(\.match) } + policy.translations.map(\.match)
      + (policy.containers?.items ?? []).map(\.match)
    return matches.compactMap { match in
      guard let until = match.until, until.value.isOver(at: now) else { return nil }
      return PolicyRemark(
        kind: .expiredItem,
        diagnostic: Diagnostic(
          until.location, "this item ended with \(until.value.text)", hint: "delete it, or name a later day"),
        subject: "\(policy.name) until \(until.value.text)")
    }
  }

  private func unknownHelpers(_ policy: PolicyFile) -> [PolicyRemark] {
    policy.sections.values.flatMap { $0.compactMap(\.match.helper) }.compactMap { helper in
      guard ConnectionHelper(helper.value) == nil else { return nil }
      return PolicyRemark(
        kind: .unknownHelper,
        diagnostic: Diagnostic(
          helper.location, "Linux has no helper \(quoted(helper.value)) of its own",
          hint: nearestHint(helper.value, among: ConnectionHelper.names)
            ?? "it has \(ConnectionHelper.names.joined(separator: ", "))"),
        subject: "\(policy.name) helper \(helper.value)")
    }
  }

  private func withoutHosts(_ policy: PolicyFile, _ inventory: HostInventory) -> [PolicyRemark] {
    let groups = policy.appliesTo.compactMap { inventory.group(named: $0.value) }
    guard let first = policy.appliesTo.first, groups.allSatisfy(\.hostIndices.isEmpty) else { return [] }
    return [
      PolicyRemark(
        kind: .policyWithoutHosts,
        diagnostic: Diagnostic(
          first.location, "policy \(quoted(policy.name)) applies to no host",
          hint: "\(policy.appliesTo.map { quoted($0.value) }.joined(separator: ", ")) has no hosts"),
        subject: policy.name)
    ]
  }
}
