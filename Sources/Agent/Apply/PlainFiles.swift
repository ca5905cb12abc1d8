internal import Core
internal import Release
internal import Ruleset
internal import Wire

/// Rules as files that the host's own programs load when we are gone, all by the same command:
/// `iptables-restore --noflush FILE`. They hold our rules only.
enum PlainFile {
  static let committed = "rules"
  static let safe = "safe"
  static let sets = "ipsets"
  static let settings = "sysctl"

  /// Replaces whole tables although the command does not flush: the text does.
  static func exclusive(_ ruleset: Ruleset) -> [UInt8] {
    var text: [UInt8] = []
    for table in ruleset.declaringAllBuiltInChains().tables {
      text += line("*\(table.name)")
      // Emptied first: the nft programs make a chain they flush, as ACCEPT, where the kernel has none yet.
      text += line("-F") + line("-X")
      for chain in table.chains {
        if let policy = chain.policy { text += line(":\(chain.name) \(policy) [0:0]") }
      }
      for chain in table.chains where chain.policy == nil { text += line("-N \(chain.name)") }
      for chain in table.chains {
        for rule in chain.rules { text += rule.bytes + [newline] }
      }
      text += line("COMMIT")
    }
    return text
  }

  /// Empties and fills our chains; what others have stays. Our hooks are set once more each time it is loaded: no command
  /// of a restore asks what is there, `-I` always adds one and `-D` always takes one, or fails and the file with it. So no
  /// text leaves one hook after none and after one. The second call decides nothing that the first did not, though
  /// packets that our chains let go on are logged and counted twice; our next load leaves one hook of each.
  /// Rules for containers are left to us: Docker's chain cannot be named where it may or may not be.
  static func owned(_ rules: OwnedRules) -> [UInt8] {
    rules.standaloneText()
  }

  /// - Parameter name: below the directory of our state.
  static func text(_ known: KnownRules, _ family: Family, heading: String, name: String) -> [UInt8] {
    let body: [UInt8] =
      switch known.rules {
      case .exclusive(let rulesets): exclusive(rulesets[family])
      case .owned(let side): owned(side.rules[family])
      case .nothing: []
      }
    let program = family == .ipv4 ? "iptables-restore" : "ip6tables-restore"
    return line("# \(heading)") + line("# load with: \(program) --noflush /var/lib/portcullis/\(name)") + body
  }

  private static let newline = UInt8(ascii: "\n")

  private static func line(_ text: String) -> [UInt8] { Array(text.utf8) + [newline] }
}

extension HostAgent {
  /// Longer ones are not ours.
  static let maximumPlainSize = 64 << 20

  /// What is committed and the safe policy, for whoever has to do without us. Written after every commit; a crash in
  /// between leaves older ones, which the next start renews. What cannot be written does not undo a commit.
  func writePlainFiles() {
    // What was written then is perhaps not on the disk.
    let isRetry = lockMemory.plainRetryAt != nil
    lockMemory.isPlainBehind = false
    lockMemory.plainRetryAt = nil
    guard let committed = journal?.ledger.committed else { return }
    guard let known = try? committedRules(committed) else {
      do { try relockPlainFiles(layersInForce(), isRetry: isRetry) } catch {
        lockMemory.plainRetryAt = bootClock.now() + LockMemory.pause
      }
      return
    }
    // Should the manifest become unreadable while the host is locked, the built-in profile goes by them.
    lockMemory.sources = known.sources
    var texts = plainTexts(committed, known)
    texts.merge(safeTexts(sources: known.sources, beside: known)) { first, _ in first }
    write(texts, isRetry: isRetry)
    plainDigests = texts.mapValues { $0.map { Digest(of: $0) } }
  }

  func writeSafeFiles(sources: [String], beside known: KnownRules?) {
    write(safeTexts(sources: sources, beside: known), isRetry: lockMemory.plainRetryAt != nil)
  }

  /// By name below our state; nil for a file that is not to be there.
  func plainTexts(_ committed: CommittedBundle, _ known: KnownRules) -> [String: [UInt8]?] {
    let heading = "portcullis release \(committed.accepted.serial), host \(host)"
    var texts = ruleTexts(known, in: PlainFile.committed, heading: heading)
    // Ipsets and kernel settings of the committed rules.
    let files = [
      (PlainFile.sets, known.sets.encode(), "ipset -exist restore <"),
      (PlainFile.settings, known.beside.settings.plainText, "sysctl -p"),
    ]
    for (file, content, command) in files {
      let name = "\(PlainFile.committed)/\(file)"
      let head = "# \(heading)\n# load with: \(command) /var/lib/portcullis/\(name)\n"
      texts[name] = .some(content.isEmpty ? nil : Array(head.utf8) + content)
    }
    return texts
  }

