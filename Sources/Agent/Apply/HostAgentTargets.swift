internal import Core
internal import Release
internal import Ruleset
internal import Wire

// What may have to be loaded, built before anything is.

extension HostAgent {
  /// A bundle of the host's own store, still exactly what was signed.
  func readmitted(_ name: BundleName, accepted: InstalledRelease) throws -> VerifiedBundle {
    try readmitted(try store.read(name), accepted: accepted)
  }

  func readmitted(_ files: [BundleFile: [UInt8]], accepted: InstalledRelease) throws -> VerifiedBundle {
    // Whose key signed it does not matter any more: it was checked when the bundle was accepted, and a key that ended
    // since must not take running rules down.
    guard let nobody = AllowedSigners([]) else { throw Reason("an empty list of signers was refused") }
    let verifier = BundleVerifier(allowedSigners: nobody, fleet: fleet, host: host)
    return try verifier.readmit(try UnverifiedBundle(files: files), accepted: accepted)
  }

  /// The committed bundle as it is on disk, still exactly what was signed.
  func committedRules(_ committed: CommittedBundle) throws -> KnownRules {
    let bundle = try readmitted(committed.name, accepted: committed.accepted)
    var known = try knownRules(of: bundle, in: committed.name)
    known.expected = committed.expectation.digests
    return known
  }

  /// What a bundle asks for, and what this host keeps beside it.
  func knownRules(of bundle: VerifiedBundle, in name: BundleName?) throws -> KnownRules {
    let side = try sides.side(of: bundle)
    var known = KnownRules(
      rules: side.rules, sets: side.beside.sets, settings: side.beside.settings, sources: bundle.manifest.sources)
    known.found = try name.flatMap { try store.read(.found, of: $0) }
    switch known.rules {
    case .exclusive: known.printed = name.flatMap { store.printed($0) }
    case .owned: known.taken = try name.map { try store.readTaken(of: $0) } ?? .none
    case .nothing: known.expected = KnownRules.nothing.expected
    }
    return known
  }

  /// The built-in policies before the first bundle; where none were kept, or cannot be read, they count as ACCEPT, as
  /// the kernel has them.
  func foundPolicies() -> PerFamily<Policies> {
    let texts = Self.twice { try store.readGeneration0() } ?? nil
    return PerFamily { family in
      guard let text = texts?[family], !text.isEmpty,
        let ruleset = try? Ruleset.parse(save: text, file: "generation-0/\(family).rules")
      else { return [:] }
      return ruleset.policies
    }
  }

  /// Keeps the policies of the built-in chains as generation 0, and never anyone's rules: who made them may have
  /// changed them by the time they would be loaded again. Done once; false when there is one, or a commit, already.
  @discardableResult
  package func captureGeneration0() throws -> Bool {
    guard try ledger().committed == nil, try store.readGeneration0() == nil else { return false }
    try store.writeGeneration0(try PerFamily { family in try savedRuleset(family).withoutRules.canonical() })
    writeSafeFiles(sources: [], beside: nil)
    Family.allCases.forEach { noteKept("\(BundleStore.generation0)/\(BundleFile.rules($0).fileName)") }
    return true
  }

  /// For what we can do without, but should not for a fault that passes. Nil when it stays.
  static func twice<Value>(_ read: () throws -> Value) -> Value? { (try? read()) ?? (try? read()) }

  /// Where the host goes back to when no transaction says otherwise.
  func oldRules(_ ledger: Ledger) throws -> KnownRules {
    let committed = try ledger.committed.map { try committedRules($0) }
    guard ledger.isHeldSafe else { return committed ?? .nothing }
    var safe = safeRules(beside: [committed].compactMap { $0 }, whole: ledger.safePolicyIsWhole)
    // What the committed release replaced and took over is still to be given back, by whoever comes after.
    safe.found = committed?.found
    safe.taken = committed?.taken ?? .none
    safe.ownTables = committed?.exclusiveTables ?? safe.ownTables
    safe.settings = committed?.settings
    return safe
  }

  /// The safe policy: beside other people's rules, unless they are gone anyway.
  func safeRules(beside sides: [KnownRules], whole: Bool) -> KnownRules {
    let sources = Set(sides.flatMap(\.sources)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let rulesets = PerFamily { family in
      SafePolicy.ruleset(family, sources: sources, sshPorts: facts.sshPorts)
    }
    if whole || !sides.isEmpty && sides.allSatisfy({ $0.rules.isExclusive && !$0.isCopy }) {
      return KnownRules(rules: .exclusive(rulesets), sources: sources, printed: store.readSafePrinted())
    }
    var forwards = false
    for side in sides {
      if case .owned(let owned) = side.rules, owned.forwardsForeign { forwards = true }
    }
    return KnownRules(
      rules: .owned(OwnedSide(rulesets, allowed: [], forwardsForeign: forwards)), sources: sources)
  }

  /// - Parameters:
  ///   - old: nil when it cannot be read.
  ///   - takesOver: the new side's own grant, for whatever stands in the way; rules taken before need none.
  func targets(new: KnownRules?, old: KnownRules?, takesOver: Bool = false, ledger: Ledger) -> Targets {
    let found = foundPolicies()
    let sides = [new, old].compactMap { $0 }
    var safe = safeRules(beside: sides, whole: false)
    var wholeSafe = safeRules(beside: sides, whole: true)
    safe.settings = old?.settings
    wholeSafe.settings = old?.settings
    // What is loaded now, where that is neither.
    let loaded = ledger.degraded == nil ? [] : [ledger.safePolicyIsWhole ? wholeSafe : safe]
    func leftovers(_ others: [KnownRules?]) -> Leftovers {
      Leftovers(of: others.compactMap { $0 } + loaded, found: found)
    }
    let newTaken = new?.taken ?? .none
    let oldTaken = old?.taken ?? .none
    return Targets(
      new: new.map {
        LoadTarget(
          $0, over: leftovers([old]), takesOver: takesOver, givingBack: oldTaken.subtracting(newTaken))
      },
      old: old.map {
        LoadTarget(
          $0, over: leftovers([new]), givingBack: newTaken.subtracting(oldTaken))
      },
      safe: LoadTarget(safe, over: leftovers([new, old])),
      wholeSafe: LoadTarget(wholeSafe, over: leftovers([new, old])), taken: newTaken,
      originals: foundSettings())
  }
}
