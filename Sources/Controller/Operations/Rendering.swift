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

  /// A lockdown profile.
  package struct Profile: Sendable {
    package let name: String
    package let rank: UInt16
    package let lines: PerFamily<[Line]>
  }

  /// Nil for policies without a host.
  package let host: HostID?
  package let policies: [String]
  package let lines: PerFamily<[Line]>
  package let compiled: CompiledPolicy
  /// What the host would be locked by.
  package let profiles: [Profile]
  /// No management source is known yet: addresses of documentation stand for it.
  package let usesPlaceholders: Bool

  init(_ compiled: CompiledPolicy, _ profiles: [CompiledProfile] = [], host: HostID?, usesPlaceholders: Bool) {
    self.compiled = compiled
    self.host = host
    self.usesPlaceholders = usesPlaceholders
    policies = compiled.policies
    lines = Self.lines(compiled.rules, compiled.traces)
    self.profiles = profiles.map {
      Profile(name: $0.name.description, rank: $0.rank.value, lines: Self.lines($0.rules, $0.traces))
    }
  }

  private static func lines(_ rules: PerFamily<[UInt8]>, _ traces: PerFamily<RuleTrace>) -> PerFamily<[Line]> {
    rules.map { family, text in
      text.split(separator: UInt8(ascii: "\n")).enumerated().map { index, line in
        Line(text: String(decoding: line, as: UTF8.self), place: traces[family].source(line: index + 1))
      }
    }
  }

  /// As `apply` would compile it now.
  package static func of(_ host: InventoryHost, in workspace: Workspace, store: FleetStore?) async throws -> Rendering {
    let inventory = try workspace.inventory()
    let policies = try workspace.policies()
    let compiler = try PolicyCompiler(policies, inventory: inventory)
    let enrolment = try await store?.enrolments()[host.id]
    let known = (enrolment?.controllers ?? []) + workspace.configuration.controllers
    let isKnown = !known.isEmpty || !host.controllers.isEmpty
    let controllers = isKnown ? known : PolicySet.placeholderControllers
    let reported = try await store?.reportedFacts()[host.id] ?? .none
    return Rendering(
      try compiler.compile(for: host, controllers: controllers, reported: reported),
      try LockdownCompiler(policies, inventory: inventory).compile(
        for: host, controllers: controllers, reported: reported),
      host: host.id, usesPlaceholders: !isKnown)
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
