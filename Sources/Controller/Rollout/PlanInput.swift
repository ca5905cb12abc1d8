package import Core
package import Wire

/// A rules text together with its digest, which stands for it in comparisons.
package struct RulesText: Hashable, Sendable {
  package let digest: Digest
  package let bytes: [UInt8]

  package init(_ bytes: [UInt8]) {
    self.bytes = bytes
    digest = Digest(of: bytes)
  }

  package static func == (a: RulesText, b: RulesText) -> Bool { a.digest == b.digest }
  package func hash(into hasher: inout Hasher) { hasher.combine(digest) }
}

/// A lockdown profile of a host's bundle.
package struct ProfileTexts: Hashable, Sendable {
  package let name: ProfileName
  package let rank: LockRank
  package let rules: PerFamily<RulesText>

  package init(name: ProfileName, rank: LockRank, rules: PerFamily<RulesText>) {
    self.name = name
    self.rank = rank
    self.rules = rules
  }
}

/// What a bundle has beside its rules; nil for what it does not have.
package struct BesideTexts: Hashable, Sendable {
  package var sets: RulesText?
  /// Kernel settings.
  package var sysctl: RulesText?
  /// By name.
  package var profiles: [ProfileTexts]

  package static let empty = BesideTexts(sets: nil, sysctl: nil)

  package init(sets: RulesText?, sysctl: RulesText?, profiles: [ProfileTexts] = []) {
    self.sets = sets
    self.sysctl = sysctl
    self.profiles = profiles
  }
}

/// What the planner is told of one host.
package struct PlanInput: Sendable {
  package var host: HostID
  /// What the policies make of it; nil when none applies to it.
  package var desired: DesiredBundle?
  package var knowledge: HostKnowledge

  package init(host: HostID, desired: DesiredBundle?, knowledge: HostKnowledge) {
    self.host = host
    self.desired = desired
    self.knowledge = knowledge
  }
}

package struct DesiredBundle: Sendable {
  /// Of the manifest without its serial.
  package var content: Digest
  /// As the manifest says it: `exclusive`, `owned`, `withdrawn`.
  package var mode: String
  /// Nil when the host is withdrawn.
  package var rules: PerFamily<RulesText>?
  package var beside: BesideTexts

  package init(content: Digest, mode: String, rules: PerFamily<RulesText>?, beside: BesideTexts = .empty) {
    self.content = content
    self.mode = mode
    self.rules = rules
    self.beside = beside
  }
}

package enum HostKnowledge: Sendable {
  case notEnrolled
  /// Enrolled, but no report is known.
  case silent
  case reported(HostFacts)
}

package struct HostFacts: Sendable {
  package var committed: Committed?
  /// The rules to compare with, written the way policies are: those of the bundle it runs, or what it ran before us. Nil
  /// when they are not known; the difference then shows every rule as new.
  package var running: PerFamily<RulesText>?
  /// Of the bundle it runs; what is not known is shown as new.
  package var beside: BesideTexts
  /// Nothing of ours is there yet, but the kernel holds the desired rules already, as the host's own.
  package var hasThemAlready = false
  /// What the kernel holds is not what was committed.
  package var hasDrifted: Bool
  /// A change of ours that waits there to be confirmed, in words for an operator; equal for equal cases.
  package var waiting: String?
  /// Until which day somebody answers for what differs; nil when nobody does.
  package var waivedUntil: String?
  /// For a drifted host, what was found and what belongs there, both in the host's own words. Nil when nobody asked.
  package var drift: PerFamily<Texts>?
  /// It runs the safe policy, which nobody changed by hand.
  package var isDegraded: Bool
  /// The newest release that names it, when that says something else than the policies do now: one that failed, or was
  /// never brought to it, and is not wanted any more. It is signed, so it has to be overtaken, not forgotten.
  package var unwanted: Serial?

  package struct Texts: Sendable {
    package var observed: RulesText
    package var expected: RulesText
    package init(observed: RulesText, expected: RulesText) {
      self.observed = observed
      self.expected = expected
    }
  }

  package init(
    committed: Committed?, running: PerFamily<RulesText>? = nil, beside: BesideTexts = .empty, hasDrifted: Bool = false,
    drift: PerFamily<Texts>? = nil, isDegraded: Bool = false, unwanted: Serial? = nil
  ) {
    self.committed = committed
    self.running = running
    self.beside = beside
    self.hasDrifted = hasDrifted
    self.drift = drift
    self.isDegraded = isDegraded
    self.unwanted = unwanted
  }
}
