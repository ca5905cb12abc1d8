internal import Audit
package import Core
internal import Inventory
internal import Policy
internal import Release

/// How a host's policy will live with what other software keeps on it.
package struct Surroundings: Hashable, Sendable {
  package let host: HostID
  /// `owned` or `exclusive`.
  package let mode: String
  /// Whose chains the host last said there are.
  package let owners: [ForeignOwner]
  /// In words for an operator.
  package let warnings: [String]

  package init(host: HostID, mode: String, owners: [ForeignOwner], warnings: [String]) {
    self.host = host
    self.mode = mode
    self.owners = owners
    self.warnings = warnings
  }

  /// Those whose containers and machines are reached through FORWARD.
  private static let forwarders: Set<ForeignOwner> = [
    .docker, .podman, .cni, .kubernetes, .calico, .cilium, .flannel, .weave, .libvirt,
  ]

  init(_ draft: Drafts.Draft, owners: [ForeignOwner]) {
    host = draft.host.id
    mode = draft.mode.rawValue
    self.owners = owners
    var warnings: [String] = []
    switch draft.beside.mode {
    case .owned:
      let ended = owners.filter(Self.forwarders.contains).map(\.rawValue)
      if !ended.isEmpty, !draft.dropsForward.isEmpty, !draft.beside.forwardsForeign {
        let families = draft.dropsForward.map(\.description).joined(separator: " and ")
        warnings.append(
          "the policy drops forwarded packets in \(families), so the forwarding of \(ended.joined(separator: ", ")) ends;"
            + " forward: foreign in policy.yaml leaves it to them")
      }
    case .exclusive:
      if !owners.isEmpty {
        let names = owners.map(\.rawValue)
        warnings.append(
          "exclusive mode wipes the chains of \(names.joined(separator: ", ")): apply refuses without --evict "
            + names.joined(separator: ","))
      }
    }
    self.warnings = warnings
  }
}
