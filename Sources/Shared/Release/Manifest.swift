package import Core

/// What one host is to run: the leaf of the release's Merkle tree. It names the host, so that a bundle pushed to
/// another one is refused, and the digest of every file, so that halves of two bundles cannot be mixed.
package struct Manifest: Hashable, Sendable {
  package enum Mode: String, Hashable, Sendable, CaseIterable {
    /// The whole of every table the bundle declares is ours.
    case exclusive
    /// Only our own chains and their hooks are ours.
    case owned
    /// The host gives our rules up and stays enrolled; there are no rule files.
    case withdrawn
  }

  package struct File: Hashable, Sendable {
    /// In bytes.
    package let size: Int
    package let digest: Digest

    package init(size: Int, digest: Digest) {
      self.size = size
      self.digest = digest
    }

    package init(describing content: [UInt8]) { self.init(size: content.count, digest: Digest(of: content)) }
  }

  /// In bytes.
  package static let maximumLabelLength = 128

  package let fleet: FleetID
  package let host: HostID
  package let serial: Serial
  /// Sorted by their texts, each once.
  package let grants: [Grant]
  package let mode: Mode
  /// Owned mode: what our rules for forwarded packets do not decide is left to Docker's or Kubernetes' own.
  package let forwardsForeign: Bool
  /// Owned mode: what others have is drift when it is new or changed, known software too.
  package let deniesForeign: Bool
  /// Owned mode: foreign rules that may stand above our hook although they accept what the policy may drop. Each is a
  /// rule as iptables-save prints it (`-A INPUT …`), or `*` for any. Sorted by bytes, each once.
  package let foreignAllowed: [String]
  /// The host's groups and the like: sorted by bytes, each once.
  package let labels: [String]
  /// Numeric addresses and prefixes the host sees its managers come from: canonical, sorted by bytes, each once.
  package let sources: [String]
  /// Nil exactly when the mode is `withdrawn`.
  package let files: PerFamily<File>?
  /// Nil when the bundle has no ipsets.
  package let sets: File?
  /// Nil when the bundle has no kernel settings.
  package let sysctl: File?
  /// The lockdown profiles staged with the rules, sorted by name.
  package let profiles: [ProfileEntry]

  /// In bytes.
  package static let maximumForeignRuleLength = 1024

  /// Sorts grants, labels and sources and drops repetitions; throws for a value the text format has no spelling for.
  package init(
    fleet: FleetID, host: HostID, serial: Serial, grants: [Grant] = [], mode: Mode, forwardsForeign: Bool = false,
    deniesForeign: Bool = false, foreignAllowed: [String] = [], labels: [String], sources: [String],
    files: PerFamily<File>?,
    sets: File? = nil, sysctl: File? = nil, profiles: [ProfileEntry] = []
  ) throws(FormatProblem) {
    func refuse(_ reason: String) -> FormatProblem { FormatProblem(Self.file, reason) }
    guard serial > .none else { throw refuse("serial 0 means that there is no release; the first is 1") }
    guard (mode == .withdrawn) == (files == nil) else {
      throw refuse(
        mode == .withdrawn ? "mode withdrawn has no rule files" : "mode \(mode.rawValue) needs both rule files")
    }
    guard mode == .owned || !forwardsForeign && !deniesForeign && foreignAllowed.isEmpty else {
      throw refuse("only mode owned says what becomes of foreign rules")
    }
    for rule in foreignAllowed {
      if let fault = Self.fault(inForeignRule: rule) { throw refuse(fault) }
    }
    for label in labels {
      if let fault = Self.fault(inLabel: label) { throw refuse(fault) }
    }
    for source in sources {
      if let fault = NumericAddress.fault(in: source) { throw refuse("source '\(source)' \(fault)") }
    }
    guard mode != .withdrawn || sets == nil && sysctl == nil else {
      throw refuse("mode withdrawn has neither ipsets nor kernel settings")
    }
    guard mode != .withdrawn || profiles.isEmpty else { throw refuse("mode withdrawn has no lockdown profiles") }
    guard profiles.count <= ProfileEntry.maximumCount else {
      throw refuse("\(profiles.count) lockdown profiles, more than the \(ProfileEntry.maximumCount) allowed")
    }
    let profiles = profiles.sorted { $0.name < $1.name }
    for (profile, next) in zip(profiles, profiles.dropFirst()) where profile.name == next.name {
      throw refuse("two lockdown profiles have the name \(profile.name)")
    }
    for (name, file) in Self.named(files, sets, sysctl) {
      guard (0...name.maximumSize).contains(file.size) else {
        throw refuse("\(name.fileName) has \(file.size) bytes, more than the \(name.maximumSize) allowed")
      }
    }
    self.fleet = fleet
    self.host = host
    self.serial = serial
    self.grants = Set(grants).sorted { $0.text.utf8.lexicographicallyPrecedes($1.text.utf8) }
    self.mode = mode
    self.forwardsForeign = forwardsForeign
    self.deniesForeign = deniesForeign
    self.foreignAllowed = Self.sortedUnique(foreignAllowed)
    self.labels = Self.sortedUnique(labels)
    self.sources = Self.sortedUnique(sources)
    self.files = files
    self.sets = sets
    self.sysctl = sysctl
    self.profiles = profiles
    let size = encode().count
    guard size <= BundleFile.manifest.maximumSize else {
      throw refuse(
        "\(size) bytes, more than the \(BundleFile.manifest.maximumSize) allowed: too many labels or sources")
    }
  }

  static let file = BundleFile.manifest.fileName

  /// Every file besides the manifest's own company, in the order of its lines.
  var named: [(name: BundleFile, file: File)] { Self.named(files, sets, sysctl) }

  private static func named(
    _ files: PerFamily<File>?, _ sets: File?, _ sysctl: File?
  ) -> [(name: BundleFile, file: File)] {
    let rules = files.map { files in Family.allCases.map { (BundleFile.rules($0), files[$0]) } } ?? []
    return rules + (sets.map { [(.sets, $0)] } ?? []) + (sysctl.map { [(.sysctl, $0)] } ?? [])
  }

  package func encode() -> [UInt8] { encode(forRelease: true) }

  /// The digest of the bytes without their `serial` and `grant` lines: two manifests with the same one ask the host for the same
  /// state, so a host stays current when only others changed.
  package var contentDigest: Digest { Digest(of: encode(forRelease: false)) }

  private func encode(forRelease: Bool) -> [UInt8] {
    var lines = ["portcullis-manifest 1", "fleet \(fleet)", "host \(host)"]
    if forRelease {
      lines.append("serial \(serial)")
      lines += grants.map { "grant \($0.text)" }
    }
    lines.append("mode \(mode.rawValue)")
    if forwardsForeign { lines.append("forward foreign") }
    if deniesForeign { lines.append("foreign deny") }
    lines += foreignAllowed.map { "foreign-allow \($0)" }
    lines += labels.map { "label \($0)" }
    lines += sources.map { "source \($0)" }
    lines += named.map { "file \($0.name.fileName) \($0.file.size) \($0.file.digest)" }
    lines += profiles.map { "lockdown \($0.text)" }
    return lines.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] }
  }

  /// Letters, digits and `._-+/:=@`, so that a label is one word wherever it is shown.
  static func fault(inLabel label: String) -> String? {
    guard (1...maximumLabelLength).contains(label.utf8.count) else {
      return "a label has \(label.utf8.count) bytes; 1 to \(maximumLabelLength) are allowed"
    }
    let marks = "._-+/:=@"
    let isWord = label.utf8.allSatisfy { byte in
      ASCII.isLetterOrDigit(byte) || marks.utf8.contains(byte)
    }
    return isWord ? nil : "label '\(label)' may hold only letters, digits and \(marks)"
  }

  /// `*` or a rule of a built-in chain, in printable ASCII, so that it is one line wherever it is shown.
  private static func fault(inForeignRule rule: String) -> String? {
    guard rule.utf8.count <= maximumForeignRuleLength else {
      return "a foreign rule has \(rule.utf8.count) bytes; \(maximumForeignRuleLength) are allowed"
    }
    let isRule = rule.hasPrefix("-A ") && rule.utf8.allSatisfy { (0x20...0x7e).contains($0) } && !rule.hasSuffix(" ")
    return rule == "*" || isRule
      ? nil : "foreign rule '\(rule)' is neither * nor a rule like -A INPUT -s 192.0.2.1/32 -j ACCEPT"
  }

  private static func sortedUnique(_ words: [String]) -> [String] {
    Set(words).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}
