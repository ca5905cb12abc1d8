package import Core

/// What a host says of itself: facts only, no judgement.
package struct Report: Hashable, Sendable {
  /// The nonce of the question.
  package var nonce: Nonce
  package var host: HostID
  package var fleet: FleetID
  /// The host's own clock.
  package var time: UTCTime
  /// From /proc/sys/kernel/random/boot_id.
  package var bootID: String
  package var agentVersion: String
  /// As `uname -m` prints it.
  package var architecture: String
  package var kernel: String
  package var backend: Backend
  /// "1.8.9"
  package var iptablesVersion: String
  /// Nil until the first commit.
  package var committed: Committed?
  /// The last apply that did not end in a commit, until the next one does.
  package var lastFailure: LastFailure?
  /// A change that waits to be confirmed; nil when none does.
  package var pending: PendingChange?
  /// The last thing root did at the console, until the next commit.
  package var localAct: LocalAct?
  package var families: PerFamily<FamilyReport>
  /// Whose chains there are beside ours, told by their names; sorted. An agent of another version may know more software
  /// than this reader.
  package var ownerWords: [String]
  /// Rules that the other backend's programs print; 0 when there are none or no such programs.
  package var otherBackendRules: Int
  /// Enabled services that also load rules: "ufw", "firewalld", "netfilter-persistent", "nftables".
  package var conflicts: [String]
  /// Why the safe policy is loaded; nil when it is not.
  package var degraded: String?
  /// The address this SSH connection came from, as sshd told the bridge; empty when not over SSH.
  package var managementSource: String
  /// Kernel settings that the committed release makes, by name.
  package var settings: [SettingReport]
  /// Where its sshd listens for others, as the kernel says; empty when that cannot be told.
  package var sshPorts: [UInt16]
  /// Whether it has an address from a DHCP server; nil when its agent does not say.
  package var leases: PerFamily<Bool>?
  /// What filters packets besides our rules; nil when its agent does not say.
  package var others: OthersReport?
  /// The last time since the commit that its programs changed; nil when they did not.
  package var renewal: Renewal?
  /// Nil when its agent does not say.
  package var lockdown: LockdownReport?
  /// Nil when its agent does not say, or could not tell.
  package var listening: ListeningReport?

  package init(
    nonce: Nonce, host: HostID, fleet: FleetID, time: UTCTime, bootID: String, agentVersion: String,
    architecture: String, kernel: String, backend: Backend, iptablesVersion: String, committed: Committed?,
    lastFailure: LastFailure?, pending: PendingChange? = nil, localAct: LocalAct? = nil,
    families: PerFamily<FamilyReport>, owners: [ForeignOwner] = [], ownerWords: [String]? = nil, otherBackendRules: Int,
    conflicts: [String],
    degraded: String?, managementSource: String, settings: [SettingReport] = [],
    sshPorts: [UInt16] = [], leases: PerFamily<Bool>? = nil, others: OthersReport? = nil, renewal: Renewal? = nil,
    lockdown: LockdownReport? = nil, listening: ListeningReport? = nil
  ) {
    self.nonce = nonce
    self.host = host
    self.fleet = fleet
    self.time = time
    self.bootID = bootID
    self.agentVersion = agentVersion
    self.architecture = architecture
    self.kernel = kernel
    self.backend = backend
    self.iptablesVersion = iptablesVersion
    self.committed = committed
    self.lastFailure = lastFailure
    self.pending = pending
    self.localAct = localAct
    self.families = families
    self.ownerWords = ownerWords ?? owners.map(\.rawValue)
    self.otherBackendRules = otherBackendRules
    self.conflicts = conflicts
    self.degraded = degraded
    self.managementSource = managementSource
    self.settings = settings
    self.sshPorts = sshPorts
    self.leases = leases
    self.others = others
    self.renewal = renewal
    self.lockdown = lockdown
    self.listening = listening
  }

  /// Those of them that are known here.
  package var owners: [ForeignOwner] {
    get { ownerWords.compactMap(ForeignOwner.init(rawValue:)) }
    set { ownerWords = newValue.map(\.rawValue) }
  }
}

