internal import Core
internal import Inventory
internal import Ruleset

/// What several policies together say of one host, where it does not depend on the host: which of them apply, and
/// whether they contradict each other.
struct Composition: Sendable {
  /// In the order of their rules.
  let policies: [PolicyFile]
  let beside: BesideOthers
  let defaults: PerFamily<[BuiltInHook: Located<DefaultAction>]>
  let closesIPv6: SourceLocation?
  let observes: SourceLocation?
  let placesEstablished: Bool
  let onDrift: OnDrift
  let sysctl: SysctlFile

  init(_ policies: [PolicyFile]) throws(Diagnostics) {
    var problems = Problems()
    self.policies = policies
    closesIPv6 = policies.compactMap(\.closesIPv6).first
    observes = policies.compactMap(\.observes).first
    placesEstablished = policies.contains { $0.placesEstablished }
    beside = Self.join(policies, &problems)
    onDrift = OnDrift.join(policies, &problems)
    defaults = PerFamily { family in Self.defaults(policies, family, &problems) }
    sysctl = Self.sysctl(policies, &problems)
    if let observes, let closesIPv6 {
      problems.add(
        observes, "observe and ipv6: drop-all at \(closesIPv6) exclude each other",
        hint: "drop-all would drop IPv6 at once: leave it out while the policy is watched")
    }
    try problems.throwIfAny()
  }

  private static func join(_ policies: [PolicyFile], _ problems: inout Problems) -> BesideOthers {
    var beside = BesideOthers()
    var mode: Located<BesideOthers.Mode>?
    for policy in policies {
      if let said = policy.beside.mode {
        if let mode, mode.value != said.value {
          problems.add(
            said.location, "mode \(said.value.rawValue) contradicts mode \(mode.value.rawValue) at \(mode.location)",
            hint: "these policies apply to the same hosts: make them agree")
        }
        mode = mode ?? said
      }
      if policy.beside.forwardsForeign != nil { beside.forwardsForeign = true }
      for rule in policy.beside.foreignAllowed where !beside.foreignAllowed.contains(rule) {
        beside.foreignAllowed.append(rule)
      }
    }
    if let denies = policies.compactMap(\.beside.deniesForeign).first {
      beside.deniesForeign = true
      if !beside.foreignAllowed.isEmpty {
        problems.add(
          denies, "foreign: deny contradicts another policy's foreign: allow",
          hint: "these policies apply to the same hosts: make them agree")
      }
    }
    beside.mode = mode?.value ?? .owned
    if beside.mode == .exclusive {
      for policy in policies { policy.beside.ownedOnly.map { problems.add(BesideOthers.exclusion($0)) } }
    }
    return beside
  }

  /// Of `defaults:`, and of built-in chains that raw text declares.
  private static func defaults(
    _ policies: [PolicyFile], _ family: Family, _ problems: inout Problems
  ) -> [BuiltInHook: Located<DefaultAction>] {
    var defaults: [BuiltInHook: Located<DefaultAction>] = [:]
    for policy in policies {
      let raw = policy.raw[family]?.tables.first { $0.name == "filter" }
      for hook in BuiltInHook.allCases {
        let declared = raw?.chains.first { $0.name == hook.chain }.flatMap { chain in
          chain.policy.flatMap { DefaultAction(rawValue: $0.lowercased()) }.map { Located($0, chain.place) }
        }
        for said in [policy.defaults[hook], declared].compactMap(\.self) {
          if let other = defaults[hook], other.value != said.value {
            problems.add(
              said.location,
              "default \(said.value.rawValue) of \(hook.rawValue) contradicts \(other.value.rawValue) at \(other.location)",
              hint: "these policies apply to the same hosts: let only one of them say it")
          }
          defaults[hook] = defaults[hook] ?? said
        }
      }
    }
    return defaults
  }

  private static func sysctl(_ policies: [PolicyFile], _ problems: inout Problems) -> SysctlFile {
    var settings: [SysctlKey: Located<SysctlSetting>] = [:]
    for setting in policies.flatMap(\.sysctl) {
      if let other = settings[setting.value.key], other.value != setting.value {
        problems.add(
          setting.location, "\(setting.value.key) contradicts its value at \(other.location)",
          hint: "these policies apply to the same hosts: let only one of them say it")
      }
      settings[setting.value.key] = settings[setting.value.key] ?? setting
    }
    do throws(StrictTextProblem) {
      return try SysctlFile(settings.mapValues(\.value.value))
    } catch {
      if let first = policies.first {
        problems.add(SourceLocation(file: first.file, line: 1, column: 1), "sysctl: \(error.reason)")
      }
      return .empty
    }
  }
}
