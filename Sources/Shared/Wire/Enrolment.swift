package import Core

/// What `portcullis-agent install` reads from standard input: everything a host must know to belong to a fleet. It
/// comes over an administrator's own login, so it is not signed; it *is* the trust that later signatures rest on.
package struct EnrolmentRequest: Hashable, Sendable {
  package static let magic = "portcullis-enrolment 2\n"
  package static let maximumSize = 1 << 20

  package var host: HostID
  package var fleet: FleetID
  /// Of the agent's executable as the controller has it.
  package var agent: Digest
  /// The text of allowed_signers.
  package var allowedSigners: [UInt8]
  /// The text of thresholds: how many people must sign each kind of order.
  package var thresholds: [UInt8]
  /// Public keys (`ssh-ed25519 AAAA… comment`) that may log in as the agent's user, and speak the protocol only.
  package var loginKeys: [String]

  package init(
    host: HostID, fleet: FleetID, agent: Digest, allowedSigners: [UInt8], thresholds: [UInt8], loginKeys: [String]
  ) {
    self.host = host
    self.fleet = fleet
    self.agent = agent
    self.allowedSigners = allowedSigners
    self.thresholds = thresholds
    self.loginKeys = loginKeys
  }

  package func encode() -> [UInt8] {
    var writer = ByteWriter()
    writer.raw(Self.magic.utf8)
    writer.text(host.description)
    writer.text(fleet.description)
    writer.raw(agent.bytes)
    writer.string(allowedSigners)
    writer.string(thresholds)
    writer.uint8(UInt8(loginKeys.count))
    for key in loginKeys { writer.text(key) }
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(ByteReader.Problem) {
    var reader = ByteReader(bytes)
    guard Array(try reader.raw(Self.magic.utf8.count, field: "magic")) == Array(Self.magic.utf8) else {
      throw .malformed(field: "magic")
    }
    guard let host = HostID(try reader.text("host", atMost: HostID.maximumLength)) else {
      throw .malformed(field: "host")
    }
    guard let fleet = FleetID(try reader.text("fleet", atMost: FleetID.maximumLength)) else {
      throw .malformed(field: "fleet")
    }
    self.host = host
    self.fleet = fleet
    agent = Digest(bytes: try reader.raw(Digest.byteCount, field: "agent"))!
    allowedSigners = Array(try reader.string("allowed signers", atMost: 256 << 10))
    thresholds = Array(try reader.string("thresholds", atMost: 4 << 10))
    loginKeys = []
    for _ in 0..<(try reader.uint8("login keys")) {
      let key = try reader.text("login key", atMost: 4 << 10)
      guard Self.isOneLine(key) else { throw .malformed(field: "login key") }
      loginKeys.append(key)
    }
    try reader.end()
  }

  /// A key becomes one line of authorized_keys: nothing in it may begin a second one, or an option.
  private static func isOneLine(_ key: String) -> Bool {
    key.utf8.allSatisfy { (0x20...0x7e).contains($0) }
      && (key.hasPrefix("ssh-") || key.hasPrefix("ecdsa-") || key.hasPrefix("sk-"))
  }
}

/// What `portcullis-agent install` answers on standard output: `key value` lines, for the controller and for people.
package struct InstallationAnswer: Hashable, Sendable {
  package enum Service: String, Hashable, Sendable {
    case systemd
    /// No systemd runs here: a daemon of its own session, which nothing starts again after a reboot.
    case detached
  }
  package enum GenerationZero: String, Hashable, Sendable {
    case captured
    case kept
  }

  package var service: Service
  package var generationZero: GenerationZero
  /// An older executable was replaced and is kept beside the new one.
  package var upgraded: Bool
  /// Enabled services that also load rules.
  package var conflicts: [String]
  /// Drop-ins of every service that the host has now and had not at its last enrolment, or other ones; below its root.
  package var dropIns: [String]

  private static let maximumPath = 400

  package init(
    service: Service, generationZero: GenerationZero, upgraded: Bool, conflicts: [String], dropIns: [String] = []
  ) {
    self.service = service
    self.generationZero = generationZero
    self.upgraded = upgraded
    self.conflicts = conflicts
    self.dropIns = dropIns.prefix(EnrolledFiles.maximumDropIns).map {
      String(String.UnicodeScalarView($0.unicodeScalars.prefix(Self.maximumPath).map { Self.isPlain($0) ? $0 : "?" }))
    }
  }

  private static func isPlain(_ character: Unicode.Scalar) -> Bool { (0x20...0x7e).contains(character.value) }

  package func encode() -> String {
    """
    portcullis-installation 2
    service \(service.rawValue)
    generation-0 \(generationZero.rawValue)
    upgraded \(upgraded ? "yes" : "no")
    conflicts \(conflicts.isEmpty ? "-" : conflicts.joined(separator: ","))
    drop-ins \(dropIns.count)
    \(dropIns.map { "drop-in \($0)\n" }.joined())
    """
  }

  /// Nil unless the text is exactly what `encode` writes.
  package init?(decoding text: String) {
    let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
    guard lines.count >= 7, lines[0] == "portcullis-installation 2", lines[lines.count - 1].isEmpty else { return nil }
    func value(_ line: Int, _ key: String) -> String? {
      lines[line].hasPrefix(key + " ") ? String(lines[line].dropFirst(key.count + 1)) : nil
    }
    guard let service = value(1, "service").flatMap(Service.init(rawValue:)),
      let generationZero = value(2, "generation-0").flatMap(GenerationZero.init(rawValue:)),
      let upgraded = value(3, "upgraded"), upgraded == "yes" || upgraded == "no",
      let conflicts = value(4, "conflicts").flatMap(Self.services), value(5, "drop-ins") == "\(lines.count - 7)",
      lines.count - 7 <= EnrolledFiles.maximumDropIns
    else { return nil }
    var dropIns: [String] = []
    for line in 6..<lines.count - 1 {
      guard let path = value(line, "drop-in"), (1...Self.maximumPath).contains(path.utf8.count),
        path.unicodeScalars.allSatisfy(Self.isPlain)
      else { return nil }
      dropIns.append(path)
    }
    self.init(
      service: service, generationZero: generationZero, upgraded: upgraded == "yes", conflicts: conflicts,
      dropIns: dropIns)
  }

  /// Names of units, in numbers and lengths as a report has them: a host can say anything here.
  private static func services(_ text: String) -> [String]? {
    if text == "-" { return [] }
    let names = text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
    guard names.count <= WireLimit.conflicts,
      names.allSatisfy({
        (1...WireLimit.conflict).contains($0.count) && $0.allSatisfy(isOfUnitName) && $0.first != UInt8(ascii: "-")
      })
    else { return nil }
    return names.map { String(decoding: $0, as: UTF8.self) }
  }

  private static func isOfUnitName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "@"):
      true
    default: false
    }
  }
}
