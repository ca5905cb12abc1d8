internal import Core
internal import Ruleset

/// Everything that policies refer to by name.
struct PolicyMentions: Sendable {
  var addresses: [Located<AddressOperand>] = []
  var services: [Located<String>] = []
  var schedules: [Located<String>] = []
  /// Of addresses, ports and interfaces.
  var variables: Set<String> = []

  init() {}

  init(_ policy: PolicyFile) {
    for items in policy.sections.values {
      for item in items { add(item.match) }
    }
    for item in policy.containers?.items ?? [] { add(item.match) }
    for item in policy.translations {
      add(item.match)
      switch item.action {
      case .snat(let to), .forwardPort(let to): add(to)
      case .balance(let targets, _): targets.forEach { add($0) }
      case .masquerade, .redirect, .exempt, .raw: break
      }
    }
    for set in policy.sets.values { set.members.forEach { add($0) } }
  }

  init(_ profile: ProfileFile) {
    for match in profile.matches { add(match) }
    for set in profile.definitions.sets.values { set.members.forEach { add($0) } }
  }

  init(_ common: CommonFile) {
    for set in common.sets.values { set.members.forEach { add($0) } }
  }

  var setNames: Set<String> {
    Set(addresses.compactMap { if case .set(let name) = $0.value { name } else { nil } })
  }

  var dnsNames: Set<String> {
    Set(addresses.compactMap { if case .name(let name) = $0.value { name } else { nil } })
  }

  var namesControllers: Bool { addresses.contains { $0.value == .controllers } }
  var namesSSH: Bool { services.contains { $0.value == ServiceTable.ssh } }

  private mutating func add(_ match: TrafficMatch) {
    (match.from ?? []).forEach { add($0) }
    (match.to ?? []).forEach { add($0) }
    for operand in match.input + match.output {
      if case .variable(let name) = operand.value { variables.insert(name) }
    }
    for (_, ports) in match.ports {
      for operand in ports { if case .variable(let name) = operand.value { variables.insert(name) } }
    }
    services += match.services
    if let schedule = match.schedule { schedules.append(schedule) }
  }

  private mutating func add(_ operand: Located<AddressOperand>) {
    addresses.append(operand)
    if case .variable(let name) = operand.value { variables.insert(name) }
  }

  private mutating func add(_ endpoint: Located<Endpoint>) {
    if case .variable(let name) = endpoint.value.address { variables.insert(name) }
  }
}
