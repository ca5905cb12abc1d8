internal import Core
internal import Release
internal import Ruleset
internal import Wire

/// The lockdown profiles of a bundle that is about to be applied: which have to be rehearsed, and which the host knows.
struct ProfileRehearsal {
  struct Part {
    let staged: StagedProfile
    let layers: PerFamily<LockLayer>
    /// From an earlier bundle, rehearsed by the same programs and knocked at from the same places.
    let known: RehearsedProfiles.Entry?
  }

  let parts: [Part]
  let ways: Digest
  private let listening: ListeningReport?
  private let sshPorts: Set<UInt16>

  init(
    _ profiles: [StagedProfile], sources: [String], sshPorts: [UInt16], listening: ListeningReport?,
    known: [RehearsedProfiles], programs: FirewallPrograms
  ) throws(Refusal) {
    let ways = Digest(of: (sources + sshPorts.map { "\($0)" }).joined(separator: " ").utf8)
    let usable = known.filter { $0.programs == programs.description }
    parts = try profiles.map { (profile) throws(Refusal) in
      let layers = try LockLayers.parse(profile)
      let entry = usable.lazy.compactMap { $0.entry(for: profile.entry) }.first { $0.ways == ways }
      return Part(staged: profile, layers: layers, known: entry)
    }
    self.ways = ways
    self.listening = listening
    self.sshPorts = Set(sshPorts)
  }

  /// Those that have to be.
  var layers: [LayerRehearsal] {
    parts.filter { $0.known == nil }.map { part in
      LayerRehearsal(
        texts: part.layers.map { _, layer in layer.first },
        outsiders: Family.allCases.compactMap { outsider(of: part.layers[$0]) })
    }
  }

  // MARK: - Outsiders

  /// Addresses kept for documentation, which nobody's rules name by chance.
  private static let strangers = PerFamily(
    ipv4: ["198.51.100.66", "203.0.113.66", "192.0.2.66"], ipv6: ["2001:db8:66::66", "2001:db8:ffff::66"])
  private static let maximumPorts = 3
  /// Where nobody waits: discard.
  private static let quietPort: UInt16 = 9

  /// Somebody whom the rules of this profile shut out, at ports where the host answers today. Nil where they shut out
  /// nobody, as those that let connections in.
  private func outsider(of layer: LockLayer) -> LayerRehearsal.Outsider? {
    let open = (listening?.sockets ?? []).filter {
      $0.transport == .tcp && $0.family == layer.family && !sshPorts.contains($0.port)
    }
    for stranger in Self.strangers[layer.family] {
      guard let source = AddressPrefix(stranger) else { continue }
      var ports: [UInt16] = []
      for port in open.map(\.port) + [Self.quietPort] where !ports.contains(port) && layer.shutsOut(source, of: port) {
        ports.append(port)
      }
      if !ports.isEmpty {
        return LayerRehearsal.Outsider(source: stranger, ports: Array(ports.prefix(Self.maximumPorts)))
      }
    }
    return nil
  }

  // MARK: - Judging

  /// What is known of the profiles from now on, and what the operator should know although it goes on.
  ///
  /// - Parameters:
  ///   - rehearsed: of `layers`, in their order; nil where the host has no place for a rehearsal.
  ///   - isManager: whether the host's owners named this source.
  func judged(
    _ rehearsed: [LayerRehearsed]?, programs: String, grants: [Grant], isManager: (String) -> Bool
  ) throws(Refusal) -> (known: RehearsedProfiles, warnings: [String]) {
    var warnings = ProfileWarnings()
    guard let rehearsed else {
      for part in parts { warnings.add("judged by its shape alone, and neither rehearsed nor knocked at", part.name) }
      return (RehearsedProfiles(programs: programs, entries: []), warnings.words)
    }
    var results = rehearsed[...]
    var entries: [RehearsedProfiles.Entry] = []
    for part in parts {
      let entry: RehearsedProfiles.Entry
      if let known = part.known {
        entry = known
      } else {
        guard let result = results.popFirst() else {
          throw Refusal(code: .internalError, detail: "profile \(part.name) was not rehearsed")
        }
        entry = try judge(result, of: part, grants, isManager, &warnings)
      }
      switch entry.end {
      case .fails(let why): warnings.add("cannot be used here: \(why)", part.name)
      case .holds(_, let doubt?): warnings.add(doubt, part.name)
      case .holds(_, nil): break
      }
      entries.append(entry)
    }
    return (RehearsedProfiles(programs: programs, entries: entries), warnings.words)
  }

