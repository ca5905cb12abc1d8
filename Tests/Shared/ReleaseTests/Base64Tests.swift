import Foundation
import Release
import TestSupport
import Testing

@Suite struct Base64Tests {
  @Test func agreesWithFoundationOnEveryLength() {
    var random = Random(seed: Random.seed(for: "base64"))
    for count in 0..<200 {
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      let text = Data(bytes).base64EncodedString()
      #expect(Base64.encode(bytes) == text)
      #expect(Base64.decode(Array(text.utf8)) == bytes)
      #expect(Base64.encode(bytes, padded: false) == text.replacing("=", with: ""))
    }
  }

  @Test(arguments: [
    "A", "AA", "AAA", "AA=", "AAA", "A===", "====", "=", "AA==AA==", "AAAA=", "AB==", "AAB=", "AA =", "AAAA\n", " AAAA",
    "AA-_", "AAA\u{e9}", "AAAA====", "AA=A",
  ])
  func refusesEveryOtherSpelling(_ text: String) {
    #expect(Base64.decode(Array(text.utf8)) == nil)
  }

  @Test func whatDecodesEncodesToTheSameText() {
    let seed = Random.seed(for: "base64 spellings")
    var random = Random(seed: seed)
    let letters = Array("ABZaz059+/==".utf8)
    for _ in 0..<20_000 {
      let text = (0..<Int.random(in: 0...12, using: &random)).map { _ in letters.randomElement(using: &random)! }
      if let bytes = Base64.decode(text) { #expect(Array(Base64.encode(bytes).utf8) == text, "seed \(seed)") }
    }
  }
}
