internal import Core
internal import Release
internal import Ruleset

/// Rules of both families, ready to be loaded over whatever the other sides of the change left, and recognised again.
struct LoadTarget {
  let rules: SideRules
  let sets: SetsFile
  /// Nil where the kernel's settings are to stay as they are.
  let settings: SysctlFile?
  /// Digest of what the host's programs print of them; nil where only the shape can be compared.
  var expected: PerFamily<Digest>?
  let leftovers: Leftovers
  /// Owned mode: foreign accepts in the way of our hooks are moved below them.
  let takesOver: Bool
  /// Owned mode: our rules were never here.
  var isFirst = false
  /// Rules that were taken over before: that grant still holds for them, and for no others.
  let takenBefore: PerFamily<[TakenRule]>
  /// Rules taken over by another side, to be put back where they stood.
  var givingBack: PerFamily<[TakenRule]>
  /// Make Docker's chain for our hook where it is not there: at boot, before Docker starts.
  var preparesForeignChains = false
  /// What is printed of our chains in the kernel is not all that they say.
  var refills = false
  /// Of a lockdown, which whole tables must not leave out.
  private var layers: PerFamily<LockLayer>?
  /// Whole tables; nil in owned mode.
  let inputs: PerFamily<RestoreInput>?

  init(
    _ known: KnownRules, over leftovers: Leftovers, takesOver: Bool = false, givingBack: PerFamily<[TakenRule]>? = nil
  ) {
    rules = known.rules
    sets = known.sets
    settings = known.settings
    expected = known.expected
    self.leftovers = leftovers
    self.takesOver = takesOver
    takenBefore = known.taken
    self.givingBack = givingBack ?? PerFamily(ipv4: [], ipv6: [])
    switch known.rules {
    case .exclusive(let rulesets):
      inputs = rulesets.map { family, ruleset in RestoreInput(ruleset, emptying: leftovers.tables[family]) }
    case .owned, .nothing: inputs = nil
    }
  }

  /// What is loaded names what is there, so it comes from a fresh read.
  var needsRead: Bool {
    switch rules {
    case .exclusive: leftovers.holdsOwned
    case .owned, .nothing: true
    }
  }

  func beneath(_ layers: PerFamily<LockLayer>?) -> LoadTarget {
    var target = self
    target.layers = layers
    return target
  }

  /// The same without the layer of a lockdown; nil where it has no place for one.
  func bare(_ family: Family, from saved: Ruleset) -> PreparedLoad? {
    guard inputs?[family].tables.contains(LockLayer.table) == true else { return nil }
    return beneath(nil).prepare(family, from: saved)
  }

  /// - Parameter saved: a fresh read, where one is needed.
  func prepare(_ family: Family, from saved: Ruleset) -> PreparedLoad {
    let (texts, owned) = change(family, from: saved)
    return PreparedLoad(saved: saved, texts: texts, taken: owned?.taken ?? [])
  }

  /// What has to be loaded, in this order, so that a kernel that holds `saved` comes to hold this side.
  func change(_ family: Family, from saved: Ruleset) -> (texts: [RestoreText], owned: OwnedChange?) {
    switch rules {
    case .exclusive:
      guard let input = inputs?[family].holding(layers?[family]) else { return ([], nil) }
      let whole = RestoreText(input.bytes)
      guard leftovers.holdsOwned else { return ([whole], nil) }
      // Chains of ours in tables that stay as they are.
      let others = Ruleset(tables: saved.tables.filter { !input.tables.contains($0.name) })
      let removal = ownedChange(.none, family, from: others)
      return ([RestoreText(removal.text, keepsOthers: true), whole], nil)
    case .owned(let side):
      let change = ownedChange(side.rules[family], family, from: saved, allowed: side.allowed)
      return ([RestoreText(change.text, keepsOthers: true)], change)
    case .nothing:
      let change = ownedChange(.none, family, from: saved)
      return ([RestoreText(change.text, keepsOthers: true)], change)
    }
  }

  private func ownedChange(
    _ wanted: OwnedRules, _ family: Family, from saved: Ruleset, allowed: [String] = []
  ) -> OwnedChange {
    let replaced = leftovers.replaced[family].restricted(to: Set(saved.tableNames))
    return OwnedChange(
      OwnedChange.Request(
        wanted: wanted, saved: saved, allowed: allowed, takesOver: takesOver, isFirst: isFirst,
        takenBefore: takenBefore[family],
        givingBack: givingBack[family],
        policies: leftovers.policies(family, besides: wanted.policies, in: saved),
        replacing: replaced.tables.isEmpty ? nil : replaced, preparesForeignChains: preparesForeignChains,
        refills: refills))
  }

  /// The part of what a save program printed that this side answers for.
  func governed(_ saved: Ruleset, _ family: Family) -> Ruleset {
    switch rules {
    case .exclusive: inputs?[family].governed(saved) ?? saved
    case .owned(let side): side.view(family).own(saved)
    case .nothing: OwnedView(.none, allowed: []).own(saved)
    }
  }

  /// In words, how what was saved is not shaped like this side; nil when it is.
  func shapeDifference(_ saved: Ruleset, _ family: Family) -> String? {
    let governed = governed(saved, family)
    switch rules {
    case .exclusive(let rulesets):
      return RulesetShape.difference(intended: inputs?[family].ruleset ?? rulesets[family], loaded: governed)
    case .owned(let side): return OwnedShape.difference(intended: side.rules[family], loaded: governed)
    case .nothing: return OwnedShape.difference(intended: .none, loaded: governed)
    }
  }

  /// The same for what a stack of its own printed: whole tables were loaded into an empty one.
  func rehearsalDifference(_ loaded: Ruleset, _ family: Family) -> String? {
    switch rules {
    case .exclusive(let rulesets):
      RulesetShape.difference(intended: inputs?[family].ruleset ?? rulesets[family], loaded: loaded)
    case .owned, .nothing: shapeDifference(loaded, family)
    }
  }

  /// In words, how what was saved is not what was loaded; nil when it is.
  func difference(_ saved: Ruleset, _ family: Family) -> String? {
    if let expected, governed(saved, family).digest == expected[family] { return nil }
    if let difference = shapeDifference(saved, family) { return "\(family): \(difference)" }
    return expected == nil ? nil : "\(family): the rules are as many as expected but not the same"
  }
}

/// What one family's programs are to be fed.
struct PreparedLoad {
  /// The read it was made from.
  let saved: Ruleset
  let texts: [RestoreText]
  /// Foreign rules that it moves below our hooks.
  let taken: [TakenRule]
}

/// Everything one apply may need, built in memory before the host is touched, so that going back asks nothing of the
/// disk.
struct Targets {
  var new: LoadTarget?
  /// Nil when what the journal calls committed cannot be read back: then the only way back is the safe policy.
  var old: LoadTarget?
  var safe: LoadTarget
  var wholeSafe: LoadTarget
  /// What the new side moved below its hooks, as it is on disk beside its bundle.
  var taken = PerFamily<[TakenRule]>(ipv4: [], ipv6: [])
  /// The kernel's settings before we first touched them.
  var originals = FoundSettings()
  /// Of the side that is being loaded, for both families, made before the first of them is loaded.
  var prepared: PerFamily<PreparedLoad>?

  subscript(side: ApplyMachine.Side) -> LoadTarget? {
    switch side {
    case .new: new
    case .old: old
    case .safe: safe
    case .wholeSafe: wholeSafe
    }
  }
}
