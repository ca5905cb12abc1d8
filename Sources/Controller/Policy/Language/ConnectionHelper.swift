internal import Core

/// A connection tracking helper of the kernel: it is registered by name, family and transport, and a rule attaches it
/// only to connections of those.
struct ConnectionHelper {
  let name: String
  let transports: [PortTransport]
  let families: [Family]

  // net/netfilter/nf_conntrack_*.c
  private static let known: [String: (transports: [PortTransport], families: [Family])] = [
    "amanda": ([.udp], Family.allCases), "ftp": ([.tcp], Family.allCases), "irc": ([.tcp], [.ipv4]),
    "netbios-ns": ([.udp], [.ipv4]), "pptp": ([.tcp], [.ipv4]), "Q.931": ([.tcp], Family.allCases),
    "RAS": ([.udp], Family.allCases), "sane": ([.tcp], Family.allCases), "sip": ([.tcp, .udp], Family.allCases),
    "snmp": ([.udp], [.ipv4]), "tftp": ([.udp], Family.allCases),
  ]

  static var names: [String] { known.keys.sorted() }

  /// Nil for one that a host may have from elsewhere.
  init?(_ name: String) {
    guard let known = Self.known[name] else { return nil }
    self.name = name
    transports = known.transports
    families = known.families
  }

  /// What it is for.
  var words: String {
    let only = transports.map { $0.rawValue.uppercased() }.joined(separator: " and ")
    return "\(name) is for \(only)" + (families == [.ipv4] ? " over IPv4" : "")
  }
}
