internal import Core
internal import Release
internal import Ruleset
internal import Wire

/// Our rules in the kernel's own words, noted when they had just been loaded and read back. What iptables-save prints is
/// not all that a rule says (of two ports in one rule it prints the last), so that another rule may be printed the same.
struct KernelNote: Hashable {
  static let fileName = "kernel-rules"
  static let maximumSize = 4 << 20

  /// Of the manifest without its serial, whose rules these are.
  var content: Digest
  /// Which loaded them: others may say the same in other words.
  var programs: String
  /// By family, table and chain.
  private var chains: [String: Digest]

  init(content: Digest, programs: String, rules: SideRules, _ state: NftablesState) {
    self.content = content
    self.programs = programs
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
      ["content \(content)", "programs \(programs)"] + chains.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    return lines.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] }
  }

  /// Nil for what `encode` did not write: then nothing was noted.
  init?(parsing bytes: [UInt8]) {
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    guard lines.count >= 2, lines[0].hasPrefix("content "), lines[1].hasPrefix("programs "),
      let content = Digest(String(lines[0].dropFirst(8)))
    else { return nil }
    self.content = content
    programs = String(lines[1].dropFirst(9))
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
    guard let content, let programs = try? firewall.programs(), programs.backend == .nft,
      let kernel = readKernelAnew()
    else { return forgetKernel() }
    let note = KernelNote(content: content, programs: programs.description, rules: rules, kernel).encode()
    if (try? state.read(KernelNote.fileName, atMost: KernelNote.maximumSize)) == note { return }
    do { try self.state.replace(KernelNote.fileName, in: ".", with: note) } catch { forgetKernel() }
  }

  private func forgetKernel() { try? state.remove(KernelNote.fileName) }

  /// What holds for the committed rules and the programs that are here now.
  func kernelNote(of committed: CommittedBundle, _ programs: FirewallPrograms) -> KernelNote? {
    guard let text = (try? state.read(KernelNote.fileName, atMost: KernelNote.maximumSize)) ?? nil,
      let note = KernelNote(parsing: text), note.content == committed.content, note.programs == programs.description
    else { return nil }
    return note
  }
}
