/// What has to be loaded, with `--noflush`, so that a kernel which holds `saved` comes to hold `wanted` and nothing else of
/// ours, with every rule of other people as it was. Pure; from a fresh read, because the text names what is there.
package struct OwnedChange: Hashable, Sendable {
  package struct Request: Sendable {
    package var wanted: OwnedRules
    /// A fresh read.
    package var saved: Ruleset
    /// Foreign rules that may stay above our hook (`Manifest.foreignAllowed`).
    package var allowed: [String]
    /// Move foreign accepts below our hook, where they are in the way.
    package var takesOver: Bool
    /// Our rules were never here: where a foreign accept stands above bans, it is not for us to decide between them.
    /// Later the hook stands above the accept, as it would if it had never gone.
    package var isFirst: Bool
    /// Rules that were taken over before, under the grant of their time: these may be moved below again without one.
    package var takenBefore: [TakenRule]
    /// Rules taken over before, to be put back where they stood; those that are gone are left out.
    package var givingBack: [TakenRule]
    /// Built-in policies to set besides those of `wanted`, which win: what was found before us.
    package var policies: [String: [String: String]]
    /// A bundle in exclusive mode that ran until now: its rules, as printed, go one by one.
    package var replacing: Ruleset?
    /// Make the chains of other software that we hook, where they are not there yet: before it starts.
    package var preparesForeignChains: Bool
    /// Our chains and hooks are made anew though they are printed as wanted: the kernel holds something else.
    package var refills: Bool

    package init(
      wanted: OwnedRules, saved: Ruleset, allowed: [String] = [], takesOver: Bool = false, isFirst: Bool = true,
      takenBefore: [TakenRule] = [], givingBack: [TakenRule] = [], policies: [String: [String: String]] = [:],
      replacing: Ruleset? = nil,
      preparesForeignChains: Bool = false, refills: Bool = false
    ) {
      self.wanted = wanted
      self.saved = saved
      self.allowed = allowed
      self.takesOver = takesOver
      self.isFirst = isFirst
      self.takenBefore = takenBefore
      self.givingBack = givingBack
      self.policies = policies
      self.replacing = replacing
      self.preparesForeignChains = preparesForeignChains
      self.refills = refills
    }
  }

  /// Empty when the kernel holds it already.
  package let text: [UInt8]
  /// Foreign accepts that will stand above our hook although nobody allowed it. A first apply stops at one.
  package let findings: [ForeignAccept]
  package let taken: [TakenRule]
  /// The policy's line of each line of `text`, 0 for lines that come from no rule.
  let sourceLines: [Int]

  package init(_ request: Request) {
    var builder = OwnedChangeBuilder(request)
    builder.run()
    text = builder.text
    findings = builder.findings
    taken = builder.taken
    sourceLines = builder.sourceLines
  }

  /// The line of the policy that this line (from 1) of the text came from; nil when it came from no rule.
  package func sourceLine(of line: Int) -> Int? {
    guard sourceLines.indices.contains(line - 1), sourceLines[line - 1] > 0 else { return nil }
    return sourceLines[line - 1]
  }
}
