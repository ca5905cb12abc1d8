internal import Core
internal import Release
internal import Ruleset
package import Wire

// Our ipsets (docs/adr/0009-sets-never-change.md). A set never changes: rules that want other members name another set.
// So sets are made before the rules that name them are loaded, and go when no committed rule names them any more; in
// between those of the old rules and of the new stand side by side, and whichever rules are loaded find their own.

extension HostAgent {
  /// There may be sets of ours in the kernel. It keeps hosts that never had any from being asked.
  static let setsMarker = "sets-made"

  /// Says why this host cannot have these sets, while nothing is changed.
  func requireSets(_ wanted: SetsFile) throws(Refusal) {
    guard !wanted.isEmpty else { return }
    let calls = SetCalls(firewall, bootClock)
    do {
      _ = try calls.names()
    } catch {
      throw Refusal(code: .setsRefused, detail: cut("the release has ipsets, and this host cannot list any: \(error)"))
    }
    do {
      try requireReplaceable(Set(differences(of: wanted).filter { $0.kind == .otherType }.map(\.name)), calls)
    } catch {
      throw Refusal("see who uses sets of another type", error)
    }
    do {
      if try state.read(Self.setsMarker, atMost: 1) == nil { try state.replace(Self.setsMarker, in: ".", with: []) }
    } catch {
      throw Refusal("record that there will be ipsets", error)
    }
  }

  /// Ours come in the place of those of another type, which therefore have to go, and cannot while somebody uses them.
  private func requireReplaceable(_ names: Set<String>, _ calls: SetCalls) throws {
    guard !names.isEmpty else { return }
    let use = SetUse(of: names, in: try savedRulesets()).map { use in
      (words: "a rule in table \(use.table) of \(use.family) uses the ipset \(use.name)", hint: use.hint)
    }
    guard let user = holders(of: names, calls) ?? use else { return }
    throw Refusal(code: .setsRefused, detail: cut("replace a set of another type: \(user.words); \(user.hint)"))
  }

  /// Makes these sets what they should be: before rules that name them are loaded.
  func setUp(_ wanted: SetsFile, within limit: Duration = SetCalls.limit) throws {
    guard !wanted.isEmpty else { return }
    let calls = SetCalls(firewall, bootClock, within: limit)
    // What was half done is begun anew: the text follows from what is there.
    try calls.insisting { () throws(FirewallProblem) in
      let text = try settingUp(wanted, calls)
      if !text.isEmpty { try calls.change(text) }
    }
  }

  /// For `ipset restore`.
  private func settingUp(_ wanted: SetsFile, _ calls: SetCalls) throws(FirewallProblem) -> [UInt8] {
    let existing = try calls.names()
    var text: [UInt8] = []
    func make(_ name: String, instead kind: SetDifference.Kind?, _ make: (String) -> [UInt8]) {
      switch kind {
      case nil: return
      case .absent: text += make(name)
      case .members, .otherOptions, .otherType, .unreadable:
        let temporary = SetName.temporary(for: name)
        if existing.contains(temporary) { text += Array("destroy \(temporary)\n".utf8) }
        text += make(temporary)
        // Only sets of one type can be swapped; so one of another type was never swapped into a rule of ours.
        text +=
          kind == .otherType
          ? Array("destroy \(name)\nrename \(temporary) \(name)\n".utf8)
          : Array("swap \(temporary) \(name)\ndestroy \(temporary)\n".utf8)
      }
    }
    for set in wanted.sets {
      make(set.name, instead: difference(of: set, existing, calls)?.kind) { set.text(named: $0) }
    }
    for family in wanted.observing {
      make(SetName.observations(family), instead: difference(ofObservations: family, existing, calls)?.kind) {
        ObservationSet.text(family, named: $0)
      }
    }
    return text
  }

  /// Throws with words when a set is not what it should be.
  ///
  /// - Parameter evenUnread: on the way back, one that nobody can read counts as what it was.
  func requireSetUp(_ wanted: SetsFile, evenUnread: Bool = false) throws {
    let differences = differences(of: wanted, within: evenUnread ? SetCalls.shortLimit : SetCalls.limit)
    let known = differences.filter { if case .unreadable = $0.kind { !evenUnread } else { true } }
    guard let difference = known.first else { return }
    let words =
      switch difference.kind {
      case .absent: "is missing"
      case .otherType: "is of another type"
      case .otherOptions: "has other options"
      case .members(let missing, let extra): "lacks \(missing.count) members and has \(extra.count) others"
      case .unreadable(let why): "cannot be read: \(why)"
      }
    throw Reason("set \(difference.name) \(words)")
  }

