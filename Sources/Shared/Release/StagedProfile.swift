package import Core

/// A profile's rules as they lie on the host, and they are the ones that were signed: there is no other way to make one.
package struct StagedProfile: Hashable, Sendable {
  package let entry: ProfileEntry
  package let rules: PerFamily<[UInt8]>

  /// As a bundle brought it.
  init(_ entry: ProfileEntry, at index: Int, of lockdowns: [PerFamily<[UInt8]?>]) throws(BundleProblem) {
    let found = index < lockdowns.count ? lockdowns[index] : nil
    self.entry = entry
    rules = try entry.files.map { (family, signed) throws(BundleProblem) in
      try signed.check(found.flatMap { $0[family] }, as: .lockdown(index, family))
    }
  }

  /// `found` holds nil where there is no such file.
  package init(_ entry: ProfileEntry, found: PerFamily<[UInt8]?>) throws(OrderProblem) {
    self.entry = entry
    rules = try found.map { (family, content) throws(OrderProblem) in
      guard let content else { throw .profileMissing(entry.name, family) }
      let signed = entry.files[family]
      guard content.count == signed.size, Digest(of: content) == signed.digest else {
        throw .profileAltered(entry.name, family, found: Manifest.File(describing: content), signed: signed)
      }
      return content
    }
  }
}
