internal import Core
internal import Inventory
internal import Ruleset

/// Turns matches of one policy into rule text for one host.
struct MatchCompiler {
  /// Rules that one item may become in one family: lists times lists grow fast.
  static let expansionLimit = 4096
  /// Ports in one multiport match; a range counts as two (XT_MULTI_PORTS).
  private static let multiportLimit = 15
  /// Rules that one policy may become in both families: about as many as a bundle holds.
  static let policyLimit = 200_000

  /// A protocol with perhaps ports.
  private struct Transport {
    var name = ""
    var module: String?
  }

  /// Of the policy.
  let name: String
  let definitions: Definitions
  var resolver: AddressResolver
  var rulesLeft = Self.policyLimit

  init(_ policy: PolicyFile, common: CommonFile, facts: HostFacts, fleet: FleetAddresses, pins: NamePins) {
    self.init(named: policy.name, Definitions(policy, common: common), facts: facts, fleet: fleet, pins: pins)
  }

  init(named name: String, _ definitions: Definitions, facts: HostFacts, fleet: FleetAddresses, pins: NamePins) {
    self.name = name
    self.definitions = definitions
    resolver = AddressResolver(definitions: definitions, facts: facts, fleet: fleet, pins: pins)
  }

  private mutating func problem(_ place: SourceLocation, _ message: String, hint: String? = nil) {
    resolver.problems.add(place, message, hint: hint)
  }

  /// Every way to write the match as one rule, by family. None in a family that its addresses leave out.
  mutating func texts(_ match: TrafficMatch, in hook: BuiltInHook) -> PerFamily<[MatchText]> {
    if let word = match.word {
      return PerFamily { family in WordTexts.texts(word, hook, family) }
    }
    let from = match.from.map { resolver.resolve($0) }
    let to = match.to.map { resolver.resolve($0) }
    let inputs = interfaces(match.input)
    let outputs = interfaces(match.output)
    var texts = PerFamily<[MatchText]>(ipv4: [], ipv6: [])
    for family in Family.allCases where match.family == nil || match.family == family {
      let sources = from.map { self.ends($0[family], "src") } ?? [.init()]
      let destinations = to.map { self.ends($0[family], "dst") } ?? [.init()]
      let transports = transports(match, family)
      let count = Self.product(sources.count, destinations.count, inputs.count, outputs.count, transports.count)
      guard count <= Self.expansionLimit else {
        problem(
          match.location,
          "the item would become \(count) \(family) rules, more than the \(Self.expansionLimit) allowed",
          hint: resolver.facts.lacksSets
            ? resolver.facts.isStandalone
              ? "sets are spelled out in rules that stand alone: name prefixes, or let the agent apply the policy"
              : "sets are spelled out here: name prefixes that hold their members"
            : "name prefixes, ranges of ports, or sets")
        continue
      }
      guard count <= rulesLeft else {
        problem(
          match.location, "the policy would become more than \(Self.policyLimit) rules",
          hint: "name prefixes, ranges of ports, or sets")
        continue
      }
      rulesLeft -= count
      for source in sources {
        for destination in destinations {
          for input in inputs {
            for output in outputs {
              for transport in transports {
                texts[family].append(
                  MatchText(
                    source: source.prefix, destination: destination.prefix, input: input, output: output,
                    transport: transport.name,
                    modules: [source.module, destination.module, transport.module].compactMap(\.self)))
              }
            }
          }
        }
      }
    }
    if texts.ipv4.isEmpty, texts.ipv6.isEmpty, resolver.problems.isEmpty {
      problem(
        match.location, "the item would become no rule: nothing of it is of the family it is for",
        hint: "from, to, proto and family leave nothing that could match")
    }
    return texts
  }

  /// Lists that are spelled out are as long as a file can be.
  private static func product(_ counts: Int...) -> Int {
    counts.reduce(1) { product, count in
      let (value, overflows) = product.multipliedReportingOverflow(by: count)
      return overflows ? .max : value
    }
  }

  /// What stands behind the core options, in both families alike: states, times, comment.
  mutating func suffix(_ match: TrafficMatch, before module: String? = nil, states: [TrafficMatch.State]? = nil)
    -> [String]
  {
    var modules: [String] = []
    let states = states ?? match.states
    if !states.isEmpty {
      // As iptables-save orders them.
      let order: [TrafficMatch.State] = [.invalid, .new, .related, .established, .untracked]
      let words = order.filter { states.contains($0) }.map { $0.rawValue.uppercased() }
      modules.append("-m conntrack --ctstate \(words.joined(separator: ","))")
    }
    if let time = time(match) { modules.append(time) }
    if let module { modules.append(module) }
    if let comment = match.comment { modules.append("-m comment --comment \(RuleWriting.quoted(comment))") }
    return modules
  }

  /// `-m time …`, from `when` and `until`.
  mutating func time(_ match: TrafficMatch) -> String? {
    // Without a last day the kernel's own end is printed, so it is written too.
    let day = match.until?.value.options ?? "--datestop 2038-01-19T03:14:07"
    guard let name = match.schedule else { return match.until.map { _ in "-m time \(day)" } }
    guard let schedule = definitions.schedule(name.value) else {
      problem(
        name.location, "there is no schedule \(quoted(name.value))",
        hint: nearestHint(name.value, among: definitions.scheduleNames) ?? "define it below schedule")
      return nil
    }
    return "-m time \(schedule.options(until: day))"
  }

  // MARK: Addresses and interfaces

  private struct End {
    var prefix = ""
    var module: String?
  }

