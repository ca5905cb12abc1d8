import Core
import Testing

struct LockWordsTests {
  @Test(arguments: ["isolate", "no-ingress", "a", "2026", String(repeating: "x", count: 32)])
  func `a profile is named by small letters, digits and hyphens`(text: String) {
    #expect(ProfileName(text)?.description == text)
  }

  @Test(
    arguments: [
      "", "-isolate", "Isolate", "no_ingress", "no ingress", "no.ingress", "../x", "größe", "a\u{0}", "a\n",
      String(repeating: "x", count: 33),
    ])
  func `nothing else names a profile`(text: String) {
    #expect(ProfileName(text) == nil)
  }

  @Test func `ranks go from 0 to 1000 and compare as numbers`() throws {
    #expect(LockRank(0)?.value == 0 && LockRank(1000)?.value == 1000)
    #expect(LockRank(1001) == nil && LockRank(-1) == nil && LockRank(UInt64.max) == nil)
    #expect(try #require(LockRank(9)) < #require(LockRank(30)))
  }

  @Test func `epochs count up to the last number there is`() {
    #expect(Epoch.none.next == Epoch(1))
    #expect(Epoch(.max).next == nil)
    #expect(Epoch(9) < Epoch(10) && Epoch(7).description == "7")
  }
}