  private func judge(
    _ result: LayerRehearsed, of part: Part, _ grants: [Grant], _ isManager: (String) -> Bool,
    _ warnings: inout ProfileWarnings
  ) throws(Refusal) -> RehearsedProfiles.Entry {
    func entry(_ end: RehearsedProfiles.End, _ ways: Digest? = nil) -> RehearsedProfiles.Entry {
      let files = part.staged.entry.files.map { _, file in file.digest }
      return RehearsedProfiles.Entry(name: part.name, files: files, ways: ways, end: end)
    }
    let loaded: LoadedLayer
    switch result {
    case .refused(let words): return entry(.fails(cut("it does not load: \(SafeText.escape(words))")))
    case .loaded(let layer): loaded = layer
    }
    var digests: PerFamily<Digest>
    do {
      digests = try PerFamily { family in
        let printed = try Ruleset.parse(save: loaded.printed[family], file: "rehearsed \(family) lockdown")
        if let words = part.layers[family].difference(printed) { throw Reason("\(family): \(words)") }
        return printed.digest
      }
    } catch {
      let words = SafeText.escape(ErrorChain(error).message)
      return entry(.fails(cut("it does not load as it is written: \(words)")))
    }
    if let port = loaded.answered.first {
      return entry(.fails("a stranger is answered at TCP port \(port) while it is loaded"))
    }
    switch loaded.knock {
    case .passed: return entry(.holds(digests, doubt: nil), ways)
    case nil: return entry(.holds(digests, doubt: nil))
    case .undecided(let why):
      let doubt = "whether it leaves the management path open cannot be told: \(SafeText.escape(why))"
      return entry(.holds(digests, doubt: cut(doubt)), ways)
    case .shut(let shut):
      let managers = shut.filter { isManager($0.source) }
      guard managers.isEmpty else {
        let words = ShutPath.words(managers)
        guard grants.contains(.overrideLockout) else {
          throw Refusal(
            code: .lockout,
            detail: cut("lockdown profile \(part.name) would shut the management path: \(words)"))
        }
        warnings.add("it shuts the management path, as was ordered: \(words)", part.name)
        return entry(.holds(digests, doubt: nil))
      }
      let sources = Set(shut.map(\.source)).sorted().map { SafeText.escape($0) }.joined(separator: ", ")
      warnings.add("it does not let in \(sources), from where this release came", part.name)
      return entry(.holds(digests, doubt: nil))
    }
  }
}

extension ProfileRehearsal.Part {
  fileprivate var name: ProfileName { staged.entry.name }
}

/// One for all profiles that it is said of.
private struct ProfileWarnings {
  private var said: [(words: String, names: [String])] = []

  mutating func add(_ words: String, _ name: ProfileName) {
    guard let index = said.firstIndex(where: { $0.words == words }) else {
      return said.append((words, ["\(name)"]))
    }
    said[index].names.append("\(name)")
  }

  var words: [String] {
    said.map { words, names in
      cut("lockdown profile\(names.count == 1 ? "" : "s") \(names.joined(separator: ", ")): \(words)")
    }
  }
}

extension HostAgent {
  func profileRehearsal(_ plan: RehearsalPlan, _ programs: FirewallPrograms) throws(Refusal) -> ProfileRehearsal {
    lockMemory.profilesTried = bootClock.now()
    let ledger = journal?.ledger
    return try ProfileRehearsal(
      plan.profiles, sources: plan.sources, sshPorts: facts.sshPorts,
      listening: plan.profiles.isEmpty ? nil : facts.listening,
      known: [ledger?.committed?.name, ledger?.previous?.name].compactMap(\.self)
        .compactMap(store.rehearsedProfiles(of:)),
      programs: programs)
  }

  /// What other programs print is not what these do; and what failed may be mended by now, a kernel that got its module.
  /// Nobody knocks: the rules are those of the release that let the managers in.
  func renewProfiles(_ programs: FirewallPrograms) {
    guard journal != nil, let committed = (try? ledger())?.committed,
      let known = store.rehearsedProfiles(of: committed.name),
      known.programs != programs.description || known.hasFailed && isTimeToTryProfiles
    else { return }
    lockMemory.profilesTried = bootClock.now()
    var renewed = RehearsedProfiles(programs: programs.description, entries: [])
    let manifest = store.manifest(of: committed)
    let staged = (manifest?.profiles ?? []).enumerated().compactMap { index, entry in
      (try? profileOnDisk(entry, at: UInt8(index), of: committed.name))?.staged
    }
    if let rehearsal = try? ProfileRehearsal(
      staged, sources: manifest?.sources ?? [], sshPorts: facts.sshPorts, listening: nil, known: [known],
      programs: programs),
      let rehearsed = try? firewall.rehearse(
        Rehearsal(texts: PerFamily { _ in RestoreText([]) }, layers: rehearsal.layers)),
      let judged = try? rehearsal.judged(
        rehearsed.layers, programs: programs.description, grants: [], isManager: { _ in false })
    {
      renewed = judged.known
      // The rules are the same ones, and so is what they let in.
      for index in renewed.entries.indices {
        guard let before = known.entries.first(where: { $0.files == renewed.entries[index].files }),
          case .holds = before.end
        else { continue }
        renewed.entries[index].ways = before.ways
        guard case .holds(let digests, _) = renewed.entries[index].end, case .holds(_, let doubt) = before.end else {
          continue
        }
        renewed.entries[index].end = .holds(digests, doubt: doubt)
      }
    }
    guard renewed != known, (try? store.keep(renewed, of: committed.name)) != nil else { return }
    noteKeptOfBundle(BundleStore.rehearsedPath(of: committed.name))
  }

  private var isTimeToTryProfiles: Bool {
    lockMemory.profilesTried.map { bootClock.now() - $0 >= LockMemory.profilePause } ?? true
  }
}
