package import Core

/// One host of the inventory, with the variables of its groups already laid under its own.
package struct InventoryHost: Hashable, Sendable {
  package let id: HostID
  /// Where its entry stands, for messages about it.
  package let location: SourceLocation
  /// Tried in order: `ansible_host`, then `portcullis_addresses`; the host's own name when there is neither. Numeric
  /// addresses or DNS names, IPv6 without brackets.
  package let addresses: [String]
  /// `ansible_port`; nil means 22.
  package let port: UInt16?
  /// `ansible_user`: the administrator's login, for enrolment only.
  package let user: String?
  /// `ansible_ssh_private_key_file`, `~/` resolved; a relative path is relative to where the command runs.
  package let identityFile: String?
  /// `portcullis_user`: the agent's unprivileged login.
  package let agentUser: String
  /// The bastions on the way, the first one to connect to first. Empty: connected to directly.
  package let jump: [JumpSpec]
  /// `portcullis_controllers`: management sources besides the learnt ones, numeric, canonical, sorted, unique.
  package let controllers: [String]
  /// `portcullis_labels`, sorted, unique.
  package let labels: [String]
  /// `portcullis_ssh_port`: where its sshd listens, as the host itself sees it; nil when nobody said.
  package let sshPort: StatedPort?
  /// `portcullis_dhcp`: whether it has an address from a DHCP server; nil when nobody said.
  package let hasLeases: Bool?
  /// Every group the host is in, least specific first: by depth, then `ansible_group_priority`, then name.
  package let memberships: [GroupMembership]
  /// All its variables with those of its groups laid under, as `ansible-inventory --host` prints them: also the ones
  /// above, and those that mean nothing to us. Templates are left as they are.
  package let variables: InventoryVariables

  /// Names of the groups, least specific first; `all` is always the first.
  package var groups: [String] { memberships.map(\.group) }
}

/// A port, and where somebody wrote it.
package struct StatedPort: Hashable, Sendable {
  package let port: UInt16
  package let location: SourceLocation
}

/// That a host is in a group, and how specific the group is.
package struct GroupMembership: Hashable, Sendable {
  package let group: String
  /// 0 for `all`; for others one more than that of their deepest parent.
  package let depth: Int
}

/// One hop on the way to a host.
package struct JumpSpec: Hashable, Sendable, CustomStringConvertible {
  /// Nil: the hop's own `portcullis_user` or `ansible_user`, or the login used for the host behind it.
  package let user: String?
  /// A name, or an address without brackets.
  package let host: String
  /// Nil: the hop's own `ansible_port`, or 22.
  package let port: UInt16?
  /// The host of the inventory that `host` names, whose addresses, port and own hops then apply.
  package let inventoryHost: HostID?

  package init(user: String?, host: String, port: UInt16?, inventoryHost: HostID?) {
    self.user = user
    self.host = host
    self.port = port
    self.inventoryHost = inventoryHost
  }

  package var description: String {
    let bracketed = host.contains(":") ? "[\(host)]" : host
    return (user.map { "\($0)@" } ?? "") + bracketed + (port.map { ":\($0)" } ?? "")
  }
}
