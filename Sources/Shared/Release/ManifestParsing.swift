internal import Core

extension Manifest {
  /// Accepts exactly what `encode` writes.
  package static func parse(_ bytes: [UInt8]) throws(FormatProblem) -> Manifest {
    var lines = try StrictLines(bytes, file: file, atMost: BundleFile.manifest.maximumSize)
    try lines.header("portcullis-manifest")
    let fleet = try lines.fleet()
    let hostText = try lines.value(of: "host")
    guard let host = HostID(hostText) else { throw lines.problem("'\(hostText)' is not a host's name") }
    let serial = Serial(try lines.unsigned("serial"))
    let grants = try sortedValues(of: "grant", in: &lines).map { (text) throws(FormatProblem) in
      guard let grant = Grant(text) else { throw lines.problem("grant '\(text)' is not known here") }
      return grant
    }
    let modeText = try lines.value(of: "mode")
    guard let mode = Mode(rawValue: modeText) else {
      throw lines.problem("mode '\(modeText)' is none of exclusive, owned, withdrawn")
    }
    let forwardText = lines.optionalValue(of: "forward")
    guard forwardText == nil || forwardText == "foreign" else {
      throw lines.problem("forward '\(forwardText ?? "")' is not foreign")
    }
    let foreignText = lines.optionalValue(of: "foreign")
    guard foreignText == nil || foreignText == "deny" else {
      throw lines.problem("foreign '\(foreignText ?? "")' is not deny")
    }
    let foreignAllowed = try sortedValues(of: "foreign-allow", in: &lines)
    let labels = try sortedValues(of: "label", in: &lines)
    let sources = try sortedValues(of: "source", in: &lines)
    let files: PerFamily<File>? =
      mode == .withdrawn
      ? nil
      : try PerFamily { (family) throws(FormatProblem) in
        let name = BundleFile.rules(family).fileName
        return try entry(try lines.value(of: "file \(name)"), name, lines)
      }
    let sets = try optionalEntry(of: .sets, in: &lines)
    let sysctl = try optionalEntry(of: .sysctl, in: &lines)
    try lines.end()
    return try Manifest(
      fleet: fleet, host: host, serial: serial, grants: grants, mode: mode, forwardsForeign: forwardText != nil,
      deniesForeign: foreignText != nil, foreignAllowed: foreignAllowed, labels: labels, sources: sources, files: files,
      sets: sets,
      sysctl: sysctl)
  }

  private static func sortedValues(of key: String, in lines: inout StrictLines) throws(FormatProblem) -> [String] {
    var values: [String] = []
    while let value = lines.optionalValue(of: key) {
      if let last = values.last, !last.utf8.lexicographicallyPrecedes(value.utf8) {
        throw lines.problem(last == value ? "\(key) '\(value)' stands twice" : "\(key) '\(value)' is out of order")
      }
      values.append(value)
    }
    return values
  }

  private static func optionalEntry(
    of file: BundleFile, in lines: inout StrictLines
  ) throws(FormatProblem) -> File? {
    guard let value = lines.optionalValue(of: "file \(file.fileName)") else { return nil }
    return try entry(value, file.fileName, lines)
  }

  private static func entry(_ value: String, _ name: String, _ lines: StrictLines) throws(FormatProblem) -> File {
    let words = value.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 2, let number = CanonicalNumber.parse(words[0]), let size = Int(exactly: number) else {
      throw lines.problem("a 'file \(name)' line has a size in bytes and a digest")
    }
    guard let digest = Digest(String(words[1])) else {
      throw lines.problem("'\(words[1])' is not sha256: and 64 hexadecimal digits")
    }
    return File(size: size, digest: digest)
  }
}
