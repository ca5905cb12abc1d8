/// Where a rule of the nat table sends a packet that came for the host.
enum Redirection {
  /// To the host, at the port for which it came.
  case here
  /// To another port, or another host.
  case elsewhere
  case unknown

  /// - Parameters:
  ///   - options: of the target.
  ///   - port: for which the packet came.
  init(_ target: String, _ options: [String], port: UInt16?) {
    let value = options.count > 1 ? options[1] : ""
    switch (target, options.first) {
    case ("REDIRECT", nil): self = .here
    case ("REDIRECT", "--to-ports"): self = Self.at(value, port) ?? .unknown
    case ("DNAT", "--to-destination"):
      if value.hasPrefix(":"), let same = Self.at(String(value.dropFirst()), port) {
        self = same
      } else {
        // Of the host itself, if its kernel lets packets from outside come there.
        let isLoopback = ["127.", "::1", "[::1]"].contains { value.hasPrefix($0) }
        self = value.isEmpty || isLoopback ? .unknown : .elsewhere
      }
    case ("NETMAP", "--to"): self = .elsewhere
    default: self = .unknown
    }
  }

  /// Nil for what is neither a port nor a range of them.
  private static func at(_ ports: String, _ port: UInt16?) -> Redirection? {
    let ends = ports.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
      .map { PortSet.number($0, atMost: Int(UInt16.max)) }
    guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1] else { return nil }
    guard let port else { return .unknown }
    if Int(port) < first || Int(port) > last { return .elsewhere }
    return first == last ? .here : .unknown
  }
}
