package import Core

/// The ends of a flow, as its first packet had them.
package struct FlowTuple: Hashable, Sendable {
  package let source: AddressPrefix
  package let sourcePort: UInt16
  package let destination: AddressPrefix
  package let destinationPort: UInt16

  package init(source: AddressPrefix, sourcePort: UInt16, destination: AddressPrefix, destinationPort: UInt16) {
    self.source = source
    self.sourcePort = sourcePort
    self.destination = destination
    self.destinationPort = destinationPort
  }

  package var reversed: FlowTuple {
    FlowTuple(
      source: destination, sourcePort: destinationPort, destination: source, destinationPort: sourcePort)
  }

  var staysOnHost: Bool { source == destination || source.isLoopback && destination.isLoopback }
}

/// TCP flows that a lockdown lets live on. Its rules keep judging them: a pattern that is too wide opens nothing.
package struct FlowPattern: Hashable, Sendable {
  package let family: Family
  /// Of a packet in one of the two directions; nil for any.
  package var source: AddressPrefix?
  package var destination: AddressPrefix?
  package var sourcePorts: [ClosedRange<UInt16>]?
  package var destinationPorts: [ClosedRange<UInt16>]?
  /// Both ends are on the host.
  package var staysOnHost = false
  /// Where the packet passes, which says which of its ends is the host.
  private let place: Place

  private enum Place: Hashable, Sendable { case input, forward, output }

  private init(_ family: Family, chain: String) {
    self.family = family
    place = chain.hasSuffix("INPUT") ? .input : chain.hasSuffix("OUTPUT") ? .output : .forward
  }

  /// Whichever end began it: of an old flow the kernel may have seen an answer first.
  ///
  /// - Parameter own: the host's addresses. Without them a port that is kept on one side would spare what goes to that
  ///   port on the other.
  package func spares(_ tuple: FlowTuple, on own: Set<AddressPrefix>) -> Bool {
    matches(tuple, own) || matches(tuple.reversed, own)
  }

  private func matches(_ tuple: FlowTuple, _ own: Set<AddressPrefix>) -> Bool {
    guard tuple.source.family == family else { return false }
    if staysOnHost, !tuple.staysOnHost { return false }
    if let sourcePorts, !sourcePorts.contains(where: { $0.contains(tuple.sourcePort) }) { return false }
    if let destinationPorts, !destinationPorts.contains(where: { $0.contains(tuple.destinationPort) }) { return false }
    if let source, !source.contains(tuple.source) { return false }
    if let destination, !destination.contains(tuple.destination) { return false }
    return staysOnHost || passes(tuple, own)
  }

  private func passes(_ tuple: FlowTuple, _ own: Set<AddressPrefix>) -> Bool {
    func isOwn(_ address: AddressPrefix) -> Bool { address.isLoopback || own.contains(address) }
    switch place {
    case .input: return isOwn(tuple.destination)
    case .output: return isOwn(tuple.source)
    case .forward: return !isOwn(tuple.source) && !isOwn(tuple.destination)
    }
  }

  // MARK: Reading rules

  /// From the rules that return packets above the line against packets without SYN: management, loopback, and what the
  /// profile keeps. A condition that is not understood counts as met. Each once, in the rules' order.
  package static func patterns(_ layer: LockLayer) -> [FlowPattern] {
    var known = Set<FlowPattern>()
    return layer.chains.flatMap { chain in
      chain.rules.prefix(LockShape.nonSYNLine(of: chain) ?? 0).compactMap {
        pattern($0, in: chain.name, layer.family)
      }
    }.filter { known.insert($0).inserted }
  }

  /// Nil for a rule that returns no TCP.
  static func pattern(_ rule: Rule, in chain: String, _ family: Family) -> FlowPattern? {
    guard RuleShape(rule).target == .jump("RETURN"), let parts = rule.parts() else { return nil }
    var pattern = FlowPattern(family, chain: chain)
    for part in parts {
      if CoreOption(part.option) == .protocolName {
        guard mayBeTCP(part.value) != part.isNegated else { return nil }
      } else if !part.isNegated {
        pattern.require(part)
      }
    }
    return pattern
  }

  private mutating func require(_ part: RulePart) {
    switch CoreOption(part.option) {
    case .source: source = part.value.flatMap { AddressPrefix($0) }
    case .destination: destination = part.value.flatMap { AddressPrefix($0) }
    case .input, .output: staysOnHost = staysOnHost || part.isLoopback
    case .protocolName, .jump, .match, .fragment: break
    case nil:
      switch part.option {
      case "--sport", "--source-port", "--sports", "--source-ports": sourcePorts = Self.ports(part.value)
      case "--dport", "--destination-port", "--dports", "--destination-ports":
        destinationPorts = Self.ports(part.value)
      default: break
      }
    }
  }

  static let portOptions: Set<String> = [
    "--sport", "--source-port", "--sports", "--source-ports", "--dport", "--destination-port", "--dports",
    "--destination-ports", "--ports",
  ]

  /// Also what stands for any protocol: `ip` and `hopopt` are names of number 0.
  static func mayBeTCP(_ name: String?) -> Bool {
    ["tcp", "6", "all", "0", "ip", "hopopt"].contains(name?.lowercased() ?? "all")
  }

  /// `22`, `1024:`, `67:68,123`; nil where one is not a number.
  private static func ports(_ text: String?) -> [ClosedRange<UInt16>]? {
    var ranges: [ClosedRange<UInt16>] = []
    for item in (text ?? "").split(separator: ",", omittingEmptySubsequences: false) {
      let ends = item.split(separator: ":", omittingEmptySubsequences: false)
      guard let low = port(ends[0], else: ends.count == 2 ? 0 : nil), ends.count <= 2,
        let high = ends.count == 2 ? port(ends[1], else: .max) : low, low <= high
      else { return nil }
      ranges.append(low...high)
    }
    return ranges
  }

  private static func port(_ text: Substring, else missing: UInt16?) -> UInt16? {
    text.isEmpty ? missing : AddressText.number(text.utf8, atMost: 65_535).map { UInt16($0) }
  }
}
