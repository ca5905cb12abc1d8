internal import Core
internal import Release
internal import Ruleset
internal import Wire

/// A file that the next boot, or the next release, would go by, and that is not what it was to be.
struct DiskDifference: Hashable {
  /// What is not of one family stands with IPv4.
  let family: Family
  let name: String
  /// Nil for a file that is not to be there.
  let expected: Digest?
  /// Nil for one that is not there, or cannot be read.
  let found: Digest?
  /// Said instead of what was found.
  var words: String?

  /// Nil where there is no difference.
  init?(_ name: String, in family: Family = .ipv4, expected: Digest?, found: Digest?) {
    guard expected != found else { return nil }
    words = nil
    self.family = family
    self.name = name
    self.expected = expected
    self.found = found
  }

  /// A file by which systemd starts our units otherwise than when this host was enrolled. Nil where it is as it was.
  ///
  /// - Parameter expected: nil for one that was not there.
  init?(dropIn path: String, expected: Digest?, _ found: Digest?) {
    guard expected == nil || expected != found else { return nil }
    family = .ipv4
    name = Self.chain(path)
    self.expected = expected
    self.found = found
    let file = found.map { "(\($0))" } ?? "(it cannot be read)"
    words =
      UnitDirectories.isOfEveryService(path)
      ? "it \(expected == nil ? "came" : "changed") since the enrolment, and changes how services are started \(file): "
        + "if it is the distribution's, enroll the host anew; if not, remove it and run systemctl daemon-reload"
      : "somebody changed how our service is started \(file): remove this file and run systemctl daemon-reload, or waive it"
  }

  static let unknownEnrolment = DiskDifference(
    name: EnrolledFiles.fileName,
    words: "what an enrolment put on this host is not known any more: portcullis enroll writes it down again")

  private init(name: String, words: String) {
    family = .ipv4
    self.name = name
    expected = nil
    found = nil
    self.words = words
  }

  static func chain(_ path: String) -> String { OtherFilter.word(path, atMost: 200) }
}

extension HostAgent {
  /// What is ours to mend: the committed bundle as it is stored, and the plain files beside it.
  func diskDifferences(_ committed: CommittedBundle) -> [DiskDifference] {
    let beside = keptBundleDifferences(committed)
    let bundle = bundleDifferences(committed).filter { difference in !beside.contains { $0.name == difference.name } }
    return bundle + beside + plainDifferences(committed)
  }

  /// The next boot takes the bundle back as a whole, by the proof that ties the manifest to the release. Who only looks
  /// does not know what it was.
  private func proofDifference(
    _ committed: CommittedBundle, _ files: [BundleFile: [UInt8]]
  ) -> DiskDifference? {
    guard (try? readmitted(files, accepted: committed.accepted)) == nil else { return nil }
    return DiskDifference(
      "bundle/\(BundleFile.proof.fileName)", expected: committed.accepted.statement,
      found: files[.proof].map { Digest(of: $0) })
  }

  private func bundleDifferences(_ committed: CommittedBundle) -> [DiskDifference] {
    let files = (try? store.read(committed.name)) ?? [:]
    var found = [
      difference(.statement, committed.accepted.statement, files),
      difference(.manifest, committed.accepted.manifest, files),
    ]
    // What the others are to be stands in the manifest, if that is the signed one.
    if found[1] == nil, let manifest = files[.manifest].flatMap({ try? Manifest.parse($0) }) {
      found +=
        manifest.files.map { files in Family.allCases.map { (BundleFile.rules($0), files[$0].digest) } }?
        .map { difference($0.0, $0.1, files) } ?? []
      found.append(difference(.sets, manifest.sets?.digest, files))
      found.append(difference(.sysctl, manifest.sysctl?.digest, files))
      let profiles = manifest.profiles.flatMap { profile in Family.allCases.map { profile.files[$0].digest } }
      for (index, file) in BundleFile.lockdowns.enumerated() {
        found.append(difference(file, index < profiles.count ? profiles[index] : nil, files))
      }
      if found.allSatisfy({ $0 == nil }) { found.append(proofDifference(committed, files)) }
    }
    for family in Family.allCases {
      let text = store.expectedText(family, of: committed.name)
      found.append(
        DiskDifference(
          "bundle/\(family).expected", in: family, expected: committed.expectation.digests[family],
          found: text.map { Digest(of: $0) }))
    }
    let link = (try? state.linkTarget(BundleStore.committed)) ?? nil
    found.append(
      DiskDifference(
        BundleStore.committed, expected: Digest(of: "\(BundleStore.bundles)/\(committed.name)".utf8),
        found: link.map { Digest(of: $0.utf8) }))
    return found.compactMap(\.self)
  }

