import Core
import Release
import TestSupport
import Testing

/// RFC 9162 §2.1 as it is written there: recursive, slow, and independent of what is tested.
private enum Slow {
  static func hash(_ leaves: ArraySlice<[UInt8]>) -> [UInt8] {
    if leaves.count == 1 { return Digest(of: [0] + leaves.first!).bytes }
    let k = split(leaves.count)
    return Digest(of: [1] + hash(leaves.prefix(k)) + hash(leaves.dropFirst(k))).bytes
  }

  static func path(_ index: Int, _ leaves: ArraySlice<[UInt8]>) -> [[UInt8]] {
    if leaves.count == 1 { return [] }
    let k = split(leaves.count)
    return index < k
      ? path(index, leaves.prefix(k)) + [hash(leaves.dropFirst(k))]
      : path(index - k, leaves.dropFirst(k)) + [hash(leaves.prefix(k))]
  }

  /// The largest power of two smaller than the count.
  private static func split(_ count: Int) -> Int {
    var k = 1
    while k * 2 < count { k *= 2 }
    return k
  }
}

@Suite struct MerkleTests {
  private func leaves(_ count: Int) -> [[UInt8]] { (0..<count).map { Array("leaf \($0)".utf8) } }

  @Test(arguments: 1...70)
  func rootAndEveryProofAreTheRFCs(_ count: Int) throws {
    let leaves = leaves(count)
    let tree = try #require(MerkleTree(leaves: leaves))
    #expect(tree.root.bytes == Slow.hash(leaves[...]))
    for index in 0..<count {
      let proof = try #require(tree.proof(ofLeaf: index))
      #expect(proof.path.map(\.bytes) == Slow.path(index, leaves[...]))
      #expect(proof.verifies(leaves[index], under: tree.root))
      #expect(try InclusionProof.parse(proof.encode()) == proof)
      for other in [index - 1, index + 1] where leaves.indices.contains(other) {
        #expect(!proof.verifies(leaves[other], under: tree.root))
      }
    }
    #expect(tree.proof(ofLeaf: count) == nil)
    #expect(tree.proof(ofLeaf: -1) == nil)
  }

  @Test func randomSizesAgreeWithTheRFC() throws {
    let seed = Random.seed(for: "merkle")
    var random = Random(seed: seed)
    for _ in 0..<6 {
      let count = Int.random(in: 71...3000, using: &random)
      let leaves = leaves(count)
      let tree = try #require(MerkleTree(leaves: leaves))
      #expect(tree.root.bytes == Slow.hash(leaves[...]), "seed \(seed)")
      for index in [0, count - 1, Int.random(in: 0..<count, using: &random)] {
        let proof = try #require(tree.proof(ofLeaf: index))
        #expect(proof.path.map(\.bytes) == Slow.path(index, leaves[...]), "seed \(seed)")
        #expect(proof.verifies(leaves[index], under: tree.root), "seed \(seed)")
      }
    }
  }

  @Test func noLeavesNoTree() {
    #expect(MerkleTree(leaves: []) == nil)
  }

  @Test func aNodeIsNoLeaf() throws {
    let leaves = leaves(4)
    let tree = try #require(MerkleTree(leaves: leaves))
    // The second-preimage attack: the two children of a node, offered as one leaf of a smaller tree.
    let children = MerkleTree.leafHash(leaves[0]).bytes + MerkleTree.leafHash(leaves[1]).bytes
    let sibling = MerkleTree.nodeHash(MerkleTree.leafHash(leaves[2]), MerkleTree.leafHash(leaves[3]))
    let forged = try InclusionProof(leaf: 0, hosts: 2, path: [sibling])
    #expect(!forged.verifies(children, under: tree.root))
    #expect(MerkleTree.nodeHash(Digest(of: children), sibling) != tree.root)
  }

  @Test func changingAnyPartOfAProofBreaksIt() throws {
    let leaves = leaves(37)
    let tree = try #require(MerkleTree(leaves: leaves))
    let proof = try #require(tree.proof(ofLeaf: 21))
    for level in proof.path.indices {
      var path = proof.path
      var bytes = path[level].bytes
      bytes[level % 32] ^= 1
      path[level] = try #require(Digest(bytes: bytes))
      #expect(!(try InclusionProof(leaf: 21, hosts: 37, path: path)).verifies(leaves[21], under: tree.root))
    }
    for leaf in 0..<37 where leaf != 21 {
      guard let moved = try? InclusionProof(leaf: leaf, hosts: 37, path: proof.path) else { continue }
      #expect(!moved.verifies(leaves[21], under: tree.root))
    }
  }

  @Test func aPathOfAnyOtherLengthIsRefused() throws {
    let digest = Digest(of: [])
    for count in 0...70 where count != 6 {
      #expect(throws: FormatProblem.self) {
        try InclusionProof(leaf: 5, hosts: 37, path: Array(repeating: digest, count: count))
      }
    }
    // The last leaf of 37 has few partners.
    #expect(throws: Never.self) { try InclusionProof(leaf: 36, hosts: 37, path: [digest, digest]).encode() }
  }

  @Test func theHighestTreeATextCanNameStillVerifies() throws {
    let path = (0..<63).map { Digest(of: [UInt8($0)]) }
    let proof = try InclusionProof(leaf: 0, hosts: Int.max, path: path)
    #expect(proof.encode().count <= BundleFile.proof.maximumSize)
    #expect(try InclusionProof.parse(proof.encode()) == proof)
    #expect(proof.verifies([1], under: proof.root(for: [1])))
  }

  @Test func tenThousandLeavesTakeNoTimeWorthNaming() throws {
    let leaves = leaves(10_000).map { $0 + [UInt8](repeating: 7, count: 400) }
    let elapsed = try ProcessorTime.of {
      let tree = try #require(MerkleTree(leaves: leaves))
      for index in 0..<10_000 { _ = try #require(tree.proof(ofLeaf: index)) }
    }
    print("merkle: 10,000 leaves and proofs in \(elapsed)")
    // The goal for an optimised build is 100 ms; this bound only catches quadratic work in an unoptimised one.
    #expect(elapsed < .seconds(20))
  }
}
