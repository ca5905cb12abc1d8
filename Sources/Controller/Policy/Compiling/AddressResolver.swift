internal import Core
internal import Inventory
internal import Ruleset

/// Turns operands into addresses for one host.
struct AddressResolver {
  /// Longer lists become ipsets: one rule, and one lookup in the kernel, for all of them.
  static let inlineLimit = 64
  /// Of sets within each other.
  private static let depthLimit = 16

  /// One family's addresses of a `from` or `to`.
  struct Sides: Sendable {
    /// One rule each.
    var inline: [AddressPrefix] = []
    var sets: [AddressSet] = []

    var isEmpty: Bool { inline.isEmpty && sets.isEmpty }
  }

  let definitions: Definitions
  let facts: HostFacts
  let fleet: FleetAddresses
  let pins: NamePins
  var problems = Problems()
  private(set) var usedSets: Set<AddressSet> = []
  /// Sets that were looked up: sets of sets would else take time without end.
  private var known: [String: [AddressPrefix]] = [:]
  private var open: [String] = []
  /// While members of a set of common.yaml are looked up.
  private var isInCommon = false

  init(definitions: Definitions, facts: HostFacts, fleet: FleetAddresses, pins: NamePins) {
    self.definitions = definitions
    self.facts = facts
    self.fleet = fleet
    self.pins = pins
  }

  /// Empty in both families only after a problem was added.
  mutating func resolve(_ operands: [Located<AddressOperand>]) -> PerFamily<Sides> {
    var sides = PerFamily(ipv4: Sides(), ipv6: Sides())
    // Addresses that a list spells out are one list, however many.
    let spelled = operands.filter { if case .prefix = $0.value { true } else { false } }
    let named = operands.filter { if case .prefix = $0.value { false } else { true } }
    for group in [spelled] + named.map({ [$0] }) where !group.isEmpty {
      let prefixes = AddressPrefix.merged(group.flatMap { self.prefixes($0) })
      for family in Family.allCases {
        let mine = prefixes.filter { $0.family == family }
        // A set cannot hold everything, and there is nothing to look up.
        if mine.count > Self.inlineLimit, !facts.lacksSets {
          do throws(StrictTextProblem) {
            let set = try AddressSet(family: family, prefixes: mine)
            usedSets.insert(set)
            sides[family].sets.append(set)
          } catch {
            problems.add(group[0].location, "these addresses cannot be a set: \(error.reason)")
          }
        } else {
          sides[family].inline += mine
        }
      }
    }
    return sides.map { _, side in
      Sides(inline: AddressPrefix.merged(side.inline), sets: Array(Set(side.sets)).sorted { $0.name < $1.name })
    }
  }

  private mutating func prefixes(_ operand: Located<AddressOperand>) -> [AddressPrefix] {
    let place = operand.location
    switch operand.value {
    case .prefix(let prefix): return [prefix]
    case .set(let name): return members(ofSet: name, place)
    case .controllers:
      if facts.controllers.isEmpty { problems.add(Self.noControllers(facts, at: place)) }
      return facts.controllers.map { AddressPrefix($0) }
    case .group(let name):
      guard let known = fleet.group(name) else {
        problems.add(
          place, "group \(quoted(name)) is not in the inventory", hint: nearestHint(name, among: fleet.groupNames))
        return []
      }
      return complete(known, "group \(quoted(name))", place)
    case .host(let name):
      guard let known = fleet.host(name) else {
        problems.add(
          place, "host \(quoted(name)) is not in the inventory", hint: nearestHint(name, among: fleet.hostNames))
        return []
      }
      return complete(known, "host \(quoted(name))", place)
    case .name(let name):
      if let pinned = pins.addresses(of: name) { return pinned }
      problems.add(
        place, "the addresses of \(quoted(name)) are not pinned",
        hint: "'portcullis resolve' looks names up and writes their addresses to \(NamePins.fileName)")
      return []
    case .variable(let name): return variable(name, place)
    }
  }

