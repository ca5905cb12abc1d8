import ArgumentParser
import Core
import Glibc
import Inventory
import Lab
import Operations

/// A verb about a fleet: it finds its configuration, and if that belongs to a lab, it runs in the namespace of the lab's
/// controller, because nothing of the lab's network exists outside.
protocol FleetVerb: Verb {
  var fleet: FleetOptions { get }
  /// Flags over the configured files.
  var overrides: Workspace.Overrides { get }
  /// False for a verb that talks to no host.
  var needsNetwork: Bool { get }
}

extension FleetVerb {
  var overrides: Workspace.Overrides { Workspace.Overrides(state: fleet.state) }
  var needsNetwork: Bool { true }

  func open() throws -> Workspace {
    let environment = getenv("PORTCULLIS_CONFIG").map { String(cString: $0) }
    var workspace = try Workspace.open(config: fleet.config, environment: environment, overrides: overrides)
    workspace.told = { Terminal.say($0) }
    if needsNetwork, let lab = workspace.configuration.lab { try LabNamespace.enter(lab) }
    return workspace
  }

  func readInventory(of workspace: Workspace) throws -> HostInventory {
    let inventory = try workspace.inventory()
    fleet.sayPassedOver(inventory.ignoredVariables)
    return inventory
  }
}