  private func ends(_ side: AddressResolver.Sides, _ direction: String) -> [End] {
    // A prefix of no bits is every address of its family, which a rule says by saying nothing.
    side.inline.map { End(prefix: $0.isWhole ? "" : $0.ruleText) }
      + side.sets.map { End(module: "-m set --match-set \($0.name) \(direction)") }
  }

  private mutating func interfaces(_ operands: [Located<InterfaceOperand>]) -> [String] {
    var names: [String] = []
    for operand in operands {
      switch operand.value {
      case .name(let name): names.append(name)
      case .variable(let variable):
        for text in resolver.texts(ofVariable: variable, operand.location) ?? [] {
          if InterfaceName.isValid(text) {
            names.append(text)
          } else {
            resolver.problems.add(
              AddressResolver.wrongType(variable, text, "an interface", resolver.facts.host, operand.location))
          }
        }
      }
    }
    return operands.isEmpty ? [""] : names
  }

  // MARK: Ports and protocols

  /// Port ranges of a match by transport, in the order written, and the protocols that have none.
  private mutating func transports(_ match: TrafficMatch, _ family: Family) -> [Transport] {
    var ranges: [(transport: PortTransport, ranges: [PortRange])] = []
    var numbers = match.protocols
    func add(_ transport: PortTransport, _ range: PortRange) {
      if let index = ranges.firstIndex(where: { $0.transport == transport }) {
        if !ranges[index].ranges.contains(range) { ranges[index].ranges.append(range) }
      } else {
        ranges.append((transport, [range]))
      }
    }
    for (transport, operands) in match.ports {
      for operand in operands { portRanges(operand).forEach { add(transport, $0) } }
    }
    for service in match.services {
      for port in servicePorts(service) {
        switch port {
        case .ports(let transport, let range): add(transport, range)
        case .protocolNumber(let number): numbers.append(number)
        }
      }
    }
    let isAny =
      match.ports.isEmpty && match.services.isEmpty && match.protocols.isEmpty && match.icmp.ipv4.isEmpty
      && match.icmp.ipv6.isEmpty
    guard !isAny else { return [Transport()] }
    var seen: Set<UInt8> = []
    return ranges.flatMap { Self.modules($0.transport, $0.ranges) }
      + numbers.filter { seen.insert($0).inserted }.compactMap { Self.transport($0, family) }
      + match.icmp[family].map { Transport(name: ICMPType.transport(family), module: $0.module(family)) }
  }

  /// What may stand before any content in IPv6: routing, fragment and destination options.
  private static let headers: [UInt8: String] = [43: "-m rt", 44: "-m frag", 60: "-m dst"]

  /// Whoever puts such a header before a packet would get in with it, at every port.
  mutating func refuseHeaders(_ match: TrafficMatch, _ texts: PerFamily<[MatchText]>) {
    let found = Self.headers.filter { header in texts.ipv6.contains { $0.modules.contains(header.value) } }
    for number in found.keys.sorted() {
      problem(
        match.location,
        "protocol \(number) is a header that may stand before anything in IPv6: accepting it would open every port",
        hint: "accept what follows it; as IPv4's alone: family: ipv4; a raw rule says more (\(found[number]!) …)")
    }
  }

  /// ICMP is another protocol in each family; ICMPv6 is of IPv6 alone.
  private static func transport(_ number: UInt8, _ family: Family) -> Transport? {
    switch (number, family) {
    case (1, .ipv6): Transport(name: ProtocolNames.spelling(58))
    case (58, .ipv4): nil
    // Headers before the last one: `-p` is that of the packet's content, and would never match.
    case (51, .ipv6): Transport(module: "-m ah")
    case (_, .ipv6) where headers[number] != nil: Transport(module: headers[number])
    default: Transport(name: ProtocolNames.spelling(number))
    }
  }

  private mutating func portRanges(_ operand: Located<PortOperand>) -> [PortRange] {
    switch operand.value {
    case .range(let range): return [range]
    case .variable(let variable):
      return (resolver.texts(ofVariable: variable, operand.location) ?? []).compactMap { text in
        if let range = PortRange(text) { return range }
        resolver.problems.add(
          AddressResolver.wrongType(variable, text, "a port", resolver.facts.host, operand.location))
        return nil
      }
    }
  }

  private mutating func servicePorts(_ name: Located<String>) -> [ServicePort] {
    if name.value == ServiceTable.ssh {
      return resolver.facts.sshPorts.map { .ports(.tcp, $0) }
    }
    if let ports = definitions.service(name.value) { return ports }
    problem(
      name.location, "there is no service \(quoted(name.value))",
      hint: nearestHint(name.value, among: definitions.serviceNames)
        ?? "define it below services, here or in common.yaml")
    return []
  }

  private static func modules(_ transport: PortTransport, _ ranges: [PortRange]) -> [Transport] {
    let module = transport.rawValue
    let name = transport.spelling
    if ranges.count == 1 { return [Transport(name: name, module: "-m \(module) --dport \(ranges[0])")] }
    var chunks: [[PortRange]] = [[]]
    var slots = 0
    for range in ranges {
      let needed = range.isOne ? 1 : 2
      if slots + needed > multiportLimit {
        chunks.append([])
        slots = 0
      }
      chunks[chunks.count - 1].append(range)
      slots += needed
    }
    return chunks.map { chunk in
      chunk.count == 1
        ? Transport(name: name, module: "-m \(module) --dport \(chunk[0])")
        : Transport(
          name: name, module: "-m multiport --dports " + chunk.map(\.description).joined(separator: ","))
    }
  }
}
