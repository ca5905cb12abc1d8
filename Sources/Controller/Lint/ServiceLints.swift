internal import Core
internal import Ruleset

/// Rules that open more or less than whoever wrote them meant.
struct ServiceLints {
  let subject: LintSubject
  private let reach: ReachLints

  /// Services that are asked for in the other family; a host that has more is not looked through to its end.
  private static let maximumServices = 500
  /// DHCP has other ports in IPv6.
  private static let familyPorts = PortSet([67...68, 546...547])

  init(_ subject: LintSubject) {
    self.subject = subject
    reach = ReachLints(subject)
  }

  func run() -> [LintFinding] {
    Family.allCases.flatMap { oneFamilyOnly($0) + sourcePorts($0) + logs($0) }
  }

  // MARK: One family only

  private struct Service: Hashable {
    let transport: ProtocolNumber
    let port: UInt16
    let interface: InterfacePattern?
  }

  private func oneFamilyOnly(_ family: Family) -> [LintFinding] {
    let other = family.other
    guard let filter = subject.rules[family][table: "filter"], filter[chain: "INPUT"]?.policy != nil,
      !(subject.facts.closesIPv6), !reach.isShut(other)
    else { return [] }
    var known: [Service: Bool] = [:]
    var findings: [LintFinding] = []
    for rule in rulesForEverybody(in: filter) {
      guard let transport = rule.transport?.positive, let ports = rule.destinationPorts,
        let place = subject.place(family, rule)
      else { continue }
      let closed = ports.ranges.filter { range in
        guard !Self.familyPorts.contains(PortSet([range])) else { return false }
        return Set([range.lowerBound, range.upperBound]).allSatisfy { port in
          let service = Service(transport: transport, port: port, interface: rule.input?.positive)
          if let isClosed = known[service] { return isClosed }
          guard known.count < Self.maximumServices else { return false }
          let isClosed = self.isClosed(service, other) && !self.isClosed(service, family)
          known[service] = isClosed
          return isClosed
        }
      }
      guard !closed.isEmpty else { continue }
      let name = transport == .tcp ? "tcp" : "udp"
      let words = PortSet(closed).words
      findings.append(
        LintFinding(
          .oneFamilyOnly, at: place,
          "\(name) \(words) is open to everybody over \(family.words), and closed over \(other.words)",
          hint: "open it over \(other.words) too, or say from which addresses", subject: "\(family) \(name) \(words)"))
    }
    return findings
  }

  /// Accepts in INPUT and the chains it calls without conditions, by port and nothing else but an interface.
  private func rulesForEverybody(in filter: TableView) -> [RuleView] {
    var rules: [RuleView] = []
    var pending = ["INPUT"]
    var seen: Set<String> = ["INPUT"]
    while let name = pending.popLast(), let chain = filter[chain: name] {
      for rule in chain.rules where rule.isClear {
        if case .jump(let called) = rule.target, rule.isUnconditional, seen.insert(called).inserted {
          if filter[chain: called] != nil { pending.append(called) }
        }
        guard rule.target == .jump("ACCEPT"), rule.source == nil, rule.destination == nil, rule.sourcePorts == nil,
          [.tcp, .udp].contains(rule.transport?.positive), rule.destinationPorts?.isEverything == false,
          rule.input?.isNegated != true, rule.input?.pattern != InterfacePattern("lo"), rule.tcpFlags == nil,
          rule.states?.contains(.new) ?? true, rule.opaque.allSatisfy({ OpaqueMatch.rationing.contains($0.module) })
        else { continue }
        rules.append(rule)
      }
    }
    return rules
  }

  private func isClosed(_ service: Service, _ family: Family) -> Bool {
    var probe = PacketProbe(family, .input, service.transport, state: .new, from: .stranger, to: .own)
    probe.sourcePort = ReachLints.clientPort
    probe.destinationPort = service.port
    if let interface = service.interface { probe.input = .named(interface.name + (interface.isPrefix ? "0" : "")) }
    return reach.walk(probe).verdict == .dropped
  }

  // MARK: Source ports

  private func sourcePorts(_ family: Family) -> [LintFinding] {
    guard let filter = subject.rules[family][table: "filter"] else { return [] }
    return ["INPUT", "FORWARD"].flatMap { name in
      (filter[chain: name]?.rules ?? []).compactMap { (rule: RuleView) -> LintFinding? in
        guard rule.isClear, rule.target == .jump("ACCEPT"), rule.transport?.isNegated == false,
          let ports = rule.sourcePorts, !ports.isEverything, rule.destinationPorts?.isEverything ?? true,
          rule.source == nil, rule.destination == nil,
          rule.opaque.allSatisfy({ OpaqueMatch.rationing.contains($0.module) }),
          rule.states?.contains(.new) ?? true, rule.tcpFlags == nil, name == "INPUT" || rule.input == nil,
          rule.input?.positive != InterfacePattern("lo"), let place = subject.place(family, rule)
        else { return nil }
        return LintFinding(
          .sourcePortAccept, at: place,
          "\(name) accepts everything that comes from port \(ports.words), and the sender chooses its port",
          hint: "accept `established` instead: answers belong to a connection", subject: "\(name) \(rule.shape)")
      }
    }
  }

  // MARK: Logs

  private func logs(_ family: Family) -> [LintFinding] {
    subject.rules[family].tables.flatMap { table in
      let unlimited = unlimitedChains(of: table)
      return table.chains.filter { unlimited.contains($0.name) }.flatMap { chain in
        chain.rules.compactMap { (rule: RuleView) -> LintFinding? in
          guard rule.isClear, rule.target == .jump("LOG"), !rule.isRationed, let place = subject.place(family, rule)
          else { return nil }
          return LintFinding(
            .logWithoutLimit, at: place, "this rule logs every packet it matches",
            hint: "give it a limit: `limit: 5/minute`",
            subject: "\(chain.name) \(rule.shape)")
        }
      }
    }
  }

  /// Chains that packets come to at any rate: the built-in ones, and whatever these call without rationing. A chain that
  /// lets most packets return before its log rations too.
  private func unlimitedChains(of table: TableView) -> Set<String> {
    var found = Set(table.chains.filter { $0.policy != nil }.map(\.name))
    var pending = Array(found)
    while let name = pending.popLast(), let chain = table[chain: name] {
      for rule in chain.rules where !rule.isRationed {
        switch rule.target {
        case .jump(let called), .goTo(let called):
          guard let view = table[chain: called], !view.rules.contains(where: { $0.isRationed }) else { continue }
          if found.insert(called).inserted { pending.append(called) }
        case .none: break
        }
      }
    }
    return found
  }
}
