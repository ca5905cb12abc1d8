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
    let grants = try lines.sortedValues(of: "grant").map { (text) throws(FormatProblem) in
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
    let foreignAllowed = try lines.sortedValues(of: "foreign-allow")
    let labels = try lines.sortedValues(of: "label")
    let sources = try lines.sortedValues(of: "source")
    let files: PerFamily<File>? =
      mode == .withdrawn
      ? nil
      : try PerFamily { (family) throws(FormatProblem) in
        let name = BundleFile.rules(family).fileName
        return try entry(try lines.value(of: "file \(name)"), in: "file \(name)", lines)
      }
    let sets = try optionalEntry(of: .sets, in: &lines)
    let sysctl = try optionalEntry(of: .sysctl, in: &lines)
    let profiles = try lines.sortedValues(of: "lockdown").map { (text) throws(FormatProblem) in try profile(text, lines)
    }
    try lines.end()
    return try Manifest(
      fleet: fleet, host: host, serial: serial, grants: grants, mode: mode, forwardsForeign: forwardText != nil,
      deniesForeign: foreignText != nil, foreignAllowed: foreignAllowed, labels: labels, sources: sources, files: files,
      sets: sets,
      sysctl: sysctl, profiles: profiles)
  }

  private static func optionalEntry(
    of file: BundleFile, in lines: inout StrictLines
  ) throws(FormatProblem) -> File? {
    guard let value = lines.optionalValue(of: "file \(file.fileName)") else { return nil }
    return try entry(value, in: "file \(file.fileName)", lines)
  }

  private static func entry(_ value: String, in key: String, _ lines: StrictLines) throws(FormatProblem) -> File {
    let words = value.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 2, let number = CanonicalNumber.parse(words[0]), let size = Int(exactly: number) else {
      throw lines.problem("a '\(key)' line has a size in bytes and a digest")
    }
    guard let digest = Digest(String(words[1])) else {
      throw lines.problem("'\(words[1])' is not sha256: and 64 hexadecimal digits")
    }
    return File(size: size, digest: digest)
  }

  private static func profile(_ value: String, _ lines: StrictLines) throws(FormatProblem) -> ProfileEntry {
    let words = value.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    guard words.count == 6 else {
      throw lines.problem("a 'lockdown' line has a name, a rank, and each family's size in bytes and digest")
    }
    guard let name = ProfileName(words[0]) else { throw lines.problem("'\(words[0])' is not a profile's name") }
    guard let number = CanonicalNumber.parse(words[1]), let rank = LockRank(number) else {
      throw lines.problem("'\(words[1])' is not a rank, which is 0 to \(LockRank.maximum)")
    }
    let files = PerFamily(ipv4: words[2...3], ipv6: words[4...5])
    return try ProfileEntry(
      name: name, rank: rank,
      files: files.map { (_, words) throws(FormatProblem) in
        try entry(words.joined(separator: " "), in: "lockdown", lines)
      })
  }
}
