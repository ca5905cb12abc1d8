package import Core

/// The Merkle tree of RFC 9162 §2.1 with SHA-256. Leaves and inner nodes are hashed with different first bytes, so
/// that a node can never pass for a manifest.
package struct MerkleTree: Sendable {
  /// From the leaves' hashes up to the root. A last node without a partner moves up unchanged, which yields the tree
  /// the RFC defines by splitting at the largest power of two.
  private let levels: [[Digest]]

  /// Nil without leaves. Work and memory are linear in the number of leaves.
  package init?(leaves: some Collection<[UInt8]>) {
    guard !leaves.isEmpty else { return nil }
    var levels = [leaves.map { Self.leafHash($0) }]
    while let last = levels.last, last.count > 1 {
      levels.append(
        stride(from: 0, to: last.count, by: 2).map { index in
          index + 1 < last.count ? Self.nodeHash(last[index], last[index + 1]) : last[index]
        })
    }
    self.levels = levels
  }

  package var count: Int { levels[0].count }
  package var root: Digest { levels[levels.count - 1][0] }

  /// Nil unless the index is that of a leaf, counted from 0.
  package func proof(ofLeaf index: Int) -> InclusionProof? {
    guard levels[0].indices.contains(index) else { return nil }
    var path: [Digest] = []
    var position = index
    for level in levels.dropLast() {
      let sibling = position ^ 1
      if sibling < level.count { path.append(level[sibling]) }
      position >>= 1
    }
    return try? InclusionProof(leaf: index, hosts: count, path: path)
  }

  package static func leafHash(_ content: some Collection<UInt8>) -> Digest { Digest(of: [0x00] + content) }

  package static func nodeHash(_ left: Digest, _ right: Digest) -> Digest {
    Digest(of: [0x01] + left.bytes + right.bytes)
  }
}
