internal import Policy

/// The names that policies have for ports, looked up by the port.
enum ServiceNames {
  /// Those of one port or range alone; of several names the shortest.
  private static let names: [String: [ClosedRange<UInt16>: String]] = {
    var names: [String: [ClosedRange<UInt16>: String]] = [:]
    let sorted = ServiceTable.all.sorted { ($0.key.utf8.count, $0.key) < ($1.key.utf8.count, $1.key) }
    for (name, ports) in sorted {
      guard ports.count == 1, case .ports(let transport, let range) = ports[0] else { continue }
      let key = range.first...range.last
      if names[transport.rawValue]?[key] == nil { names[transport.rawValue, default: [:]][key] = name }
    }
    return names
  }()

  /// Nil unless each has a name.
  static func all(of transport: String, _ ports: [ClosedRange<UInt16>]) -> [String]? {
    let found = ports.compactMap { names[transport]?[$0] }
    return found.count == ports.count && !found.isEmpty ? found : nil
  }
}