  func differences(of wanted: SetsFile, within limit: Duration = SetCalls.limit) -> [SetDifference] {
    guard !wanted.isEmpty else { return [] }
    let calls = SetCalls(firewall, bootClock, within: limit)
    let existing: Set<String>
    do throws(FirewallProblem) { existing = try calls.names() } catch {
      return wanted.sets.map {
        SetDifference(family: $0.family, name: $0.name, kind: .unreadable(error.description))
      }
    }
    let observations = wanted.observing.sorted().compactMap { difference(ofObservations: $0, existing, calls) }
    return wanted.sets.compactMap { difference(of: $0, existing, calls) } + observations
  }

  private func difference(of set: AddressSet, _ existing: Set<String>, _ calls: SetCalls) -> SetDifference? {
    guard existing.contains(set.name) else {
      return SetDifference(family: set.family, name: set.name, kind: .absent)
    }
    do throws(FirewallProblem) {
      return HeldSet(saved: try calls.save(set.name), name: set.name).difference(from: set)
    } catch {
      return SetDifference(family: set.family, name: set.name, kind: .unreadable(error.description))
    }
  }

  private func difference(
    ofObservations family: Family, _ existing: Set<String>, _ calls: SetCalls
  ) -> SetDifference? {
    let name = SetName.observations(family)
    guard existing.contains(name) else { return SetDifference(family: family, name: name, kind: .absent) }
    do throws(FirewallProblem) {
      let held = HeldSet(saved: try calls.save(name), name: name)
      return held.difference(fromObservations: family, name: name)
    } catch {
      // It cannot be put right by making another one, which would lose what was counted.
      return nil
    }
  }

  /// After an end: our sets that the committed bundle does not name go. What a rule still names the kernel keeps, and it
  /// is tried again after the next end.
  func sweepSets(keeping kept: Set<String>) {
    // Whoever waits for the end of a change waits for this.
    guard let own = try? ownSets(SetCalls(firewall, bootClock, within: SetCalls.shortLimit)) else { return }
    let left = (try? destroy(own.subtracting(kept), SetCalls(firewall, bootClock))) ?? own
    if kept.isEmpty, left.isEmpty { try? state.remove(Self.setsMarker) }
  }

  /// For removal: all of them go.
  ///
  /// - Returns: those that something still uses.
  func removeSets() throws -> Set<String> {
    let calls = SetCalls(firewall, bootClock)
    let left = try destroy(try ownSets(calls), calls)
    if left.isEmpty { try state.remove(Self.setsMarker) }
    return left
  }

  private func destroy(_ sets: Set<String>, _ calls: SetCalls) throws(FirewallProblem) -> Set<String> {
    var left = sets
    do throws(FirewallProblem) {
      try calls.insisting { () throws(FirewallProblem) in
        var inUse: FirewallProblem?
        for name in left {
          do throws(FirewallProblem) {
            try calls.change(Array("destroy \(name)\n".utf8))
            left.remove(name)
          } catch {
            guard error.isSetInUse else { throw error }
            inUse = error
          }
        }
        if let inUse { throw inUse }
      }
    } catch {
      guard error.isSetInUse else { throw error }
    }
    return left
  }

  /// Our sets that are there, whatever needs them. Throws when that cannot be told, as it can where there never were any.
  func ownSets(_ calls: SetCalls) throws -> Set<String> {
    guard try state.read(Self.setsMarker, atMost: 1) != nil else { return [] }
    return try calls.names().filter(SetName.isOurs)
  }

  package func observe() throws(Refusal) -> Observations {
    do {
      guard let committed = try ledger().committed else { return Observations(observing: [], entries: []) }
      let observing = try committedRules(committed).beside.sets.observing
      guard !observing.isEmpty else { return Observations(observing: [], entries: []) }
      let calls = SetCalls(firewall, bootClock)
      let existing = try calls.names()
      var observations = Observations(observing: observing, entries: [])
      for family in observing.sorted() where existing.contains(SetName.observations(family)) {
        let name = SetName.observations(family)
        let saved = try calls.save(name)
        observations.entries += ObservedEntries.read(saved, name: name, family)
        if ObservedEntries.isFull(saved, name: name) { observations.full.insert(family) }
      }
      observations.entries.sort(by: Observations.Entry.precedes)
      return observations
    } catch {
      throw Refusal("read what would have been dropped", error)
    }
  }
}
