internal import Core
internal import Release

/// What came of rehearsing a bundle's lockdown profiles on this host; a file beside the bundle.
struct RehearsedProfiles: Hashable {
  static let fileName = "lockdowns.rehearsed"
  static let maximumSize = 64 << 10
  private static let head = "portcullis-rehearsed-lockdowns 1"

  struct Entry: Hashable {
    var name: ProfileName
    /// What was signed of its rules: the same under another name is the same.
    var files: PerFamily<Digest>
    /// The ways in that were tried; nil when none were, or when they are to be tried again.
    var ways: Digest?
    var end: End
  }

  enum End: Hashable {
    /// Of the layer as it was printed, and why the knock says less than it might.
    case holds(PerFamily<Digest>, doubt: String?)
    case fails(String)
  }

  /// Version and backend.
  var programs: String
  var entries: [Entry]

  func entry(for profile: ProfileEntry) -> Entry? {
    entries.first { $0.files == profile.files.map { _, file in file.digest } }
  }

  var hasFailed: Bool {
    entries.contains { if case .fails = $0.end { true } else { false } }
  }

  /// What a load of it is to print; nil where it was not rehearsed.
  func expectation(of profile: ProfileEntry) -> Expectation? {
    guard case .holds(let digests, _)? = entry(for: profile)?.end else { return nil }
    return Expectation(digests: digests, programs: programs)
  }

  // MARK: - The file

  func encode() -> [UInt8] {
    let lines = entries.map { entry in
      let words = ["\(entry.name)", "\(entry.files.ipv4)", "\(entry.files.ipv6)", entry.ways.map { "\($0)" } ?? "-"]
      let end =
        switch entry.end {
        case .holds(let digests, let doubt): ["holds", "\(digests.ipv4)", "\(digests.ipv6)", doubt ?? "-"]
        case .fails(let words): ["fails", "-", "-", words]
        }
      return (words + end).joined(separator: " ")
    }
    return ([Self.head, "programs \(programs)"] + lines).flatMap { Array("\($0)\n".utf8) }
  }

  /// Nil for anything that is not such a file, whole.
  init?(parsing text: [UInt8]) {
    guard let text = String(validating: text, as: UTF8.self), text.last == "\n" else { return nil }
    let lines = text.dropLast().split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count >= 2, lines[0] == Self.head, lines[1].hasPrefix("programs ") else { return nil }
    programs = String(lines[1].dropFirst("programs ".count))
    entries = []
    for line in lines.dropFirst(2) {
      guard let entry = Self.entry(line), entries.count < ProfileEntry.maximumCount else { return nil }
      entries.append(entry)
    }
  }

  init(programs: String, entries: [Entry]) {
    self.programs = programs
    self.entries = entries
  }

  private static func entry(_ line: Substring) -> Entry? {
    let words = line.split(separator: " ", maxSplits: 7).map(String.init)
    guard words.count == 8, let name = ProfileName(words[0]), let ipv4 = Digest(words[1]), let ipv6 = Digest(words[2])
    else { return nil }
    let ways = Digest(words[3])
    guard ways != nil || words[3] == "-" else { return nil }
    let end: End
    switch words[4] {
    case "holds":
      guard let held4 = Digest(words[5]), let held6 = Digest(words[6]) else { return nil }
      end = .holds(PerFamily(ipv4: held4, ipv6: held6), doubt: words[7] == "-" ? nil : words[7])
    case "fails": end = .fails(words[7])
    default: return nil
    }
    return Entry(name: name, files: PerFamily(ipv4: ipv4, ipv6: ipv6), ways: ways, end: end)
  }
}

extension BundleStore {
  /// Nil where there is none, or what somebody made of it.
  func rehearsedProfiles(of name: BundleName) -> RehearsedProfiles? {
    readFile(Self.rehearsedPath(of: name), atMost: RehearsedProfiles.maximumSize)
      .flatMap(RehearsedProfiles.init(parsing:))
  }

  static func rehearsedPath(of name: BundleName) -> String { "\(bundles)/\(name)/\(RehearsedProfiles.fileName)" }
}
