package import Core

/// The protocol between controller and agent (docs/wire.md). Both sides refuse any other version by name.
package enum ProtocolVersion {
  package static let current: UInt16 = 5
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
  /// Apply what was staged, if its manifest has this digest, and wait to be told that the host is still reachable.
  /// Repeated after a lost answer it gets the answer again.
  case apply(TransactionID, manifest: Digest, ConfirmationTerms)
  /// The host is still reachable: make the change permanent.
  case confirm(ChangeConfirmation)
  /// Take an applied change back now, without waiting for its deadline.
  case cancel(TransactionID)
  /// From root on the host itself: never heeded over SSH.
  case local(LocalOrder)
  case report(Nonce)
  /// The whole text of one side of one family, for showing a difference.
  case text(TextRequest)
  /// What a policy that only observes would have dropped.
  case observe
  /// The changes after the one of this number: at once when there are any, else when one comes or the time is over.
  case watch(after: UInt64, seconds: UInt16)
  /// A signed order to lock down or to unlock, from anybody.
  case order(OrderDelivery)
  case goodbye
}

/// Until when, and by whom, a change must be confirmed.
package struct ConfirmationTerms: Hashable, Sendable {
  /// In seconds.
  package static let allowed: ClosedRange<UInt16> = 15...600
  package static let standard = ConfirmationTerms(seconds: 60, isManual: false)

  /// From ARMED, before anything is changed, to the moment the host goes back by itself.
  package let seconds: UInt16
  /// A person confirms, so nobody tries to at once. The host only shows it; it waits just the same.
  package let isManual: Bool

  /// Seconds beyond what is allowed become the nearest that are.
  package init(seconds: UInt16, isManual: Bool) {
    self.seconds = min(max(seconds, Self.allowed.lowerBound), Self.allowed.upperBound)
    self.isManual = isManual
  }
}

/// Names the one change it confirms, by what only its receiver of `applied` knows.
package struct ChangeConfirmation: Hashable, Sendable {
  package let transaction: TransactionID
  package let manifest: Digest
  /// From `AppliedChange`.
  package let nonce: Nonce
  package init(transaction: TransactionID, manifest: Digest, nonce: Nonce) {
    self.transaction = transaction
    self.manifest = manifest
    self.nonce = nonce
  }
}

package struct LocalOrder: Hashable, Sendable {
  package enum Deed: UInt8, Hashable, Sendable, CaseIterable {
    /// Load the safe policy, and stay on it until the next release or rollback.
    case safe = 0
    /// Back to the bundle that was committed before the one that runs.
    case rollback = 1
    /// End the lockdown.
    case lift = 2
  }
  package let deed: Deed
  /// For the record.
  package let reason: String
  package init(deed: Deed, reason: String) {
    self.deed = deed
    self.reason = reason
  }
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
  /// The new rules are loaded, and go away at the deadline unless `confirm` comes over another TCP connection.
  case applied(AppliedChange)
  case outcome(Outcome)
  /// A local order was carried out. In words for the person at the console.
  case done(String)
  case report(Report)
  /// A piece of an asked-for text; `last` ends it. An empty text is one empty last piece.
  case text(TextRequest, piece: [UInt8], last: Bool)
  case observations(Observations)
  case changes(Changes)
  /// The order of this nonce was verified, and this came of it.
  case obeyed(Nonce, Obeyed)
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

/// A change that waits to be confirmed.
package struct AppliedChange: Hashable, Sendable {
  package var transaction: TransactionID
  package var manifest: Digest
  /// To be named by the confirmation.
  package var nonce: Nonce
  /// Until the host goes back by itself.
  package var millisecondsLeft: UInt32
  /// What the operator should know although the change was made: an undecided knock and the like. Safe to show.
  package var warnings: [String]
  package init(
    transaction: TransactionID, manifest: Digest, nonce: Nonce, millisecondsLeft: UInt32, warnings: [String]
  ) {
    self.transaction = transaction
    self.manifest = manifest
    self.nonce = nonce
    self.millisecondsLeft = millisecondsLeft
    self.warnings = warnings
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
    /// It failed, and so did going back; the safe policy is loaded, or, when not even that could be, the host tries again.
    case failed = 3
  }
  package var transaction: TransactionID
  package var result: Result
  package var serial: Serial
  package var manifest: Digest
  /// Why, when the result is `reverted` or `failed`; otherwise what the operator should know, often nothing.
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
    /// The knock showed that the management path would be shut.
    case lockout = 20
    /// Owned mode: a foreign rule above our hook accepts what the policy may drop.
    case foreignAccept = 21
    /// Exclusive mode: chains of other software would be wiped.
    case foreignChains = 22
    /// No change waits for this confirmation: another transaction, digest or nonce, too late, or the same TCP connection.
    case notConfirmable = 23
    /// Only root on the host itself may ask for this.
    case notLocal = 24
    /// The host cannot have the release's ipsets: its ipset program or its kernel does not make them.
    case setsRefused = 25
    /// The host has not, or does not let us write, a kernel setting that the release makes.
    case settingRefused = 26
    // Of orders (docs/orders.md).
    /// The committed release has no such lockdown profile.
    case unknownProfile = 27
    /// It has, and its files are not there; or no release was ever committed.
    case profileMissing = 28
    /// Its files are not the signed ones, or cannot be read as a profile.
    case profileAltered = 29
    /// The order is for nobody.
    case emptyScope = 30
    case unsigned = 31
    case tooFewPrincipals = 32
    /// An order of a later epoch was heard before.
    case olderEpoch = 33
    case epochTooFarAhead = 34
    /// A lower rank, or an earlier end, than that of the lock in force.
    case wouldLoosen = 35
    /// It had to arrive before.
    case orderExpired = 36
    /// The host's clock is too far from the order's times for either to be right.
    case clockOff = 37
    /// The host's kernel, or its programs, cannot hold a lockdown.
    case cannotLock = 38
    /// Not while the host is locked down.
    case lockedDown = 39
    /// An order of this epoch with other bytes was heard before.
    case equalEpochOtherBytes = 40
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
