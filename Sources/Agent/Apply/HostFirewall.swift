package import Core
package import Ruleset
package import Wire

/// The host's packet filter, through the host's own programs. Every call blocks while programs run, and every program
/// has a hard limit, after which it is killed and the call throws.
package protocol HostFirewall: AnyObject {
  /// Which programs there are now. Cheap when nothing changed; notices an upgrade.
  func programs() throws(FirewallProblem) -> FirewallPrograms

  /// Loads texts into a network stack of its own and says what the save programs then print, and whether the host would
  /// still be reachable. The host's own rules are not touched. That the programs succeeded proves nothing: compare what
  /// they print.
  func rehearse(_ rehearsal: Rehearsal) throws(FirewallProblem) -> Rehearsed

  /// Feeds a text to the family's restore program, which is killed after `limit`. After an error some of the tables may
  /// have changed.
  func load(_ text: RestoreText, into family: Family, within limit: Duration) throws(FirewallProblem)

  /// What the save program prints for the kernel's rules as they are, of one table or of all.
  func save(_ family: Family, table: String?) throws(FirewallProblem) -> [UInt8]

  /// The names of all ipsets there are, anybody's. Throws where the host has no program for them.
  func setNames(within limit: Duration) throws(FirewallProblem) -> [String]

  /// What the ipset program prints of one set.
  func saveSet(_ name: String, within limit: Duration) throws(FirewallProblem) -> [UInt8]

  /// The members of each ipset whose members are ipsets.
  func setLists(within limit: Duration) throws(FirewallProblem) -> [String: [String]]

  /// Feeds a text to `ipset restore`. After an error some of its lines may have been done.
  func changeSets(_ text: [UInt8], within limit: Duration) throws(FirewallProblem)

  /// What only the other backend's programs print; nil when the host has none of them.
  func saveOtherBackend(_ family: Family) throws(FirewallProblem) -> [UInt8]?

  /// As `load`, by the other backend's programs. Throws where the host has none of them.
  func loadOtherBackend(_ text: RestoreText, into family: Family, within limit: Duration) throws(FirewallProblem)

  /// Tables that the kernel has and that no program here prints, because it is the other backend's.
  func unprintedTables(_ family: Family) throws(FirewallProblem) -> [String]

  /// Makes the kernel forget the TCP connections that no pattern spares, so that their next packets pass for strays.
  ///
  /// - Returns: how many. What was cut before an error stays so.
  func cutFlows(sparing patterns: [FlowPattern], within limit: Duration) throws(FirewallProblem) -> Int

  /// Throws where `cutFlows` could not even learn which connections there are.
  func listFlows(within limit: Duration) throws(FirewallProblem)

  /// Everything that nf_tables holds, anybody's, as the kernel says; nil where it has no nf_tables.
  func nftables(sets scope: SetScope) throws(FirewallProblem) -> NftablesState?
}

extension HostFirewall {
  package func save(_ family: Family) throws(FirewallProblem) -> [UInt8] { try save(family, table: nil) }
}

/// What a restore program is fed.
package struct RestoreText: Hashable, Sendable {
  package var bytes: [UInt8]
  /// `--noflush`: only what the text names is touched. Otherwise every table it declares is replaced.
  package var keepsOthers: Bool

  package init(_ bytes: [UInt8], keepsOthers: Bool = false) {
    self.bytes = bytes
    self.keepsOthers = keepsOthers
  }
}

package struct Rehearsal: Hashable, Sendable {
  /// What the host's kernel holds now, loaded first so that our rules stand among the others; nil to start empty. The
  /// ipsets it names are copied from the host too.
  package var live: PerFamily<[UInt8]>?
  package var texts: PerFamily<RestoreText>
  /// What makes our own ipsets that the texts name, for `ipset restore`.
  package var sets: [UInt8]
  /// Ways in that must stay open; empty for no knock.
  package var knock: [KnockPath]
  /// Lockdowns to be tried above the texts, one after the other, by the same knock.
  package var layers: [LayerRehearsal]

  package init(
    live: PerFamily<[UInt8]>? = nil, texts: PerFamily<RestoreText>, sets: [UInt8] = [], knock: [KnockPath] = [],
    layers: [LayerRehearsal] = []
  ) {
    self.live = live
    self.texts = texts
    self.sets = sets
    self.knock = knock
    self.layers = layers
  }
}

package struct Rehearsed: Hashable, Sendable {
  /// What the save programs printed, live rules included.
  package var saved: PerFamily<[UInt8]>
  /// Why the live rules of a family could not be loaded, so that `saved` is without them; nil when they were.
  package var withoutLive: String?
  /// Nil when no knock was asked for.
  package var knock: KnockResult?
  /// One for each that was asked for.
  package var layers: [LayerRehearsed]

  package init(
    saved: PerFamily<[UInt8]>, withoutLive: String? = nil, knock: KnockResult? = nil, layers: [LayerRehearsed] = []
  ) {
    self.saved = saved
    self.withoutLive = withoutLive
    self.knock = knock
    self.layers = layers
  }
}

package struct FirewallPrograms: Hashable, Sendable, CustomStringConvertible {
  package var backend: Backend
  /// "1.8.9"
  package var version: String

  package init(backend: Backend, version: String) {
    self.backend = backend
    self.version = version
  }

  package var description: String { "\(version) \(backend.name)" }
}

/// A firewall program that could not be run, or that failed.
package struct FirewallProblem: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Kind: Hashable, Sendable {
    /// The host has no such program, or it could not be started.
    case unavailable
    /// It ran over its limit and was killed.
    case timedOut
    /// It refused its input.
    case refused
    /// It printed more than we are ready to read.
    case flooded
    /// There is no stack of its own to rehearse in: the agent may not make network namespaces here.
    case noNamespace
  }
  package var kind: Kind
  /// "ip6tables-restore"
  package var program: String
  /// The one whose absence or refusal is about ipsets.
  package static let setProgram = "ipset"
  package var family: Family?
  /// The line of the input that it named, counted from 1.
  package var line: Int?
  /// What it said, safe to show.
  package var words: String

  package init(_ kind: Kind, program: String, family: Family?, line: Int? = nil, words: String) {
    self.kind = kind
    self.program = program
    self.family = family
    self.line = line
    self.words = words
  }

  package var description: String { words.isEmpty ? program : "\(program): \(words)" }
}
