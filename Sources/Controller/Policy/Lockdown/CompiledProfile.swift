package import Core
package import Ruleset

/// A lockdown profile as one host would run it.
package struct CompiledProfile: Sendable {
  package let name: ProfileName
  package let rank: LockRank
  /// Restore text.
  package let rules: PerFamily<[UInt8]>
  package let digests: PerFamily<Digest>
  package let layers: PerFamily<LockLayer>
  /// Of each line of `rules`.
  package let traces: PerFamily<RuleTrace>

  /// Reads the texts again as every agent will.
  init(
    _ profile: ProfileFile, _ texts: PerFamily<(text: [UInt8], places: [SourceLocation])>
  ) throws(Diagnostics) {
    name = profile.name
    rank = profile.rank
    rules = texts.map { $1.text }
    digests = rules.map { Digest(of: $1) }
    traces = texts.map { RuleTrace($1.places) }
    layers = try texts.map { (family, made) throws(Diagnostics) in
      do throws(LockLayer.Refused) {
        return try LockLayer(parsing: made.text, family)
      } catch {
        let index = error.line - 1
        let place = made.places.indices.contains(index) ? made.places[index] : profile.place
        throw Diagnostics(Diagnostic(place, "the \(family) rule made of this: \(error.reason)"))
      }
    }
  }
}
