package import Core

/// Where a host's programs wait for others: what a lockdown would make silent.
package struct ListeningReport: Hashable, Sendable {
  package struct Socket: Hashable, Sendable {
    package enum Transport: UInt8, Hashable, Sendable, CaseIterable {
      case tcp = 6
      case udp = 17
    }
    package let transport: Transport
    package let family: Family
    /// The host's own, 4 or 16 bytes; all zero for every address of the family.
    package let address: [UInt8]
    package let port: UInt16

    /// Nil where the address has neither family's length, and for port 0.
    package init?(_ transport: Transport, _ address: some Collection<UInt8>, port: UInt16) {
      guard address.count == 4 || address.count == 16, port > 0 else { return nil }
      self.transport = transport
      family = address.count == 4 ? .ipv4 : .ipv6
      self.address = Array(address)
      self.port = port
    }

    package var isForAnyAddress: Bool { address.allSatisfy { $0 == 0 } }
  }

  /// In order, each once: the order they are written and left out in.
  package let sockets: [Socket]
  /// How many more there are.
  package let omitted: Int

  /// - Parameter sockets: in any order, and repeated as programs share them.
  package init(_ sockets: some Sequence<Socket>, omitted: Int = 0) {
    let all = Set(sockets).sorted()
    self.sockets = Array(all.prefix(WireLimit.listening))
    self.omitted = all.count - self.sockets.count + omitted
  }
}

/// TCP before UDP: of a host with too many, short-lived askers are left out first.
extension ListeningReport.Socket: Comparable {
  package static func < (a: Self, b: Self) -> Bool {
    let (left, right) = (a.key, b.key)
    return left == right ? a.address.lexicographicallyPrecedes(b.address) : left < right
  }

  private var key: (UInt8, UInt16, Int) { (transport.rawValue, port, address.count) }
}