  private func safeTexts(sources: [String], beside known: KnownRules?) -> [String: [UInt8]?] {
    var safe = safeRules(beside: [known].compactMap { $0 }, whole: false)
    safe.sources = sources
    return ruleTexts(safe, in: PlainFile.safe, heading: "portcullis safe policy, host \(host)")
  }

  private func ruleTexts(_ known: KnownRules, in directory: String, heading: String) -> [String: [UInt8]?] {
    var texts: [String: [UInt8]?] = [:]
    for family in Family.allCases {
      let name = "\(directory)/\(family).rules"
      // While the host is locked down these files lock it too.
      texts[name] =
        PlainFile.text(known, family, heading: heading, name: name) + (layersInForce()?[family].first ?? [])
    }
    return texts
  }

  /// What they lock with, for a host that has nothing else left to know it from. What cannot be read of it is made up for by
  /// what shuts more; nil where they do not lock.
  func plainLayers() -> PerFamily<LockLayer>? {
    let texts = PerFamily { family in plainLayer(family) }
    guard texts.ipv4 != nil || texts.ipv6 != nil else { return nil }
    return try? PerFamily { family in
      if let text = texts[family], let layer = try? LockLayer(loadedBy: text, family) { return layer }
      return try builtInLayers().layers[family]
    }
  }

  private func plainLayer(_ family: Family) -> ArraySlice<UInt8>? {
    let text = store.readFile("\(PlainFile.safe)/\(family).rules", atMost: Self.maximumPlainSize)
    return text.flatMap { text in LockLayer.start(in: text).map { text[$0...] } }
  }

  /// Where they cannot be made anew: what lies beneath stays as it is. One that cannot be written keeps no other back.
  ///
  /// - Parameters:
  ///   - layers: nil for none.
  ///   - isRetry: what is there already is perhaps not on the disk.
  /// - Returns: whether any was another.
  @discardableResult
  func relockPlainFiles(_ layers: PerFamily<LockLayer>?, isRetry: Bool = false) throws -> Bool {
    var hasChanged = false
    var failure: (any Error)?
    for directory in [PlainFile.committed, PlainFile.safe] {
      for family in Family.allCases {
        do {
          let name = "\(directory)/\(family).rules"
          if try relock(name, in: directory, layers?[family].first ?? [], isRetry: isRetry) { hasChanged = true }
        } catch { failure = failure ?? error }
      }
    }
    if let failure { throw failure }
    return hasChanged
  }

  private func relock(_ name: String, in directory: String, _ layer: [UInt8], isRetry: Bool) throws -> Bool {
    guard let text = try state.read(name, atMost: Self.maximumPlainSize) else { return false }
    let beneath = LockLayer.start(in: text).map { text[..<$0] } ?? text[...]
    let wanted = Array(beneath) + layer
    if wanted != text { try state.replace(name, in: directory, with: wanted) }
    if isRetry { try state.sync(directory) }
    if plainDigests != nil { plainDigests?[name] = .some(Digest(of: wanted)) }
    return wanted != text
  }

  /// What a full disk does not take now is tried again: a host whose agent is gone would boot open, or locked, by the old ones.
  private func write(_ texts: [String: [UInt8]?], isRetry: Bool) {
    for (name, text) in texts.sorted(by: { $0.key < $1.key }) {
      guard let text else {
        try? state.remove(name)
        continue
      }
      let directory = String(name.prefix { $0 != "/" })
      do {
        try replaceIfOther(name, in: directory, with: text)
        if isRetry { try state.sync(directory) }
      } catch {
        lockMemory.plainRetryAt = bootClock.now() + LockMemory.pause
      }
    }
  }

  private func replaceIfOther(_ name: String, in directory: String, with text: [UInt8]) throws {
    if (try? state.read(name, atMost: max(text.count, 1 << 20) * 4)) == text { return }
    // It is there but for the first time.
    try? state.makeDirectory(directory)
    try state.sync(".")
    try state.replace(name, in: directory, with: text)
  }

  /// The safe policy in the words of this host's programs, once it took whole tables: who replaces it rule by rule has to
  /// know which are its own.
  func keepSafePrinted() {
    for family in Family.allCases {
      guard let saved = try? savedRuleset(family).restricted(to: ["filter"]) else { continue }
      try? state.makeDirectory(PlainFile.safe)
      try? state.replace("\(PlainFile.safe)/\(family).loaded", in: PlainFile.safe, with: saved.canonical())
    }
  }
}

extension BundleStore {
  func readSafePrinted() -> PerFamily<Ruleset>? {
    func text(_ family: Family) -> Ruleset? {
      guard let text = readFile("\(PlainFile.safe)/\(family).loaded", atMost: 1 << 20) else { return nil }
      return try? Ruleset.parse(save: text, file: "\(family).loaded")
    }
    guard let ipv4 = text(.ipv4), let ipv6 = text(.ipv6) else { return nil }
    return PerFamily(ipv4: ipv4, ipv6: ipv6)
  }
}