  private mutating func members(ofSet name: String, _ place: SourceLocation) -> [AddressPrefix] {
    // What common.yaml says means the same in every policy: its sets are made of its own.
    guard let set = isInCommon ? definitions.common.sets[name] : definitions.set(name) else {
      problems.add(
        place, "there is no set \(quoted(name))",
        hint: hint(forUnknown: name))
      return []
    }
    let scope = isInCommon ? "common \(name)" : name
    if let members = known[scope] { return members }
    guard !open.contains(name) else {
      problems.add(
        place, "set \(quoted(name)) contains itself",
        hint: open.count > 1 ? "through \(open.joined(separator: ", "))" : "name its addresses")
      return []
    }
    guard open.count < Self.depthLimit else {
      problems.add(place, "sets are nested more than \(Self.depthLimit) deep")
      return []
    }
    open.append(name)
    let wasInCommon = isInCommon
    isInCommon = isInCommon || definitions.own.sets[name] == nil
    let members = AddressPrefix.merged(set.members.flatMap { prefixes($0) })
    isInCommon = wasInCommon
    open.removeLast()
    known[scope] = members
    return members
  }

  /// What people write where a set is looked for.
  private func hint(forUnknown name: String) -> String {
    if ["any", "all", "everybody", "anywhere"].contains(name) { return "leave the key out to mean everybody" }
    if fleet.group(name) != nil { return "a group of the inventory is written group:\(name)" }
    if fleet.host(name) != nil { return "a host of the inventory is written host:\(name)" }
    return nearestHint(name, among: definitions.setNames) ?? "define it below sets, here or in common.yaml"
  }

  private mutating func complete(_ known: FleetAddresses.Known, _ what: String, _ place: SourceLocation)
    -> [AddressPrefix]
  {
    if !known.missing.isEmpty {
      problems.add(
        place, "\(what): no numeric address is known of \(Folding.fold(known.missing))",
        hint: "give ansible_host or portcullis_addresses in the inventory, or pin their names: portcullis resolve")
    } else if known.prefixes.isEmpty {
      problems.add(
        place, "\(what) has no host, so nothing would ever match", hint: "add hosts to it, or remove it here")
    }
    return known.prefixes
  }

  private mutating func variable(_ name: String, _ place: SourceLocation) -> [AddressPrefix] {
    guard let texts = texts(ofVariable: name, place) else { return [] }
    var prefixes: [AddressPrefix] = []
    for text in texts {
      do throws(Reason) {
        let operand = try AddressText.operand(text)
        guard case .prefix(let prefix) = operand else {
          problems.add(Self.wrongType(name, text, "an address", facts.host, place))
          continue
        }
        prefixes.append(prefix)
      } catch {
        problems.add(Self.wrongType(name, text, "an address", facts.host, place))
      }
    }
    return prefixes
  }

  /// Nil after adding a problem.
  mutating func texts(ofVariable name: String, _ place: SourceLocation) -> [String]? {
    guard !facts.isStandalone else {
      problems.add(
        place, "variable \(quoted(name)) is one of hosts, and no inventory was read",
        hint: "see the rules of one host: portcullis render HOST")
      return nil
    }
    guard let texts = facts.variable(name) else {
      problems.add(
        place,
        "host \(quoted(facts.host.id.description)) has no variable \(quoted(name)) that is a text or a list of texts",
        hint: nearestHint(name, among: facts.host.variables.names)
          ?? "give it in the inventory, for the host or one of its groups")
      return nil
    }
    guard !texts.isEmpty else {
      problems.add(
        place, "variable \(quoted(name)) of host \(quoted(facts.host.id.description)) is an empty list",
        hint: "a rule for nobody would be a rule for everybody: put something into the list, or leave the rule out")
      return nil
    }
    return texts
  }

  static func wrongType(
    _ name: String, _ text: String, _ wanted: String, _ host: InventoryHost, _ place: SourceLocation
  ) -> Diagnostic {
    Diagnostic(
      place,
      "variable \(quoted(name)) of host \(quoted(host.id.description)) is \(quoted(text)), which is not \(wanted)")
  }

  static func noControllers(_ facts: HostFacts, at place: SourceLocation) -> Diagnostic {
    guard !facts.isStandalone else {
      return Diagnostic(
        place, "no address is given that stands for the controllers", hint: "give it: --controller ADDRESS")
    }
    let host = facts.host
    return Diagnostic(
      place,
      "host \(quoted(host.id.description)) has no management source for this rule, so no controller could reach it",
      hint: "enroll it (portcullis enroll \(host.id)), or give it portcullis_controllers in the inventory")
  }
}
