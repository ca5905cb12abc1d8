/// The tables the kernel has and the chains that exist in each of them: the same in both families.
package enum BuiltInChains {
  package static let tableNames = ["filter", "mangle", "nat", "raw", "security"]

  /// In hook order, or nil for a table that is none of the kernel's five.
  package static func chains(of table: String) -> [String]? {
    switch table {
    case "filter", "security": ["INPUT", "FORWARD", "OUTPUT"]
    case "nat": ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]
    case "mangle": ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]
    case "raw": ["PREROUTING", "OUTPUT"]
    default: nil
    }
  }

  /// In some table.
  static let allNames: Set<String> = ["INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING"]

  /// The nat table only ever sees the first packet of a flow; the kernel refuses to let it drop.
  static func policies(of table: String) -> [String] { table == "nat" ? ["ACCEPT"] : ["ACCEPT", "DROP"] }
}

/// What may follow `-j` without being a chain: the verdicts, and the extensions of iptables and xtables-addons.
enum KnownTargets {
  static let verdicts: Set<String> = ["ACCEPT", "DROP", "RETURN", "QUEUE"]

  static let extensions: Set<String> = [
    "AUDIT", "CHECKSUM", "CLASSIFY", "CLUSTERIP", "CONNMARK", "CONNSECMARK", "CT", "DNAT", "DNPT", "DSCP", "ECN", "HL",
    "HMARK", "IDLETIMER", "LED", "LOG", "MARK", "MASQUERADE", "NETMAP", "NFLOG", "NFQUEUE", "NOTRACK", "RATEEST",
    "REDIRECT", "REJECT", "SECMARK", "SET", "SNAT", "SNPT", "SYNPROXY", "TCPMSS", "TCPOPTSTRIP", "TEE", "TOS",
    "TPROXY", "TRACE", "TTL", "ULOG",
    // xtables-addons and others that are built out of tree.
    "ACCOUNT", "CHAOS", "DELUDE", "DHCPMAC", "DNETMAP", "ECHO", "FLOWOFFLOAD", "FULLCONENAT", "IMQ", "IPMARK",
    "LOGMARK", "NDPI", "NETFLOW", "PROTO", "RTPENGINE", "SYSRQ", "TARPIT",
  ]

  /// Upper-case letters, digits and `_`, beginning with a letter: how extensions are named, so that one we have never
  /// heard of may still be loaded. Whether it does is found out in rehearsal.
  static func isPlausible(_ name: some Collection<UInt8>) -> Bool {
    guard let first = name.first, (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first) else { return false }
    return name.allSatisfy {
      switch $0 {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): true
      default: false
      }
    }
  }
}
