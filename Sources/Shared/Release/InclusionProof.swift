package import Core

/// Shows that one manifest stands under a release's root (RFC 9162 §2.1.3) without showing any other.
package struct InclusionProof: Hashable, Sendable {
  /// 2^64 leaves; far more than the hosts any text here can count.
  package static let maximumLevels = 64

  /// Counted from 0.
  package let leaf: Int
  package let hosts: Int
  /// Siblings from the leaf up.
  package let path: [Digest]

  /// Throws unless the leaf lies in the tree and the path has exactly the length that its place there asks for.
  package init(leaf: Int, hosts: Int, path: [Digest]) throws(FormatProblem) {
    guard hosts > 0, (0..<hosts).contains(leaf) else {
      throw FormatProblem(Self.file, "leaf \(leaf) does not lie in a tree of \(hosts)")
    }
    let wanted = Self.pathLength(leaf: leaf, hosts: hosts)
    guard path.count == wanted else {
      throw FormatProblem(Self.file, "leaf \(leaf) of \(hosts) takes \(wanted) digests, not \(path.count)")
    }
    self.leaf = leaf
    self.hosts = hosts
    self.path = path
  }

  private static let file = BundleFile.proof.fileName

  /// How many siblings stand between a leaf and the root: one for each level at which the node has a partner.
  static func pathLength(leaf: Int, hosts: Int) -> Int {
    var position = leaf
    var last = hosts - 1
    var length = 0
    while last > 0 {
      if position ^ 1 <= last { length += 1 }
      position >>= 1
      last >>= 1
    }
    return length
  }

  /// The root that this leaf and this path lead to (RFC 9162 §2.1.3.2).
  package func root(for leafContent: some Collection<UInt8>) -> Digest {
    var hash = MerkleTree.leafHash(leafContent)
    var position = leaf
    var last = hosts - 1
    for sibling in path {
      // A node without a partner moves up unchanged.
      while last > 0 && position & 1 == 0 && position == last {
        position >>= 1
        last >>= 1
      }
      hash = position & 1 == 1 ? MerkleTree.nodeHash(sibling, hash) : MerkleTree.nodeHash(hash, sibling)
      position >>= 1
      last >>= 1
    }
    return hash
  }

  package func verifies(_ leafContent: some Collection<UInt8>, under root: Digest) -> Bool {
    self.root(for: leafContent) == root
  }

  package func encode() -> [UInt8] {
    let lines = ["portcullis-proof 1", "leaf \(leaf)", "hosts \(hosts)"] + path.map(\.description)
    return lines.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] }
  }

  /// Accepts exactly what `encode` writes.
  package static func parse(_ bytes: [UInt8]) throws(FormatProblem) -> InclusionProof {
    var lines = try StrictLines(bytes, file: file, atMost: BundleFile.proof.maximumSize)
    try lines.header("portcullis-proof")
    let leaf = try lines.count("leaf")
    let hosts = try lines.count("hosts")
    var path: [Digest] = []
    while let text = lines.whole() {
      guard let digest = Digest(text) else {
        throw lines.problem("'\(text)' is not sha256: and 64 hexadecimal digits")
      }
      guard path.count < maximumLevels else { throw lines.problem("more than \(maximumLevels) levels") }
      path.append(digest)
    }
    return try InclusionProof(leaf: leaf, hosts: hosts, path: path)
  }
}
