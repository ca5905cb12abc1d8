package import Core

/// What is signed: one small text that binds every host's manifest, through a Merkle root, to one serial of one fleet.
/// One signature, and so one touch of a hardware key, covers the whole fleet, and no host learns another's rules.
package struct ReleaseStatement: Hashable, Sendable {
  package let fleet: FleetID
  package let serial: Serial
  package let issued: UTCTime
  /// The first second at which no host installs this release any more. It never ends what a host already runs.
  package let expires: UTCTime
  /// How many manifests stand under the root.
  package let hosts: Int
  package let root: Digest
  /// Why the release was made, in its author's words; `-` when nothing was said.
  package let reason: String

  /// Throws for a value the text format has no spelling for.
  package init(
    fleet: FleetID, serial: Serial, issued: UTCTime, expires: UTCTime, hosts: Int, root: Digest, reason: String = "-"
  ) throws(FormatProblem) {
    func refuse(_ reason: String) -> FormatProblem { FormatProblem(Self.file, reason) }
    guard serial > .none else { throw refuse("serial 0 means that there is no release; the first is 1") }
    for (name, time) in [("issued", issued), ("expires", expires)] {
      if let fault = SignedWords.fault(inTime: time) { throw refuse("'\(name)' \(fault)") }
    }
    guard issued < expires else { throw refuse("it expires (\(expires)) before it is issued (\(issued))") }
    guard hosts > 0 else { throw refuse("a release needs at least one host") }
    if let fault = SignedWords.fault(inReason: reason) { throw refuse(fault) }
    self.fleet = fleet
    self.serial = serial
    self.issued = issued
    self.expires = expires
    self.hosts = hosts
    self.root = root
    self.reason = reason
  }

  private static let file = BundleFile.statement.fileName

  package func encode() -> [UInt8] {
    let text = """
      portcullis-release 1
      fleet \(fleet)
      serial \(serial)
      issued \(issued)
      expires \(expires)
      hosts \(hosts)
      root \(root)
      reason \(reason)

      """
    return Array(text.utf8)
  }

  /// Accepts exactly what `encode` writes.
  package static func parse(_ bytes: [UInt8]) throws(FormatProblem) -> ReleaseStatement {
    var lines = try StrictLines(bytes, file: file, atMost: BundleFile.statement.maximumSize)
    try lines.header("portcullis-release")
    let fleet = try lines.fleet()
    let serial = Serial(try lines.unsigned("serial"))
    let issued = try lines.time("issued")
    let expires = try lines.time("expires")
    let hosts = try lines.count("hosts")
    let root = try lines.digest("root")
    let reason = try lines.value(of: "reason")
    try lines.end()
    return try ReleaseStatement(
      fleet: fleet, serial: serial, issued: issued, expires: expires, hosts: hosts, root: root, reason: reason)
  }
}
