internal import Core
internal import Release
internal import Ruleset
internal import Wire

// What stops an apply before anything changes: rules of other software that would be wiped or that open what the policy
// closes, and a management path that would be shut.

extension HostAgent {
  /// Exclusive mode: other software's chains are wiped only where the release says so.
  func requireEvictable(
    _ target: LoadTarget, _ saved: PerFamily<Ruleset>, old: KnownRules, grants: [Grant]
  ) throws(Refusal) {
    guard let inputs = target.inputs else { return }
    var places: [ForeignOwner: [String]] = [:]
    for family in Family.allCases {
      var wiped = saved[family].restricted(to: inputs[family].tables)
      // Names that our own bundle uses are nobody else's.
      if case .exclusive(let ours) = old.rules, !old.isCopy {
        for table in wiped.tables.indices {
          let own = Set(ours[family][table: wiped.tables[table].name]?.chains.map(\.name) ?? [])
          wiped.tables[table].chains.removeAll { own.contains($0.name) }
        }
      }
      for owner in wiped.owners where !grants.contains(.evict(owner)) {
        let chains = wiped.chains(of: owner).prefix(3).map { "\(SafeText.escape($0.chain)) of table \($0.table)" }
        places[owner, default: []].append("\(family) \(chains.joined(separator: ", "))")
      }
    }
    guard !places.isEmpty else { return }
    let owners = places.keys.sorted()
    let words = owners.map { "\($0.rawValue) (\(places[$0]!.joined(separator: "; ")))" }.joined(separator: ", ")
    let names = owners.map(\.rawValue).joined(separator: ",")
    throw Refusal(
      code: .foreignChains,
      detail: cut("mode exclusive would wipe the chains of \(words); release with --evict \(names), or use mode owned"))
  }

  /// Owned mode: foreign accepts that our hooks cannot be put above, in words, or none.
  func findings(_ target: LoadTarget, _ saved: PerFamily<Ruleset>) -> [String] {
    Family.allCases.flatMap { family -> [String] in
      let change = target.change(family, from: saved[family]).owned
      return (change?.findings ?? []).map {
        "\(SafeText.escape($0.rule)) (\(family), table \($0.table))"
      }
    }
  }

  /// - Returns: what the operator should know although it goes on.
  func judge(findings: [String], isFirst: Bool) throws(Refusal) -> [String] {
    guard !findings.isEmpty else { return [] }
    let some = findings.prefix(5).joined(separator: ", ")
    let more = findings.count > 5 ? " and \(findings.count - 5) more" : ""
    guard !isFirst else {
      throw Refusal(
        code: .foreignAccept,
        detail: cut(
          "foreign rules above ours accept what the policy may drop: \(some)\(more); name them in the policy "
            + "(foreign: allow), or release with --take-over, which moves them below ours"))
    }
    return ["foreign rules above ours accept what the policy may drop: \(some)\(more)"]
  }

  /// The ways in that must stay open.
  func knockPaths(sources: [String], from connection: ManagementConnection?) -> [KnockPath] {
    var paths: [KnockPath] = []
    var ports = facts.sshPorts
    if let ends = connection?.ends {
      ports = Array(Set(ports + [ends.destinationPort])).sorted()
      paths.append(KnockPath(source: ends.source, destination: ends.destination, ports: [ends.destinationPort]))
    }
    let others = sources.filter { $0 != connection?.source }
    return paths + others.map { KnockPath(source: $0, ports: ports) }
  }

  /// - Returns: what the operator should know although it goes on.
  func judge(
    _ rehearsed: RehearsedSide, paths: [KnockPath], grants: [Grant]
  ) throws(Refusal) -> [String] {
    guard !paths.isEmpty else {
      return ["no way in was tried: the release names no management sources, and this did not come over SSH"]
    }
    switch rehearsed.knock {
    case .passed: return []
    case nil: return ["no way in was tried"]
    case .undecided(let why):
      return ["whether the management path stays open cannot be told: \(SafeText.escape(why))"]
    case .shut(let shut):
      let words = ShutPath.words(shut)
      if grants.contains(.overrideLockout) { return ["the management path is shut, as was ordered: \(words)"] }
      throw Refusal(code: .lockout, detail: cut("the management path would be shut: \(words)"))
    }
  }
}

extension ShutPath {
  static func words(_ shut: [ShutPath]) -> String {
    shut.prefix(4).map { path in
      let culprit = path.culprit.map { "taken by \(SafeText.escape($0))" } ?? "no rule's counter moved"
      return "\(path.family) from \(SafeText.escape(path.source)) to port \(path.port), \(culprit)"
    }.joined(separator: "; ")
  }
}
