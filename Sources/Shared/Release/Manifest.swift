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
  package let mode: Mode
  /// The host's groups and the like: sorted by bytes, each once.
  package let labels: [String]
  /// Numeric addresses and prefixes the host sees its managers come from: canonical, sorted by bytes, each once.
  package let sources: [String]
  /// Nil exactly when the mode is `withdrawn`.
  package let files: PerFamily<File>?

  /// Sorts labels and sources and drops repetitions; throws for a value the text format has no spelling for.
  package init(
    fleet: FleetID, host: HostID, serial: Serial, mode: Mode, labels: [String], sources: [String],
    files: PerFamily<File>?
  ) throws(FormatProblem) {
    func refuse(_ reason: String) -> FormatProblem { FormatProblem(Self.file, reason) }
    guard serial > .none else { throw refuse("serial 0 means that there is no release; the first is 1") }
    guard (mode == .withdrawn) == (files == nil) else {
      throw refuse(
        mode == .withdrawn ? "mode withdrawn has no rule files" : "mode \(mode.rawValue) needs both rule files")
    }
    for label in labels {
      if let fault = Self.fault(inLabel: label) { throw refuse(fault) }
    }
    for source in sources {
      if let fault = NumericAddress.fault(in: source) { throw refuse("source '\(source)' \(fault)") }
    }
    for family in Family.allCases {
      guard let file = files?[family] else { continue }
      let limit = BundleFile.rules(family).maximumSize
      guard (0...limit).contains(file.size) else {
        throw refuse("\(BundleFile.rules(family).fileName) has \(file.size) bytes, more than the \(limit) allowed")
      }
    }
    self.fleet = fleet
    self.host = host
    self.serial = serial
    self.mode = mode
    self.labels = Self.sortedUnique(labels)
    self.sources = Self.sortedUnique(sources)
    self.files = files
    let size = encode().count
    guard size <= BundleFile.manifest.maximumSize else {
      throw refuse(
        "\(size) bytes, more than the \(BundleFile.manifest.maximumSize) allowed: too many labels or sources")
    }
  }

  static let file = BundleFile.manifest.fileName

  package func encode() -> [UInt8] { encode(withSerial: true) }

  /// The digest of the bytes without their `serial` line: two manifests with the same one ask the host for the same
  /// state, so a host stays current when only others changed.
  package var contentDigest: Digest { Digest(of: encode(withSerial: false)) }

  private func encode(withSerial: Bool) -> [UInt8] {
    var lines = ["portcullis-manifest 1", "fleet \(fleet)", "host \(host)"]
    if withSerial { lines.append("serial \(serial)") }
    lines.append("mode \(mode.rawValue)")
    lines += labels.map { "label \($0)" }
    lines += sources.map { "source \($0)" }
    if let files {
      lines += Family.allCases.map { family in
        "file \(BundleFile.rules(family).fileName) \(files[family].size) \(files[family].digest)"
      }
    }
    return lines.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] }
  }

  /// Letters, digits and `._-+/:=@`, so that a label is one word wherever it is shown.
  private static func fault(inLabel label: String) -> String? {
    guard (1...maximumLabelLength).contains(label.utf8.count) else {
      return "a label has \(label.utf8.count) bytes; 1 to \(maximumLabelLength) are allowed"
    }
    let marks = "._-+/:=@"
    let isWord = label.utf8.allSatisfy { byte in
      ASCII.isLetterOrDigit(byte) || marks.utf8.contains(byte)
    }
    return isWord ? nil : "label '\(label)' may hold only letters, digits and \(marks)"
  }

  private static func sortedUnique(_ words: [String]) -> [String] {
    Set(words).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}
