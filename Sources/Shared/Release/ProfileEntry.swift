package import Core

/// A lockdown profile as a manifest names it: what an order may ask the host for, and nothing else.
package struct ProfileEntry: Hashable, Sendable {
  /// In one manifest.
  package static let maximumCount = BundleFile.maximumProfiles
  /// Of each family's text, in bytes.
  package static let maximumSize = BundleFile.lockdown(0, .ipv4).maximumSize

  package let name: ProfileName
  package let rank: LockRank
  package let files: PerFamily<Manifest.File>

  /// Throws for a text that is empty, which would shut nothing, or too large.
  package init(name: ProfileName, rank: LockRank, files: PerFamily<Manifest.File>) throws(FormatProblem) {
    for family in Family.allCases {
      let size = files[family].size
      guard (1...Self.maximumSize).contains(size) else {
        throw FormatProblem(
          Manifest.file,
          "lockdown profile \(name) has \(size) bytes of \(family) rules; 1 to \(Self.maximumSize) are allowed")
      }
    }
    self.name = name
    self.rank = rank
    self.files = files
  }

  /// As a manifest says it.
  package var text: String {
    "\(name) \(rank)" + Family.allCases.map { " \(files[$0].size) \(files[$0].digest)" }.joined()
  }
}
