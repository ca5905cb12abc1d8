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
    let lines = ["content \(content)"] + chains.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    return lines.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] }
  }

  /// Nil for what `encode` did not write: then nothing was noted.
  init?(parsing bytes: [UInt8]) {
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    guard let first = lines.first, first.hasPrefix("content "), let content = Digest(String(first.dropFirst(8))) else {
      return nil
    }
    self.content = content
    chains = [:]
    for line in lines.dropFirst() {
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
      let kernel = readKernelAnew(for: rules)
    else { return forgetKernel() }
    defer { noteKept(KernelNote.fileName) }
    let note = KernelNote(content: content, rules: rules, kernel).encode()
    if (try? state.read(KernelNote.fileName, atMost: KernelNote.maximumSize)) == note { return }
    do { try self.state.replace(KernelNote.fileName, in: ".", with: note) } catch { forgetKernel() }
  }

  private func forgetKernel() {
    try? state.remove(KernelNote.fileName)
    noteKept(KernelNote.fileName)
  }

  /// Also after the host's programs changed: only another load rewrites what is in the kernel, and that is noted again.
  func kernelNote(of committed: CommittedBundle) -> KernelNote? {
    guard let text = (try? state.read(KernelNote.fileName, atMost: KernelNote.maximumSize)) ?? nil,
      let note = KernelNote(parsing: text), note.content == committed.content
    else { return nil }
    return note
  }
}