  private func difference(_ file: BundleFile, _ expected: Digest?, _ files: [BundleFile: [UInt8]]) -> DiskDifference? {
    DiskDifference(
      "bundle/\(file.fileName)", in: file.family ?? .ipv4, expected: expected,
      found: files[file].map { Digest(of: $0) })
  }

  /// As this agent wrote or found them last; one that only looks goes by what the committed rules say.
  private func plainDifferences(_ committed: CommittedBundle) -> [DiskDifference] {
    let wanted =
      plainDigests
      ?? (try? committedRules(committed)).map { plainTexts(committed, $0).mapValues { $0.map { Digest(of: $0) } } }
    return (wanted ?? [:]).sorted { $0.key < $1.key }.compactMap { name, digest in
      let found = (try? state.read(name, atMost: Self.maximumPlainSize)) ?? nil
      return DiskDifference(
        name, in: name.hasSuffix("\(Family.ipv6).rules") ? .ipv6 : .ipv4, expected: digest,
        found: found.map { Digest(of: $0) })
    }
  }

  /// The one that this agent wrote says what it knows, or else somebody changed it: then the next start goes by that, or
  /// cannot.
  func journalDifference() -> [DiskDifference] {
    guard let journal else { return [] }
    let found = try? Journal.read(from: state)
    guard found != journal.ledger else { return [] }
    func digest(_ ledger: Ledger) -> Digest { Digest(of: JournalRecord.snapshot(ledger).encode()) }
    return [DiskDifference(Journal.fileName, expected: digest(journal.ledger), found: found.map(digest))].compactMap(
      \.self)
  }

  /// What enrolment brought: whom this host trusts, who it is, its agent, who may log in to it, what starts it. Enrolling
  /// again mends it, but for files of others by which systemd starts it otherwise.
  func enrolledDifferences() -> [DiskDifference] {
    guard let enrolled = enrolledText().flatMap(EnrolledFiles.init(parsing:)) else { return [] }
    let changed = enrolled.files.compactMap { file in
      let found = facts.digest(ofFile: file.path)
      // What is gone changes nothing any more.
      return UnitDirectories.isOfEveryService(file.path) && found != nil
        ? DiskDifference(dropIn: file.path, expected: file.digest, found)
        : DiskDifference(DiskDifference.chain(file.path), expected: file.digest, found: found)
    }
    let noted = Set(enrolled.files.map(\.path))
    let dropIns = facts.dropIns.filter { !noted.contains($0) }.sorted().prefix(Self.maximumDropIns)
    return changed + dropIns.compactMap { DiskDifference(dropIn: $0, expected: nil, facts.digest(ofFile: $0)) }
  }

  private static let maximumDropIns = 64

  private func enrolledText() -> [UInt8]? {
    (try? state.read(EnrolledFiles.fileName, atMost: EnrolledFiles.maximumSize)) ?? nil
  }

  /// Without the note nobody compares what enrolment brought: an agent that starts must not take that for no difference.
  func unknownEnrolment() -> [DiskDifference] {
    guard let text = enrolledText() else {
      return facts.digest(ofFile: EnrolledFiles.agentPath) == nil ? [] : [.unknownEnrolment]
    }
    return EnrolledFiles(parsing: text) == nil ? [.unknownEnrolment] : []
  }
}
