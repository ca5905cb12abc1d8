internal import Core
internal import Release
internal import Ruleset
internal import Wire

/// Rules of bundles, parsed by the strict grammar here too, signed or not, so that nothing reaches a program that the
/// controller's compiler could not have meant.
///
/// The committed bundle is read, and compared with what was signed, for every change and report; parsing its text again
/// each time would take longer than the programs do. So what the last texts said is kept, by their digests.
struct ParsedRules {
  private struct Key: Hashable {
    let family: Family
    let text: Digest
  }

  /// Both families of the bundle that is committed and of one that may be.
  private static let capacity = 4

  private var known: [(key: Key, ruleset: Ruleset)] = []

  mutating func parse(_ rules: PerFamily<[UInt8]>) throws(Refusal) -> PerFamily<Ruleset> {
    try rules.map { (family, text) throws(Refusal) in try parse(text, family) }
  }

  private mutating func parse(_ text: [UInt8], _ family: Family) throws(Refusal) -> Ruleset {
    let key = Key(family: family, text: Digest(of: text))
    if let at = known.firstIndex(where: { $0.key == key }) {
      known.append(known.remove(at: at))
    } else {
      do {
        let ruleset = try Ruleset.parse(policy: text, file: BundleFile.rules(family).fileName, family: family)
        known.append((key, ruleset))
      } catch {
        throw Refusal(error, in: family)
      }
      if known.count > Self.capacity { known.removeFirst() }
    }
    return known[known.endIndex - 1].ruleset
  }
}
