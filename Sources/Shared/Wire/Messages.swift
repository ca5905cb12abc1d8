package import Core

/// The protocol between controller and agent (docs/wire.md). Both sides refuse any other version by name.
package enum ProtocolVersion {
  package static let current: UInt16 = 1
}

/// 32 random bytes that tie an answer to the question it answers.
package struct Nonce: Hashable, Sendable {
  package static let byteCount = 32
  package let bytes: [UInt8]

  package init?(bytes: some Collection<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    self.bytes = Array(bytes)
  }

  package static func random() -> Nonce { Nonce(bytes: (0..<byteCount).map { _ in UInt8.random(in: .min ... .max) })! }
}

/// Names one attempt to apply; a repeated request with the same one gets the recorded answer.
package struct TransactionID: Hashable, Sendable, CustomStringConvertible {
  package static let byteCount = 16
  package let bytes: [UInt8]

  package init?(bytes: some Collection<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    self.bytes = Array(bytes)
  }

  package static func random() -> TransactionID {
    TransactionID(bytes: (0..<byteCount).map { _ in UInt8.random(in: .min ... .max) })!
  }

  package var description: String { Hex.encode(bytes) }
}

/// What the controller says.
package enum ControllerMessage: Hashable, Sendable {
  /// First on every connection.
  case hello(version: UInt16)
  /// Announces a bundle: each file and its size in bytes, in the order their contents follow.
  case stage(TransactionID, [StagedFile])
  /// The next piece of the announced files, which are sent back to back; never spans two files.
  case data([UInt8])
  /// Apply what was staged, if its manifest has this digest.
  case apply(TransactionID, manifest: Digest)
  case report(Nonce)
  /// The whole text of one side of one family, for showing a difference.
  case text(TextRequest)
  case goodbye
}

package struct StagedFile: Hashable, Sendable {
  package let file: BundleFile
  package let size: Int
  package init(file: BundleFile, size: Int) {
    self.file = file
    self.size = size
  }
}

package struct TextRequest: Hashable, Sendable {
  package enum Side: UInt8, Hashable, Sendable {
    /// What rehearsal said this host's own programs would print.
    case expected = 0
    /// What the kernel holds now, in canonical form.
    case observed = 1
  }
  package let family: Family
  package let side: Side
  package init(family: Family, side: Side) {
    self.family = family
    self.side = side
  }
}

/// What the agent says.
package enum AgentMessage: Hashable, Sendable {
  /// First on every connection, without being asked.
  case hello(AgentHello)
  case staged(TransactionID, manifest: Digest)
  case outcome(Outcome)
  case report(Report)
  /// A piece of an asked-for text; `last` ends it. An empty text is one empty last piece.
  case text(TextRequest, piece: [UInt8], last: Bool)
  case refused(Refusal)
}

package struct AgentHello: Hashable, Sendable {
  package var version: UInt16
  package var agentVersion: String
  package var host: HostID
  package var fleet: FleetID
  package init(version: UInt16, agentVersion: String, host: HostID, fleet: FleetID) {
    self.version = version
    self.agentVersion = agentVersion
    self.host = host
    self.fleet = fleet
  }
}

/// How an apply ended. Sent only after the journal holds it durably.
package struct Outcome: Hashable, Sendable {
  package enum Result: UInt8, Hashable, Sendable {
    /// Both families run the new bundle, re-read and equal to the rehearsal.
    case committed = 0
    /// The host already ran exactly this; nothing was touched.
    case unchanged = 1
    /// It failed after the first change; both families are back on the last committed bundle.
    case reverted = 2
    /// It failed, and so did going back; the safe policy is loaded.
    case failed = 3
  }
  package var transaction: TransactionID
  package var result: Result
  package var serial: Serial
  package var manifest: Digest
  /// Why, when the result is `reverted` or `failed`; otherwise empty.
  package var detail: String
  package init(transaction: TransactionID, result: Result, serial: Serial, manifest: Digest, detail: String) {
    self.transaction = transaction
    self.result = result
    self.serial = serial
    self.manifest = manifest
    self.detail = detail
  }
}

/// A request the agent did not carry out, with nothing changed on the host.
package struct Refusal: Error, Hashable, Sendable {
  package enum Code: UInt8, Hashable, Sendable, CaseIterable {
    case otherVersion = 0
    case malformed = 1
    case tooLarge = 2
    case badSignature = 3
    case unknownKey = 4
    case expiredKey = 5
    case otherNamespace = 6
    case otherHost = 7
    case otherFleet = 8
    case olderSerial = 9
    case equalSerialOtherBytes = 10
    case serialTooFarAhead = 11
    case releaseExpired = 12
    case rulesDoNotParse = 13
    case rulesDoNotLoad = 14
    case rehearsalDiffers = 15
    case diskFull = 16
    case busy = 17
    case unsupported = 18
    case internalError = 19
  }
  package var code: Code
  /// What was refused and why, in words for an operator.
  package var detail: String
  /// Where in the bundle's rules, if that is what is wrong.
  package var location: RuleLocation?
  package init(code: Code, detail: String, location: RuleLocation? = nil) {
    self.code = code
    self.detail = detail
    self.location = location
  }
}

package struct RuleLocation: Hashable, Sendable {
  package var family: Family
  /// Counted from 1 in the bundle's rules file.
  package var line: Int
  package init(family: Family, line: Int) {
    self.family = family
    self.line = line
  }
}
