internal import Core
internal import Glibc
package import Inventory
package import Transport

/// Turns what the inventory says of a host into where and as whom it is connected to.
package struct Endpoints: Sendable {
  /// Whose login is used.
  package enum Login: Sendable {
    /// The unprivileged one, whose shell is the bridge, with the controller's own key.
    case agent
    /// An administrator's, for enrolment.
    case administrator
  }

  private let inventory: HostInventory
  private let login: Configuration.Login

  package init(inventory: HostInventory, configuration: Configuration) {
    self.inventory = inventory
    login = configuration.login
  }

  package func endpoint(of host: InventoryHost, as role: Login) -> HostEndpoint {
    HostEndpoint(
      name: host.id.description, addresses: host.addresses, port: host.port ?? 22, user: user(of: host, as: role),
      identityFile: identity(for: host, as: role), agentSocket: agentSocket(as: role),
      jump: jump(through: host.jump[...], as: role, behind: user(of: host, as: role)))
  }

  private func user(of host: InventoryHost, as role: Login) -> String {
    switch role {
    case .agent: host.agentUser
    case .administrator: host.user ?? "root"
    }
  }

  private func identity(for host: InventoryHost?, as role: Login) -> String? {
    switch role {
    case .agent: login.identity
    case .administrator: host?.identityFile ?? login.adminIdentity
    }
  }

  /// The controller's own key is a file; people have theirs in an ssh-agent.
  private func agentSocket(as role: Login) -> String? {
    guard case .administrator = role, let socket = getenv("SSH_AUTH_SOCK") else { return nil }
    return String(cString: socket)
  }

  /// The last hop is the one next to the host. A hop logs in with the same key as the host behind it: a bastion that is
  /// enrolled itself lets the agent's login forward to nothing, so bastions need an ordinary login (docs/transport.md).
  private func jump(through hops: ArraySlice<JumpSpec>, as role: Login, behind user: String) -> HostEndpoint.Jump {
    guard let hop = hops.last else { return .direct }
    let known = hop.inventoryHost.flatMap { inventory.host(named: $0.description) }
    return .via(
      HostEndpoint(
        name: known?.id.description ?? hop.host, addresses: known?.addresses ?? [hop.host],
        port: hop.port ?? known?.port ?? 22, user: hop.user ?? known?.user ?? user,
        identityFile: known?.identityFile ?? identity(for: known, as: role), agentSocket: agentSocket(as: role),
        jump: jump(through: hops.dropLast(), as: role, behind: user)))
  }
}
