import Glibc

/// Random numbers that come again with their seed: SplitMix64.
package struct Random: RandomNumberGenerator {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package static func fresh(for test: String = #fileID) -> Random { Random(seed: seed(for: test)) }

  /// From PORTCULLIS_SEED to repeat a run, otherwise fresh; printed.
  package static func seed(for test: String = #fileID) -> UInt64 {
    let seed = getenv("PORTCULLIS_SEED").flatMap { UInt64(String(cString: $0)) } ?? .random(in: 0 ... .max)
    print("\(test): seed \(seed)")
    return seed
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  package mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &self) }
  package mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
  /// One time in so many.
  package mutating func sometimes(_ count: Int) -> Bool { below(count) == 0 }
}
