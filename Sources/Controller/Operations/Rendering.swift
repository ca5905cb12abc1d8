package import Core
package import Inventory
package import Policy
package import Store

/// What the policies make of one host, each line beside the place it comes from.
package struct Rendering: Sendable {
  package struct Line: Sendable {
    package let text: String
    package let place: SourceLocation?
  }

  /// Nil for policies without a host.
  package let host: HostID?
  package let policies: [String]
  package let lines: PerFamily<[Line]>
  package let compiled: CompiledPolicy
  /// No management source is known yet: addresses of documentation stand for it.
  package let usesPlaceholders: Bool

  init(_ compiled: CompiledPolicy, host: HostID?, usesPlaceholders: Bool) {
    self.compiled = compiled
    self.host = host
    self.usesPlaceholders = usesPlaceholders
    policies = compiled.policies
    lines = compiled.rules.map { family, text in
      text.split(separator: UInt8(ascii: "\n")).enumerated().map { index, line in
        Line(text: String(decoding: line, as: UTF8.self), place: compiled.source(of: family, line: index + 1))
      }
    }
  }

  /// As `apply` would compile it now.
  package static func of(_ host: InventoryHost, in workspace: Workspace, store: FleetStore?) async throws -> Rendering {
    let inventory = try workspace.inventory()
    let compiler = try PolicyCompiler(workspace.policies(), inventory: inventory)
    let enrolment = try await store?.enrolments()[host.id]
    let known = (enrolment?.controllers ?? []) + workspace.configuration.controllers
    let isKnown = !known.isEmpty || !host.controllers.isEmpty
    let compiled = try compiler.compile(
      for: host, controllers: isKnown ? known : PolicySet.placeholderControllers,
      reported: try await store?.reportedFacts()[host.id] ?? .none)
    return Rendering(compiled, host: host.id, usesPlaceholders: !isKnown)
  }

  /// Of policies alone, for a host that is in no inventory.
  package static func standalone(
    policies directory: String, named names: [String], controllers: [String]
  ) throws -> Rendering {
    let set = try PolicySet.load(directory: directory)
    let compiled = try PolicyCompiler.standalone(set, named: names, controllers: controllers)
    return Rendering(compiled, host: nil, usesPlaceholders: false)
  }
}
