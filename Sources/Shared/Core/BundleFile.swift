/// The files a host's bundle consists of. Their names and sizes are fixed here and never come from the wire.
package enum BundleFile: Hashable, Sendable {
  case statement
  /// One detached SSHSIG over the statement for each signer, counted from 0.
  case signature(Int)
  case manifest
  case proof
  case rules(Family)
  /// Ipsets that the rules name; few bundles have any.
  case sets
  /// Kernel settings beside the rules; few bundles have any.
  case sysctl
  /// The rules of one of the manifest's lockdown profiles, counted from 0 in the order of its lines.
  case lockdown(Int, Family)

  /// More signers than any threshold needs; a bound on work for the host.
  package static let maximumSignatures = 16
  package static let maximumProfiles = 8

  /// Every file that a bundle may have.
  package static var all: [BundleFile] {
    [.statement, .manifest, .proof, .rules(.ipv4), .rules(.ipv6), .sets, .sysctl]
      + (0..<maximumSignatures).map(BundleFile.signature) + lockdowns
  }

  package static var lockdowns: [BundleFile] {
    (0..<maximumProfiles).flatMap { index in Family.allCases.map { .lockdown(index, $0) } }
  }

  package var fileName: String {
    switch self {
    case .statement: "release.statement"
    case .signature(let index): "release.statement.\(index).sig"
    case .manifest: "manifest"
    case .proof: "proof"
    case .rules(let family): "\(family).rules"
    case .sets: "sets"
    case .sysctl: "sysctl"
    case .lockdown(let index, let family): "lockdown.\(index).\(family).rules"
    }
  }

  /// Nil for what is not of one family alone.
  package var family: Family? {
    switch self {
    case .rules(let family), .lockdown(_, let family): family
    case .statement, .signature, .manifest, .proof, .sets, .sysctl: nil
    }
  }

  /// In bytes, checked before anything is allocated.
  package var maximumSize: Int {
    switch self {
    case .statement, .signature: 4 << 10
    case .manifest: 64 << 10
    // 64 levels of 71 bytes and a header: more hosts than there are addresses.
    case .proof: 8 << 10
    case .rules, .sets: 8 << 20
    case .sysctl: 64 << 10
    case .lockdown: 256 << 10
    }
  }
}
