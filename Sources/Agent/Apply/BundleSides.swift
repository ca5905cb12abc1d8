internal import Core
internal import Release
internal import Ruleset
internal import Wire

/// What verified bundles want of the kernel.
///
/// The committed bundle is read, and compared with what was signed, for every change and report; parsing its text again
/// each time would take longer than the programs do. So the last ones are kept, by the digest of their manifests, which
/// covers every byte of their rules.
struct BundleSides {
  /// The bundle that is committed, and one that may be.
  private static let capacity = 2

  struct Side {
    let rules: SideRules
    let beside: BesideRules
  }

  private var known: [(manifest: Digest, side: Side)] = []

  /// Nil when it has to be read.
  subscript(manifest: Digest) -> Side? { known.first { $0.manifest == manifest }?.side }

  mutating func side(of bundle: VerifiedBundle) throws(Refusal) -> Side {
    let digest = bundle.manifestDigest
    if let at = known.firstIndex(where: { $0.manifest == digest }) {
      known.append(known.remove(at: at))
    } else {
      known.append((digest, try Self.parsed(bundle)))
      if known.count > Self.capacity { known.removeFirst() }
    }
    return known[known.endIndex - 1].side
  }

  private static func parsed(_ bundle: VerifiedBundle) throws(Refusal) -> Side {
    let beside = try beside(bundle)
    let manifest = bundle.manifest
    let rulesets = try bundle.rules?.map { (family, text) throws(Refusal) in try parse(text, family) }
    if let rulesets { try requireNamed(rulesets, by: beside.sets) }
    return Side(rules: try rules(manifest, rulesets), beside: beside)
  }

  private static func beside(_ bundle: VerifiedBundle) throws(Refusal) -> BesideRules {
    do throws(StrictTextProblem) {
      var beside = BesideRules()
      if let text = bundle.sets { beside.sets = try SetsFile.parse(text) }
      if let text = bundle.sysctl { beside.settings = try SysctlFile.parse(text) }
      return beside
    } catch {
      throw Refusal(code: .malformed, detail: cut(error.description))
    }
  }

  /// One that could open something, or would not do what it says, is refused in calm, not when it is ordered.
  static func judge(_ profiles: [StagedProfile]) throws(Refusal) {
    for (index, profile) in profiles.enumerated() {
      for family in Family.allCases {
        do throws(LockLayer.Refused) {
          _ = try LockLayer(parsing: profile.rules[family], family)
        } catch {
          // Without a place: those of the host's own rules are shown in the policies' files.
          let file = BundleFile.lockdown(index, family).fileName
          throw Refusal(
            code: .rulesDoNotParse,
            detail: cut("\(file) (profile \(profile.entry.name)): \(SafeText.escape("\(error)"))"))
        }
      }
    }
  }

  /// Sets under our names that another bundle left would make rules load here that load nowhere else, nor after a boot.
  private static func requireNamed(_ rulesets: PerFamily<Ruleset>, by sets: SetsFile) throws(Refusal) {
    for family in Family.allCases {
      guard let name = SetName.named(in: rulesets[family]).subtracting(sets.names).sorted().first else { continue }
      throw Refusal(
        code: .malformed,
        detail: cut("\(BundleFile.rules(family).fileName) names the set \(name), which the bundle does not have"))
    }
  }

  private static func rules(
    _ manifest: Manifest, _ rulesets: PerFamily<Ruleset>?
  ) throws(Refusal) -> SideRules {
    switch (manifest.mode, rulesets) {
    case (.exclusive, let rulesets?): return .exclusive(rulesets)
    case (.owned, let rulesets?):
      return .owned(
        OwnedSide(
          rulesets, allowed: manifest.foreignAllowed, forwardsForeign: manifest.forwardsForeign,
          deniesForeign: manifest.deniesForeign))
    case (.withdrawn, nil): return .nothing
    case (.exclusive, nil), (.owned, nil), (.withdrawn, .some):
      throw Refusal(
        code: .malformed, detail: "the bundle's files are not those of mode \(manifest.mode.rawValue)")
    }
  }

  /// Signed or not, rules are parsed by the strict grammar here too, so that nothing reaches a program that the
  /// controller's compiler could not have meant.
  private static func parse(_ rules: [UInt8], _ family: Family) throws(Refusal) -> Ruleset {
    do {
      return try Ruleset.parse(policy: rules, file: BundleFile.rules(family).fileName, family: family)
    } catch {
      throw Refusal(error, in: family)
    }
  }
}
