package import Core

/// A moment as people say it: how long ago, a day, or a time.
package enum Since {
  package static func parse(_ text: String, now: UTCTime) throws(Failure) -> UTCTime {
    if let time = UTCTime(text) ?? UTCTime(text + "T00:00:00Z") { return time }
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    if let unit = text.last.flatMap({ units[$0] }), text.utf8.count <= 8,
      text.utf8.dropLast().allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let count = Int64(text.dropLast())
    {
      return now + -count * unit
    }
    throw Failure(
      "look back to \(SafeText.escape(text))",
      because: Reason("that is no moment such as 90s, 15m, 2h, 7d, 2026-11-21 or 2026-11-21T14:00:00Z"), kind: .usage)
  }
}
