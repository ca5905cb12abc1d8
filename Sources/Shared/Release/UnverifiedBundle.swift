package import Core

/// A bundle's files as they arrived: the right ones, none over its size, and nothing else known about them. Only
/// `BundleVerifier` makes more of it.
package struct UnverifiedBundle: Sendable {
  let statement: [UInt8]
  /// At least one; `release.statement.0.sig` first.
  let signatures: [[UInt8]]
  let manifest: [UInt8]
  let proof: [UInt8]
  /// Nil when there are none at all, as for a withdrawn host.
  let rules: PerFamily<[UInt8]>?
  let sets: [UInt8]?
  let sysctl: [UInt8]?
  /// Of each lockdown profile, `lockdown.0` first.
  let lockdowns: [PerFamily<[UInt8]?>]

  package init(files: [BundleFile: [UInt8]]) throws(BundleProblem) {
    // In the order of their names, so that the same bundle always gets the same answer.
    for (file, content) in files.sorted(by: { $0.key.fileName < $1.key.fileName }) {
      guard content.count <= file.maximumSize else { throw .tooLarge(file, size: content.count) }
      switch file {
      case .signature(let index):
        guard (0..<BundleFile.maximumSignatures).contains(index) else { throw .surplusFile(file) }
      case .lockdown(let index, _):
        guard (0..<BundleFile.maximumProfiles).contains(index) else { throw .surplusFile(file) }
      case .statement, .manifest, .proof, .rules, .sets, .sysctl: break
      }
    }
    func content(_ file: BundleFile) throws(BundleProblem) -> [UInt8] {
      guard let content = files[file] else { throw .missingFile(file) }
      return content
    }
    statement = try content(.statement)
    manifest = try content(.manifest)
    proof = try content(.proof)
    var signatures = [try content(.signature(0))]
    while let next = files[.signature(signatures.count)] { signatures.append(next) }
    for index in signatures.count..<BundleFile.maximumSignatures where files[.signature(index)] != nil {
      throw .missingFile(.signature(signatures.count))
    }
    self.signatures = signatures
    // One family alone is never a bundle: the other would stay as it is, unsaid.
    let hasRules = Family.allCases.contains { files[.rules($0)] != nil }
    rules = hasRules ? try PerFamily { (family) throws(BundleProblem) in try content(.rules(family)) } : nil
    sets = files[.sets]
    sysctl = files[.sysctl]
    // Down from the last one that is there: in a gap a file is missing, which is found out when it is looked for.
    let profiles = (0..<BundleFile.maximumProfiles).last { index in
      Family.allCases.contains { files[.lockdown(index, $0)] != nil }
    }
    lockdowns = (0..<(profiles.map { $0 + 1 } ?? 0)).map { index in
      PerFamily { family in files[.lockdown(index, family)] }
    }
  }
}
