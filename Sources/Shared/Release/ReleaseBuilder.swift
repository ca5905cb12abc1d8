package import Core

/// A release ready to be signed: the statement's bytes are what goes to `ssh-keygen -Y sign -n release@portcullis`.
package struct BuiltRelease: Sendable {
  package struct Host: Sendable {
    package let manifest: Manifest
    package let proof: InclusionProof

    /// The part of this host's bundle that is neither rules nor signatures.
    package func files(statement: ReleaseStatement) -> [BundleFile: [UInt8]] {
      [.statement: statement.encode(), .manifest: manifest.encode(), .proof: proof.encode()]
    }
  }

  package let statement: ReleaseStatement
  /// Sorted by host; the order of the leaves.
  package let hosts: [Host]

  /// Everything this host's bundle holds. `rules` must be nil for a withdrawn host, and `profiles` hold the rules of
  /// each that its manifest names.
  package func bundle(
    for host: HostID, rules: PerFamily<[UInt8]>?, sets: [UInt8]? = nil, sysctl: [UInt8]? = nil,
    profiles: [ProfileName: PerFamily<[UInt8]>] = [:], signatures: [[UInt8]]
  ) -> [BundleFile: [UInt8]]? {
    guard let found = hosts.first(where: { $0.manifest.host == host }) else { return nil }
    var files = found.files(statement: statement)
    for (index, signature) in signatures.enumerated() { files[.signature(index)] = signature }
    if let rules {
      for family in Family.allCases { files[.rules(family)] = rules[family] }
    }
    files[.sets] = sets
    files[.sysctl] = sysctl
    for (index, entry) in found.manifest.profiles.enumerated() {
      for family in Family.allCases { files[.lockdown(index, family)] = profiles[entry.name]?[family] }
    }
    return files
  }
}

/// Binds manifests together under one statement. Pure: signing is done elsewhere, by ssh-keygen.
package enum ReleaseBuilder {
  /// Throws unless every manifest is of this fleet and serial and each host has exactly one.
  package static func build(
    fleet: FleetID, serial: Serial, issued: UTCTime, expires: UTCTime, reason: String = "-", manifests: [Manifest]
  ) throws(FormatProblem) -> BuiltRelease {
    func refuse(_ reason: String) -> FormatProblem { FormatProblem("release \(serial)", reason) }
    let sorted = manifests.sorted { $0.host < $1.host }
    for (manifest, next) in zip(sorted, sorted.dropFirst()) where manifest.host == next.host {
      throw refuse("host \(manifest.host) has two manifests")
    }
    for manifest in sorted {
      guard manifest.fleet == fleet else {
        throw refuse("the manifest of \(manifest.host) is for fleet \(manifest.fleet), not \(fleet)")
      }
      guard manifest.serial == serial else {
        throw refuse("the manifest of \(manifest.host) has serial \(manifest.serial)")
      }
    }
    guard let tree = MerkleTree(leaves: sorted.map { $0.encode() }) else {
      throw refuse("a release needs at least one host")
    }
    let statement = try ReleaseStatement(
      fleet: fleet, serial: serial, issued: issued, expires: expires, hosts: tree.count, root: tree.root,
      reason: reason)
    var hosts: [BuiltRelease.Host] = []
    for (index, manifest) in sorted.enumerated() {
      guard let proof = tree.proof(ofLeaf: index) else { throw refuse("leaf \(index) has no proof") }
      hosts.append(BuiltRelease.Host(manifest: manifest, proof: proof))
    }
    return BuiltRelease(statement: statement, hosts: hosts)
  }
}
