internal import Core
internal import Release
internal import Ruleset
internal import Wire

// The texts a lock is made of.

/// A profile of a bundle on disk, and it is the signed one.
struct ProfileOnDisk {
  let staged: StagedProfile
  /// Of the layer alone, as its rehearsal printed it; nil where it was not rehearsed, and its shape has to do.
  let expected: Expectation?
}

/// What both families are to hold.
struct LockLayers {
  let layers: PerFamily<LockLayer>
  var expected: Expectation?

  /// Strictly parsed, and of a shape that can only shut.
  static func parse(_ profile: StagedProfile) throws(Refusal) -> PerFamily<LockLayer> {
    try PerFamily { (family) throws(Refusal) in
      let file = "lockdown profile \(profile.entry.name), \(family)"
      do {
        let rules = try Ruleset.parse(policy: profile.rules[family], file: file, family: family)
        return try LockLayer(rules, family)
      } catch {
        let words = SafeText.escape(ErrorChain(error).message)
        throw Refusal(code: .profileAltered, detail: cut("\(file) is not one that can only shut: \(words)"))
      }
    }
  }

  /// What lived before ends by these rules alone, but for what could begin anew.
  var endsOldFlows: Bool { layers.ipv4.endsOldFlows && layers.ipv6.endsOldFlows }

  /// What old connections may go by, whoever began them.
  var patterns: [FlowPattern] { FlowPattern.patterns(layers.ipv4) + FlowPattern.patterns(layers.ipv6) }
}

extension BundleStore {
  /// Beside a bundle's own files, by the profile's place in its manifest. Nil where there is no such file, or it cannot be
  /// read.
  func profile(_ index: UInt8, of name: BundleName) -> PerFamily<[UInt8]?> {
    PerFamily { family in readFile(Self.profilePath(index, family, of: name), atMost: ProfileEntry.maximumSize) }
  }

  static func profilePath(_ index: UInt8, _ family: Family, of name: BundleName) -> String {
    "\(bundles)/\(name)/lockdown.\(index).\(family).rules"
  }

  /// The manifest alone: what an order is judged by must not wait for the rules to be read, nor fail with them.
  func manifest(of committed: CommittedBundle) -> Manifest? {
    let path = "\(Self.bundles)/\(committed.name)/\(BundleFile.manifest.fileName)"
    guard let bytes = readFile(path, atMost: BundleFile.manifest.maximumSize),
      Digest(of: bytes) == committed.accepted.manifest
    else { return nil }
    return try? Manifest.parse(bytes)
  }
}

extension HostAgent {
  func profileOnDisk(
    _ entry: ProfileEntry, at index: UInt8, of bundle: BundleName
  ) throws(OrderProblem) -> ProfileOnDisk {
    ProfileOnDisk(
      staged: try StagedProfile(entry, found: store.profile(index, of: bundle)),
      expected: store.rehearsedProfiles(of: bundle)?.expectation(of: entry))
  }

  func layers(of profile: ProfileOnDisk) throws(Refusal) -> LockLayers {
    LockLayers(layers: try LockLayers.parse(profile.staged), expected: profile.expected)
  }

  /// Kept in memory from the order on: a disk that went bad since must not change what is loaded.
  func orderedLayers(_ lock: Lock) throws(Refusal) -> LockLayers {
    if let kept = lockMemory.layers, kept.order == lock.order.order { return kept.layers }
    let profile: ProfileOnDisk
    do throws(OrderProblem) {
      profile = try profileOnDisk(lock.profile, at: lock.index, of: lock.bundle)
    } catch {
      throw Refusal(error)
    }
    let layers = try layers(of: profile)
    lockMemory.layers = (lock.order.order, layers)
    return layers
  }

  /// Of this host as it is known now, or else as it was last known, or when it was locked.
  func builtInLayers() throws -> LockLayers {
    let ledger = try? ledger()
    if let manifest = ledger?.committed.flatMap(store.manifest(of:)) { lockMemory.sources = manifest.sources }
    let sources = lockMemory.sources ?? ledger?.lock?.sources ?? []
    let doors = doors().sorted()
    return LockLayers(
      layers: try PerFamily { family in
        try LockLayer(BuiltInIsolate.ruleset(family, sources: sources, sshPorts: doors), family)
      })
  }

  /// Where sshd listens and where it is told to: between an edit of its configuration and its restart these differ, and
  /// nobody whom that shuts out could come back. Where the kernel does not tell, what was a door stays one.
  private func doors() -> Set<UInt16> {
    let listening = Set(facts.listeningSSHPorts)
    lockMemory.doors = (listening.isEmpty ? lockMemory.doors : listening).union(facts.sshPorts)
    return lockMemory.doors
  }

  func layers(of side: LockdownMachine.Side, _ lock: Lock) throws -> LockLayers {
    switch side {
    case .ordered: try orderedLayers(lock)
    case .builtIn: try builtInLayers()
    }
  }
}
