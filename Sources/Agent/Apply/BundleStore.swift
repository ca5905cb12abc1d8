package import Core
internal import Ruleset

/// The bundles on disk: `bundles/NAME/` with the files of the bundle and what this host adds to them; `committed`, a link
/// to the bundle that runs; `generation-0/`, the policies before the first one. A directory appears whole under its name
/// or not at all.
///
/// Beside a bundle's own files stand `FAMILY.expected`, what its rehearsal printed; `FAMILY.replaced`, the whole text
/// that it replaced and goes back to, if that was not ours; `FAMILY.found`, what the host held before it became
/// exclusive, kept on beside bundles that are so no more; `taken`, the foreign rules that were moved below our hooks; and
/// `lockdowns.rehearsed`, what came of trying its lockdown profiles.
package struct BundleStore {
  static let bundles = "bundles"
  static let committed = "committed"
  static let generation0 = "generation-0"
  private static let incoming = ".incoming"

  private let disk: any Disk

  package init(on disk: any Disk) { self.disk = disk }

  /// Writes a bundle's files durably. On an error nothing of it is left.
  package func stage(_ files: [BundleFile: [UInt8]], as name: BundleName) throws(SystemCallError) {
    let contents = files.map { ($0.key.fileName, $0.value) }.sorted { $0.0 < $1.0 }
    try makeDirectory(Self.bundles)
    try write(contents, to: "\(Self.bundles)/\(name)", in: Self.bundles)
  }

  /// Keeps what a rehearsal printed beside its bundle, in canonical form: files that stock programs load.
  package func keep(expected: PerFamily<[UInt8]>, of name: BundleName) throws(SystemCallError) {
    let directory = "\(Self.bundles)/\(name)"
    for family in Family.allCases {
      try disk.replace("\(directory)/\(family).expected", in: directory, with: expected[family])
    }
  }

  /// Nil when there is none, or when it is not the text whose digest is known.
  package func expected(_ family: Family, of name: BundleName, digest: Digest) -> [UInt8]? {
    guard let text = expectedText(family, of: name), Digest(of: text) == digest else { return nil }
    return text
  }

  /// Whatever it says now.
  func expectedText(_ family: Family, of name: BundleName) -> [UInt8]? {
    readFile("\(Self.bundles)/\(name)/\(family).expected", atMost: 4 * BundleFile.rules(family).maximumSize)
  }

  /// A whole text of other people's rules.
  enum Copy: String {
    case replaced
    case found
  }

  func keep(_ copy: Copy, _ texts: PerFamily<[UInt8]>, of name: BundleName) throws(SystemCallError) {
    let directory = "\(Self.bundles)/\(name)"
    for family in Family.allCases {
      try disk.replace("\(directory)/\(family).\(copy.rawValue)", in: directory, with: texts[family])
    }
  }

  /// Nil when none was kept.
  func read(_ copy: Copy, of name: BundleName) throws -> PerFamily<Ruleset>? {
    var found: [Family: Ruleset] = [:]
    for family in Family.allCases {
      let file = "\(family).\(copy.rawValue)"
      let text = try disk.read("\(Self.bundles)/\(name)/\(file)", atMost: 4 * BundleFile.rules(family).maximumSize)
      found[family] = try text.map { $0.isEmpty ? Ruleset() : try Ruleset.parse(save: $0, file: file) }
    }
    guard let ipv4 = found[.ipv4], let ipv6 = found[.ipv6] else { return nil }
    return PerFamily(ipv4: ipv4, ipv6: ipv6)
  }

  /// By their names below the state: what no digest of ours covers, whether it is there or not.
  func besideSigned(of name: BundleName) -> [String] {
    let copies = [Copy.replaced, .found].flatMap { copy in Family.allCases.map { "\($0).\(copy.rawValue)" } }
    let signatures = (0..<BundleFile.maximumSignatures).map { BundleFile.signature($0).fileName }
    return ([BundleFile.proof.fileName, TakenRulesFile.fileName, RehearsedProfiles.fileName] + signatures + copies)
      .map { "\(Self.bundles)/\(name)/\($0)" }
  }

  func keep(taken: PerFamily<[TakenRule]>, of name: BundleName) throws(SystemCallError) {
    let directory = "\(Self.bundles)/\(name)"
    try disk.replace(
      "\(directory)/\(TakenRulesFile.fileName)", in: directory, with: TakenRulesFile.encode(taken))
  }

  func keep(_ profiles: RehearsedProfiles, of name: BundleName) throws(SystemCallError) {
    let directory = "\(Self.bundles)/\(name)"
    try disk.replace(Self.rehearsedPath(of: name), in: directory, with: profiles.encode())
  }

  func readTaken(of name: BundleName) throws -> PerFamily<[TakenRule]> {
    let file = "\(Self.bundles)/\(name)/\(TakenRulesFile.fileName)"
    guard let text = try disk.read(file, atMost: TakenRulesFile.maximumSize) else { return .none }
    return try TakenRulesFile.parse(text)
  }

  /// What this host's programs printed of a bundle, whoever may have changed it since: good enough to tell which rules
  /// in the kernel came from it.
  func printed(_ name: BundleName) -> PerFamily<Ruleset>? {
    func text(_ family: Family) -> Ruleset? {
      guard let text = expectedText(family, of: name) else { return nil }
      return text.isEmpty ? Ruleset() : try? Ruleset.parse(save: text, file: "\(family).expected")
    }
    guard let ipv4 = text(.ipv4), let ipv6 = text(.ipv6) else { return nil }
    return PerFamily(ipv4: ipv4, ipv6: ipv6)
  }

  /// The files of a bundle as they are on disk now; `BundleVerifier.readmit` says whether they are still the signed
  /// ones, since what we go back to is always what was signed.
  package func read(_ name: BundleName) throws(SystemCallError) -> [BundleFile: [UInt8]] {
    var files: [BundleFile: [UInt8]] = [:]
    let all =
      [.statement, .manifest, .proof, .sets, .sysctl] + Family.allCases.map(BundleFile.rules)
      + (0..<BundleFile.maximumSignatures).map(BundleFile.signature) + BundleFile.lockdowns
    for file in all {
      files[file] = try disk.read("\(Self.bundles)/\(name)/\(file.fileName)", atMost: file.maximumSize)
    }
    return files
  }

  /// Points `committed` at a bundle, at once and durably.
  package func flip(to name: BundleName) throws(SystemCallError) {
    let target = "\(Self.bundles)/\(name)"
    guard try disk.linkTarget(Self.committed) != target else { return }
    let temporary = "\(Self.committed).new"
    try disk.remove(temporary)
    try disk.link(temporary, to: target)
    try disk.rename(temporary, to: Self.committed)
    try disk.sync(".")
  }

  /// Removes every bundle but these, and what was left half written. What cannot be removed only takes space.
  package func removeAll(except kept: [BundleName]) {
    try? disk.remove("\(Self.committed).new")
    let names = Set(kept.map(\.description))
    for entry in (try? disk.list(Self.bundles)) ?? [] where !names.contains(entry) {
      try? disk.removeTree("\(Self.bundles)/\(entry)")
    }
    for entry in (try? disk.list(".")) ?? [] where entry == Self.generation0 + Self.incoming {
      try? disk.removeTree(entry)
    }
  }

  package func remove(_ name: BundleName) { try? disk.removeTree("\(Self.bundles)/\(name)") }

  /// What ran before the first bundle, or nil when it was never captured.
  package func readGeneration0() throws(SystemCallError) -> PerFamily<[UInt8]>? {
    var found: [Family: [UInt8]] = [:]
    for family in Family.allCases {
      let name = "\(Self.generation0)/\(BundleFile.rules(family).fileName)"
      found[family] = try disk.read(name, atMost: 4 * BundleFile.rules(family).maximumSize)
    }
    guard let ipv4 = found[.ipv4], let ipv6 = found[.ipv6] else { return nil }
    return PerFamily(ipv4: ipv4, ipv6: ipv6)
  }

  /// Kept once, never overwritten.
  package func writeGeneration0(_ texts: PerFamily<[UInt8]>) throws(SystemCallError) {
    let contents = Family.allCases.map { (BundleFile.rules($0).fileName, texts[$0]) }
    try write(contents, to: Self.generation0, in: ".")
  }

  func readFile(_ name: String, atMost limit: Int) -> [UInt8]? { (try? disk.read(name, atMost: limit)) ?? nil }

  private func makeDirectory(_ name: String) throws(SystemCallError) {
    do {
      try disk.makeDirectory(name)
      try disk.sync(".")
    } catch  where error.errno == fileExists {
      return
    }
  }

  private func write(
    _ contents: [(String, [UInt8])], to final: String, in parent: String
  ) throws(SystemCallError) {
    let temporary = final + Self.incoming
    try disk.removeTree(temporary)
    do {
      try disk.makeDirectory(temporary)
      for (name, content) in contents {
        try disk.create("\(temporary)/\(name)", content)
        try disk.sync("\(temporary)/\(name)")
      }
      try disk.sync(temporary)
      try disk.rename(temporary, to: final)
    } catch {
      try? disk.removeTree(temporary)
      throw error
    }
    do {
      try disk.sync(parent)
    } catch {
      // Its name may not be durable; whoever asked must not find it.
      if parent == Self.bundles { try? disk.removeTree(final) }
      throw error
    }
  }
}
