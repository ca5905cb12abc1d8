/// Flow patterns, to be asked about a hundred thousand flows: those that name one address, or one port, are looked at
/// only for flows that have it.
package struct KeptFlows: Sendable {
  private enum End: Hashable {
    case address(AddressPrefix)
    case port(UInt16)
  }

  private var filed: [End: [FlowPattern]] = [:]
  private var others: [FlowPattern] = []
  private let own: Set<AddressPrefix>

  /// - Parameter own: the host's addresses.
  package init(_ patterns: [FlowPattern], on own: Set<AddressPrefix>) {
    self.own = own
    for pattern in patterns {
      let address = [pattern.source, pattern.destination].compactMap { $0 }.first(where: \.isOneAddress)
      let port = Self.only(pattern.destinationPorts) ?? Self.only(pattern.sourcePorts)
      if let end = address.map(End.address) ?? port.map(End.port) {
        filed[end, default: []].append(pattern)
      } else {
        others.append(pattern)
      }
    }
  }

  package func spare(_ tuple: FlowTuple) -> Bool {
    isSpared(tuple, by: .address(tuple.source)) || isSpared(tuple, by: .address(tuple.destination))
      || isSpared(tuple, by: .port(tuple.destinationPort)) || isSpared(tuple, by: .port(tuple.sourcePort))
      || others.contains { $0.spares(tuple, on: own) }
  }

  private func isSpared(_ tuple: FlowTuple, by end: End) -> Bool {
    filed[end]?.contains { $0.spares(tuple, on: own) } ?? false
  }

  private static func only(_ ports: [ClosedRange<UInt16>]?) -> UInt16? {
    guard let ports, ports.count == 1, ports[0].count == 1 else { return nil }
    return ports[0].lowerBound
  }
}
