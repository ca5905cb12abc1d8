internal import Core
package import Inventory
package import Policy
internal import Ruleset

/// DNS names in policies and inventory, what they are pinned to, and what they say now.
package struct NameResolution: Sendable {
  package struct Name: Hashable, Sendable {
    package let name: String
    /// Empty when it was never pinned.
    package let pinned: [String]
    /// Empty when nobody answered.
    package let found: [String]
    package let problem: String?

    /// Nobody answering is no move: the addresses that are pinned are still the best known.
    package var hasMoved: Bool { problem == nil && pinned != found }
  }

  package typealias Lookup = @Sendable (String) async throws -> [String]

  package let names: [Name]

  /// Asks for all names at once, each with a time limit of its own.
  package static func ask(
    _ policies: PolicySet, _ inventory: HostInventory, lookup: @escaping Lookup = NameResolution.ask
  ) async -> NameResolution {
    let wanted = policies.namesToPin(in: inventory)
    let found = await withTaskGroup(of: Name.self) { group in
      for name in wanted {
        group.addTask {
          let pinned = policies.pins.byName[name].map { $0.map(\.description) } ?? []
          do {
            let answers = try await lookup(name)
            let prefixes = answers.compactMap(NumericAddress.init).map { AddressPrefix($0) }
            return Name(
              name: name, pinned: pinned, found: AddressPrefix.merged(prefixes).map(\.description), problem: nil)
          } catch {
            return Name(name: name, pinned: pinned, found: [], problem: ErrorChain(error).message)
          }
        }
      }
      var found: [Name] = []
      for await name in group { found.append(name) }
      return found
    }
    return NameResolution(names: found.sorted { $0.name < $1.name })
  }

  /// The pins with every answer in place; names that nobody answered for keep theirs, names nobody uses go.
  package func newPins() -> NamePins {
    var pins = NamePins()
    for name in names {
      let addresses = name.problem == nil && !name.found.isEmpty ? name.found : name.pinned
      let prefixes = addresses.compactMap(NumericAddress.init).map { AddressPrefix($0) }
      if !prefixes.isEmpty { pins.pin(name.name, to: prefixes) }
    }
    return pins
  }

  /// As every program of this machine would resolve it.
  package static func ask(_ name: String) async throws -> [String] {
    let operation = "look up \(name)"
    let finished = try await Program("/usr/bin/getent").run(["-A", "ahosts", name], within: .seconds(5))
    guard let finished else { throw Failure(operation, because: Reason("no answer within 5 seconds")) }
    // getent(1): 2 is a name that could not be found.
    guard finished.succeeded else { throw Failure(operation, because: Reason("there is no such name")) }
    let lines = String(decoding: finished.standardOutput, as: UTF8.self).split(separator: "\n")
    return lines.compactMap { $0.split(separator: " ").first.map(String.init) }
  }
}
