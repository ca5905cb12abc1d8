internal import Core
internal import Inventory

/// What becomes of a host that drifted, when nobody says so.
package enum OnDrift: String, Hashable, Sendable, CaseIterable {
  /// It is shown.
  case report
  /// `drift repair --as-policies-say` puts back what was committed.
  case repair

  static func read(_ top: YAMLMapping, _ problems: inout Problems) -> Located<OnDrift>? {
    top["on_drift"].flatMap { node in
      (MatchReader.choice(node, "on_drift", &problems) as OnDrift?).map { Located($0, node.location) }
    }
  }

  /// Of several policies that meet on a host.
  static func join(_ policies: [PolicyFile], _ problems: inout Problems) -> OnDrift {
    var joined: Located<OnDrift>?
    for said in policies.compactMap(\.onDrift) {
      if let joined, joined.value != said.value {
        problems.add(
          said.location,
          "on_drift: \(said.value.rawValue) contradicts on_drift: \(joined.value.rawValue) at \(joined.location)",
          hint: "these policies apply to the same hosts: make them agree")
      }
      joined = joined ?? said
    }
    return joined?.value ?? .report
  }
}