/// Which kernel interface the host's iptables programs speak.
package enum Backend: UInt8, Hashable, Sendable, CaseIterable {
  case nft = 0
  case legacy = 1

  package var name: String {
    switch self {
    case .nft: "nft"
    case .legacy: "legacy"
    }
  }

  package var other: Backend {
    switch self {
    case .nft: .legacy
    case .legacy: .nft
    }
  }
}

package struct Committed: Hashable, Sendable {
  package var serial: Serial
  /// Of the manifest's bytes.
  package var manifest: Digest
  /// Of the manifest without its serial: equal means the host runs what a newer manifest says.
  package var content: Digest
  package var at: UTCTime
  package init(serial: Serial, manifest: Digest, content: Digest, at: UTCTime) {
    self.serial = serial
    self.manifest = manifest
    self.content = content
    self.at = at
  }
}

package struct LastFailure: Hashable, Sendable {
  package var serial: Serial
  package var result: Outcome.Result
  package var detail: String
  package init(serial: Serial, result: Outcome.Result, detail: String) {
    self.serial = serial
    self.result = result
    self.detail = detail
  }
}

/// The new rules are loaded and not confirmed.
package struct PendingChange: Hashable, Sendable {
  package var transaction: TransactionID
  package var manifest: Digest
  package var serial: Serial
  package var millisecondsLeft: UInt32
  package var isManual: Bool
  package init(
    transaction: TransactionID, manifest: Digest, serial: Serial, millisecondsLeft: UInt32, isManual: Bool
  ) {
    self.transaction = transaction
    self.manifest = manifest
    self.serial = serial
    self.millisecondsLeft = millisecondsLeft
    self.isManual = isManual
  }
}

package struct LocalAct: Hashable, Sendable {
  package var deed: LocalOrder.Deed
  /// By the host's own clock.
  package var at: UTCTime
  package var reason: String
  package init(deed: LocalOrder.Deed, at: UTCTime, reason: String) {
    self.deed = deed
    self.at = at
    self.reason = reason
  }
}

package struct FamilyReport: Hashable, Sendable {
  /// What rehearsal of the committed bundle printed, canonical; nil until the first commit.
  package var expected: Digest?
  /// The part of the kernel's rules that is ours, canonical. In exclusive mode the tables the bundle declares and
  /// every other table that is not empty; in owned mode our chains, our hooks with what wrongly stands above them, and
  /// the policies we set.
  package var observed: Digest
  /// The whole text that the save program prints, canonical.
  package var save: Digest
  /// One digest for each chain of `observed`, so that a difference is located without the text.
  package var chains: [ChainDigest]
  /// Chains that are not in `chains` because a report must fit one frame (`WireLimit.reportChains`). The digests above
  /// cover them all the same.
  package var omittedChains: Int
  package init(
    expected: Digest?, observed: Digest, save: Digest, chains: [ChainDigest], omittedChains: Int = 0
  ) {
    self.expected = expected
    self.observed = observed
    self.save = save
    self.chains = chains
    self.omittedChains = omittedChains
  }
}

package struct ChainDigest: Hashable, Sendable {
  package var table: String
  package var chain: String
  package var digest: Digest
  package init(table: String, chain: String, digest: Digest) {
    self.table = table
    self.chain = chain
    self.digest = digest
  }
}

/// One kernel setting that the committed release makes.
package struct SettingReport: Hashable, Sendable {
  /// `net.ipv4.ip_forward`
  package var key: String
  package var desired: String
  /// Nil when the host has no such setting any more.
  package var observed: String?
  package init(key: String, desired: String, observed: String?) {
    self.key = key
    self.desired = desired
    self.observed = observed
  }
}
