internal import Core
internal import Release
internal import Ruleset
internal import Wire

/// Our rules in the kernel's own words, noted when they had just been loaded and read back. What iptables-save prints is
/// not all that a rule says (of two ports in one rule it prints the last), so that another rule may be printed the same.
struct KernelNote: Hashable {
  /// Of the manifest without its serial, whose rules these are.
  var content: Digest
  /// By family, table and chain.
  private var chains: [String: Digest]

  init(content: Digest, rules: SideRules, _ state: NftablesState) {
    self.content = content
    chains = [:]
    for table in state.tables {
      guard let family = table.iptablesFamily else { continue }
      for chain in table.chains where Self.isOurs(chain.name, table.name, family, rules) {
        chains[Self.key(table, chain)] = chain.digest
      }
    }
  }

  func digest(of chain: NftablesChain, in table: NftablesTable) -> Digest? { chains[Self.key(table, chain)] }

  private static func isOurs(_ chain: String, _ table: String, _ family: Family, _ rules: SideRules) -> Bool {
    switch rules {
    case .exclusive(let rulesets): rulesets[family][table: table] != nil
    case .owned: OwnedNames.isOurs(chain)
    case .nothing: false
    }
  }

  private static func key(_ table: NftablesTable, _ chain: NftablesChain) -> String {
    "\(table.family.word)/\(table.name)/\(OtherFilter.word(chain.name))"
  }

  func encode() -> [UInt8] {
    let lines =
      [NotedFile.format, "content \(content)"] + chains.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    return lines.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] }
  }

  /// Nil for what `encode` did not write: then nothing was noted.
  init?(parsing bytes: [UInt8]) {
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    guard lines.count >= 2, lines[0] == NotedFile.format, lines[1].hasPrefix("content "),
      let content = Digest(String(lines[1].dropFirst(8)))
    else { return nil }
    self.content = content
    chains = [:]
    for line in lines.dropFirst(2) {
      let words = line.split(separator: " ")
      guard words.count == 2, let digest = Digest(String(words[1])) else { return nil }
      chains[String(words[0])] = digest
    }
  }
}

extension HostAgent {
  /// After a load that was read back. What cannot be noted must not be compared with what was noted before.
  ///
  /// - Parameter content: nil where what is loaded is nobody's release.
  func noteKernel(_ rules: SideRules, of content: Digest?) {
    let programs = try? firewall.programs()
    if programs?.backend != .legacy { forgetOwnTables() }
    guard let content, programs?.backend == .nft else { return forgetNoted(.kernel) }
    let kernel = readKernel(for: rules)
    guard kernel.problem == nil, let state = kernel.state else { return promiseNoted(.kernel) }
    do {
      try writeNoted(.kernel, KernelNote(content: content, rules: rules, state).encode(), isLate: false)
    } catch {
      promiseNoted(.kernel)
    }
  }

  /// Where nothing could be noted after the load, and the rules still are what they were then as far as anybody can tell.
  func noteKernelLate(
    _ shown: Shown, _ rules: SideRules, _ committed: CommittedBundle, _ programs: FirewallPrograms
  ) -> Bool {
    guard programs.backend == .nft, !isTampered(.kernel), kernelNote(of: committed) == nil,
      shown.kernel.problem == nil, let kernel = shown.kernel.state,
      shown.difference.kernel.allSatisfy({ $0 == .notNoted }),
      Family.allCases.allSatisfy({
        rules.observed(shown.saved[$0], $0).digest == committed.expectation.digests[$0]
      })
    else { return false }
    let note = KernelNote(content: committed.content, rules: rules, kernel)
    do { try writeNoted(.kernel, note.encode(), isLate: true) } catch { return false }
    return true
  }

  /// Also after the host's programs changed: only another load rewrites what is in the kernel, and that is noted again.
  func kernelNote(of committed: CommittedBundle) -> KernelNote? {
    guard let note = readNoted(.kernel).flatMap(KernelNote.init(parsing:)), note.content == committed.content else {
      return nil
    }
    return note
  }
}
