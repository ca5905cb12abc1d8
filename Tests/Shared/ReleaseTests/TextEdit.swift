import Core
import TestSupport
import Testing

/// A change of a good text, and what the refusal of it must say, its line too.
struct TextEdit<Kind: Sendable>: Sendable, CustomStringConvertible {
  let kind: Kind
  let old: String
  let new: String
  let says: String
  var description: String { "\(kind): \(old.debugDescription) → \(new.debugDescription)" }

  init(_ kind: Kind, _ old: String, _ new: String, _ says: String) {
    self.kind = kind
    self.old = old
    self.new = new
    self.says = says
  }

  /// By bytes, because Characters join a line feed with what stands before it.
  func applied(to original: String) -> [UInt8] {
    replacingFirst(Array(old.utf8), with: Array(new.utf8), in: Array(original.utf8))
  }
}

/// What is read of texts with a few bytes changed is exactly what was written.
///
/// - Parameter reencode: throws for what is not to be read.
func expectEveryMutationRefusedOrKept(
  _ text: String, as kind: String, _ reencode: ([UInt8]) throws -> [UInt8]
) {
  let seed = Random.seed(for: "text \(kind)")
  var random = Random(seed: seed)
  let alphabet = Array("0123456789abcdefghikABCDEF:. \n/-+TZ".utf8)
  var read = 0
  for _ in 0..<Fuzzing.count(4000) {
    var bytes = Array(text.utf8)
    for _ in 0...random.below(2) {
      let at = random.below(bytes.count)
      switch random.below(3) {
      case 0: bytes[at] = random.pick(alphabet)
      case 1: bytes.remove(at: at)
      default: bytes.insert(random.pick(alphabet), at: at)
      }
    }
    if let again = try? reencode(bytes) {
      read += 1
      #expect(again == bytes, "seed \(seed)")
    }
  }
  #expect(read > 0, "seed \(seed)")
}
