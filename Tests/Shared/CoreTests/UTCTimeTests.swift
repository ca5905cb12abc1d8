import Core
import Testing

struct UTCTimeTests {
  @Test(
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("2000-02-29T23:59:59Z", 951_868_799), ("2026-11-21T00:44:41Z", 1_795_221_881),
      ("9999-12-31T23:59:59Z", 253_402_300_799),
    ] as [(String, Int64)])
  func `a time is what date(1) says, both ways`(text: String, seconds: Int64) {
    #expect(UTCTime(text)?.secondsSinceEpoch == seconds)
    #expect(UTCTime(secondsSinceEpoch: seconds).description == text)
  }

  @Test func `every day of four centuries comes back as it was written`() {
    for day in stride(from: Int64(0), to: 146_097, by: 1) {
      let time = UTCTime(secondsSinceEpoch: day * 86_400 + 43_261)
      #expect(UTCTime(time.description) == time, "\(time)")
    }
  }

  @Test(arguments: [
    "", "2026-11-21", "2026-11-21T00:44:41", "2026-11-21T00:44:41z", "2026-11-21 00:44:41Z",
    "2026-11-21T00:44:41+00:00",
    "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
    "2026-11-31T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T00:60:00Z", "2026-11-21T23:59:60Z",
    "1969-12-31T23:59:59Z", "2026-11-21T00:44:41.5Z", "2026-11-2½T00:44:41Z", " 2026-11-21T00:44:41Z",
  ])
  func `anything else is no time`(text: String) {
    #expect(UTCTime(text) == nil)
  }
}
