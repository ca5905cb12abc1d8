package import Core

/// What nf_tables holds in this network namespace, whoever made it. It is read from the kernel itself, so that it shows
/// what the save programs leave out (tables that are not iptables') and what they misprint (a native rule that looks up a
/// set is printed as one that matches everything).
package struct NftablesState: Hashable, Sendable {
  /// Which changes it contains; the kernel counts them.
  package var generation: UInt32
  /// By family and name.
  package var tables: [NftablesTable]
}

package struct NftablesTable: Hashable, Sendable {
  package var family: NftablesFamily
  /// As the kernel has it: not safe to print.
  package var name: String
  /// Switched off: all its chains are there, iptables-save prints them, and no packet passes through them.
  package var isDormant: Bool
  /// By name.
  package var chains: [NftablesChain]
  /// Of sets, maps, named objects and flow tables. Members of sets that have a name are left out: programs such as
  /// fail2ban change them all the time.
  package var objects: Digest

  /// Chains, rules and objects, but neither handles nor counters: what `nft -s list table` would show.
  package var digest: Digest {
    var all = ByteWriter()
    all.bool(isDormant)
    all.raw(objects.bytes)
    for chain in chains {
      all.text(chain.name)
      all.raw(chain.digest.bytes)
    }
    return Digest(of: all.bytes)
  }

  /// Whether packets pass through it at all.
  package var isHooked: Bool { !isDormant && chains.contains { $0.hook != nil } }
}

package struct NftablesChain: Hashable, Sendable {
  package struct Hook: Hashable, Sendable {
    /// NF_INET_PRE_ROUTING 0, LOCAL_IN 1, FORWARD 2, LOCAL_OUT 3, POST_ROUTING 4; 0 and 1 mean ingress and egress in the
    /// netdev family.
    package var number: UInt32
    /// Lower ones see a packet earlier; iptables' filter table has 0.
    package var priority: Int32
    package var dropsByDefault: Bool
    /// "filter", "nat" or "route"
    package var type: String
  }

  package var name: String
  /// Nil for a chain that only others jump to.
  package var hook: Hook?
  package var rules: Int
  /// Some rule can end in a drop or a rejection here.
  package var drops: Bool
  /// Of its hook and its rules in their order.
  package var digest: Digest
}

/// Which packets a table sees (nf_tables' own numbers).
package enum NftablesFamily: UInt8, Hashable, Comparable, Sendable {
  case inet = 1
  case ipv4 = 2
  case arp = 3
  case netdev = 5
  case bridge = 7
  case ipv6 = 10

  /// As nft(8) writes it.
  package var word: String {
    switch self {
    case .inet: "inet"
    case .ipv4: "ip"
    case .arp: "arp"
    case .netdev: "netdev"
    case .bridge: "bridge"
    case .ipv6: "ip6"
    }
  }

  package static func < (a: NftablesFamily, b: NftablesFamily) -> Bool { a.rawValue < b.rawValue }
}
