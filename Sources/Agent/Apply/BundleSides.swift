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

  private var known: [(manifest: Digest, side: SideRules)] = []

  /// Nil when it has to be read.
  subscript(manifest: Digest) -> SideRules? { known.first { $0.manifest == manifest }?.side }

  mutating func side(of bundle: VerifiedBundle) throws(Refusal) -> SideRules {
    let digest = bundle.manifestDigest
    if let at = known.firstIndex(where: { $0.manifest == digest }) {
      known.append(known.remove(at: at))
    } else {
      known.append((digest, try Self.parsed(bundle)))
      if known.count > Self.capacity { known.removeFirst() }
    }
    return known[known.endIndex - 1].side
  }

  private static func parsed(_ bundle: VerifiedBundle) throws(Refusal) -> SideRules {
    let manifest = bundle.manifest
    let rulesets = try bundle.rules?.map { (family, text) throws(Refusal) in try parse(text, family) }
    switch (manifest.mode, rulesets) {
    case (.exclusive, let rulesets?): return .exclusive(rulesets)
    case (.owned, let rulesets?):
      return .owned(
        OwnedSide(rulesets, allowed: manifest.foreignAllowed, forwardsForeign: manifest.forwardsForeign))
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
