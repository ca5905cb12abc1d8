/// Flow patterns, to be asked about a hundred thousand flows: those that name one port are looked at only for flows
/// that have it.
package struct KeptFlows: Sendable {
  private var byPort: [UInt16: [FlowPattern]] = [:]
  private var others: [FlowPattern] = []

  package init(_ patterns: [FlowPattern]) {
    for pattern in patterns {
      if let port = Self.only(pattern.destinationPorts) ?? Self.only(pattern.sourcePorts) {
        byPort[port, default: []].append(pattern)
      } else {
        others.append(pattern)
      }
    }
  }

  package func spare(_ tuple: FlowTuple) -> Bool {
    byPort[tuple.destinationPort]?.contains { $0.spares(tuple) } ?? false
      || byPort[tuple.sourcePort]?.contains { $0.spares(tuple) } ?? false || others.contains { $0.spares(tuple) }
  }

  private static func only(_ ports: [ClosedRange<UInt16>]?) -> UInt16? {
    guard let ports, ports.count == 1, ports[0].count == 1 else { return nil }
    return ports[0].lowerBound
  }
}
