package import Core

/// What filters packets on a host besides our rules: facts, whoever made it.
package struct OthersReport: Hashable, Sendable {
  /// An nft table that is not one of iptables' own; or, in one of those, a chain that iptables' programs do not show.
  package struct Table: Hashable, Sendable {
    /// As nft(8) writes it: `inet`.
    package var family: String
    /// `guard`, or `filter/CHAIN`.
    package var name: String
    /// Told by its name; nil for nobody known. An agent of another version may know more software than this reader.
    package var ownerWord: String?
    /// Packets pass through it.
    package var isHooked: Bool
    /// Some rule or default of it may end in a drop or a rejection.
    package var drops: Bool
    /// Of chains, rules and objects, without handles, counters, and the members of sets that have a name.
    package var digest: Digest

    package init(family: String, name: String, owner: TableOwner?, isHooked: Bool, drops: Bool, digest: Digest) {
      self.family = family
      self.name = name
      ownerWord = owner?.rawValue
      self.isHooked = isHooked
      self.drops = drops
      self.digest = digest
    }
  }

  /// What one owner has in iptables' tables.
  package struct Chains: Hashable, Sendable {
    package var family: Family
    /// Nil for what nobody known has.
    package var ownerWord: String?
    package var rules: Int
    package var digest: Digest

    package init(family: Family, owner: ForeignOwner?, rules: Int, digest: Digest) {
      self.family = family
      ownerWord = owner?.rawValue
      self.rules = rules
      self.digest = digest
    }
  }

  /// By family and name.
  package var tables: [Table]
  package var omittedTables: Int
  /// At most one for each family and owner.
  package var chains: [Chains]
  /// Of what the other backend's programs print; nil where they have nothing to print.
  package var otherBackend: PerFamily<Digest?>
  /// Ipsets that are not ours and that rules name, sorted.
  package var sets: [String]
  package var omittedSets: Int
  /// In words, why some of it is not known; nil when all is.
  package var problem: String?

  package init(
    tables: [Table] = [], omittedTables: Int = 0, chains: [Chains] = [],
    otherBackend: PerFamily<Digest?> = PerFamily(ipv4: nil, ipv6: nil), sets: [String] = [], omittedSets: Int = 0,
    problem: String? = nil
  ) {
    self.tables = tables
    self.omittedTables = omittedTables
    self.chains = chains
    self.otherBackend = otherBackend
    self.sets = sets
    self.omittedSets = omittedSets
    self.problem = problem
  }
}

/// What the host is expected to print was learnt anew, because its iptables programs changed.
package struct Renewal: Hashable, Sendable {
  /// Version and backend: `1.8.7 nft`.
  package var from: String
  package var to: String
  /// By the host's own clock.
  package var at: UTCTime

  package init(from: String, to: String, at: UTCTime) {
    self.from = from
    self.to = to
    self.at = at
  }
}
