package import Core

/// What nf_tables holds in this network namespace, whoever made it. It is read from the kernel itself, so that it shows
/// what the save programs leave out (tables that are not iptables', rules whose words they do not know) and what they
/// misprint (a native rule that looks up a set is printed as one that matches everything).
package struct NftablesState: Hashable, Sendable {
  /// Which changes it contains; the kernel counts them.
  package var generation: UInt32
  /// By family and name.
  package var tables: [NftablesTable]

  package init(generation: UInt32, tables: [NftablesTable]) {
    self.generation = generation
    self.tables = tables
  }
}

/// Whose sets are looked into where their members are part of what rules say: each costs a question of its own, and known
/// software may have thousands.
package enum SetScope: Hashable, Sendable {
  /// Those in tables that nobody known keeps.
  case ofNobodyKnown
  case ofAll
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
  /// So many of its sets were to be looked into that none was.
  package var unreadSets: Int
  /// So many of its sets have too many members to compare.
  package var largeSets: Int

  package init(
    family: NftablesFamily, name: String, isDormant: Bool = false, chains: [NftablesChain],
    objects: Digest = Digest(of: []), unreadSets: Int = 0, largeSets: Int = 0
  ) {
    self.family = family
    self.name = name
    self.isDormant = isDormant
    self.chains = chains
    self.objects = objects
    self.unreadSets = unreadSets
    self.largeSets = largeSets
  }

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

  package var drops: Bool { chains.contains(where: \.drops) }
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

    package init(number: UInt32, priority: Int32, dropsByDefault: Bool, type: String) {
      self.number = number
      self.priority = priority
      self.dropsByDefault = dropsByDefault
      self.type = type
    }
  }

  package var name: String
  /// Nil for a chain that only others jump to.
  package var hook: Hook?
  package var rules: Int
  /// Some rule can end in a drop or a rejection here.
  package var drops: Bool
  /// Of its hook and its rules in their order.
  package var digest: Digest
  /// In their order.
  package var notable: [NotableRule]

  package init(
    name: String, hook: Hook?, rules: Int, drops: Bool, digest: Digest, notable: [NotableRule] = []
  ) {
    self.name = name
    self.hook = hook
    self.rules = rules
    self.drops = drops
    self.digest = digest
    self.notable = notable
  }
}

/// A rule that the save programs may leave out or misprint, or that calls a chain of ours.
package struct NotableRule: Hashable, Sendable {
  /// Among all rules of its chain, from 0.
  package var position: Int
  /// Of what it does, without what it counted.
  package var digest: Digest
  /// It says something that iptables' programs never do.
  package var isNative: Bool
  /// Whether a packet may leave the chain by it otherwise than by being dropped.
  package var mayPass: Bool
  /// Which chain a packet meets next is looked up in a map, which no save program prints.
  package var looksUpVerdict: Bool
  /// A chain of ours that it jumps or goes to.
  package var calls: String?
  /// It has no condition.
  package var isUnconditional: Bool

  package init(
    position: Int, digest: Digest, isNative: Bool, mayPass: Bool = false, looksUpVerdict: Bool = false,
    calls: String? = nil, isUnconditional: Bool = false
  ) {
    self.position = position
    self.digest = digest
    self.isNative = isNative
    self.mayPass = mayPass
    self.looksUpVerdict = looksUpVerdict
    self.calls = calls
    self.isUnconditional = isUnconditional
  }
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

  /// Where iptables' own tables are.
  package init(_ family: Family) { self = family == .ipv4 ? .ipv4 : .ipv6 }

  package static func < (a: NftablesFamily, b: NftablesFamily) -> Bool { a.rawValue < b.rawValue }
}
